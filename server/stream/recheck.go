package stream

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
)

// How often callers are asked about again while their streams are open, and how
// long a round of questions may take. An answer may be 10 s old: what is revoked
// ends within 30 s. Where nobody answers, or not in time for all, a stream ends when
// sweepEvery next comes unknownFor after its last answer: it outlives four rounds,
// and ends within 55 s of what was last answered. Both are under the 60 s that are
// promised.
const (
	recheckEvery   = 10 * time.Second
	recheckWithin  = 9 * time.Second
	sweepEvery     = 2 * time.Second
	unknownFor     = 42 * time.Second
	recheckAtATime = 16
)

// Why a caller's stream ends while he is still there; reasons of `closing`.
var (
	errUnauthorized = errors.New("Unauthorized")
	errExpired      = errors.New("Expired")
	errUnknown      = errors.New("ReviewUnavailable")
	errLoggedOut    = errors.New("LoggedOut")
	errTooMany      = errors.New("TooManyNamespaces")
)

// Unwelcome says that the session ended for who its caller is.
func (s *Session) Unwelcome() bool {
	return slices.Contains([]error{errUnauthorized, errExpired, errUnknown, errLoggedOut, errTooMany}, context.Cause(s.ctx))
}

// welcome is what is known of whether the caller may still read.
type welcome struct {
	mu    sync.Mutex
	at    time.Time // when he was last known to be welcome
	doubt error     // why that could not be found out since; nil where nobody got to ask
}

func (w *welcome) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doubt = err; err == nil {
		w.at = time.Now()
	}
}

func (w *welcome) last() (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at, w.doubt
}

// welcomed notes that the caller was just found to be welcome, and when his proof
// runs out.
func (s *Session) welcomed() {
	s.welcome.note(nil)
	if s.reader.Caller == nil {
		return
	}
	if id, ok := auth.FromContext(s.reader.Caller); ok && !id.Expires.IsZero() {
		s.expiry = time.AfterFunc(time.Until(id.Expires), func() { s.end(errExpired) })
	}
}

// Recheck asks about the callers of open streams again and again until ctx ends.
// Who is no longer welcome gets `closing{Unauthorized}`; whose scope has changed
// goes on with it after a `synced`.
func (h *Hub) Recheck(ctx context.Context) error {
	if h.opts.Recheck == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	var round sync.WaitGroup
	defer round.Wait()
	var asking atomic.Bool
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			h.endUnknown(ctx) // whatever the round waits for
		case <-tick.C:
			if asking.CompareAndSwap(false, true) {
				round.Go(func() {
					defer asking.Store(false)
					h.recheckAll(ctx)
				})
			}
		}
	}
}

// recheckAll asks about those first of whom nothing was heard for longest: a round
// that has no time for all does not leave out the same again.
func (h *Hub) recheckAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recheckWithin)
	defer cancel()
	waiting := make(chan *Session)
	var workers sync.WaitGroup
	for range recheckAtATime {
		workers.Go(func() {
			for s := range waiting {
				s.recheck(ctx)
			}
		})
	}
	for _, s := range h.callers() {
		waiting <- s
	}
	close(waiting)
	workers.Wait()
}

// callers are the sessions that are asked about, the longest unheard first.
func (h *Hub) callers() []*Session {
	type heard struct {
		*Session
		at time.Time
	}
	var all []heard
	for _, s := range h.open() {
		if s.reader.Caller != nil && s.ctx.Err() == nil {
			at, _ := s.welcome.last()
			all = append(all, heard{s, at})
		}
	}
	slices.SortStableFunc(all, func(a, b heard) int { return a.at.Compare(b.at) })
	out := make([]*Session, len(all))
	for i, s := range all {
		out[i] = s.Session
	}
	return out
}

// endUnknown ends the sessions of whose callers nothing was found out for too long,
// asked about or not.
func (h *Hub) endUnknown(ctx context.Context) {
	for _, s := range h.open() {
		at, doubt := s.welcome.last()
		if s.reader.Caller == nil || s.ctx.Err() != nil || time.Since(at) < unknownFor {
			continue
		}
		h.opts.Logger.WarnContext(ctx, "a stream is ended: whether its caller may still read it cannot be found out",
			slog.String("stream", s.name()), slog.Any("error", doubt))
		s.end(errUnknown)
	}
}

func (s *Session) recheck(ctx context.Context) {
	if ctx.Err() != nil || s.ctx.Err() != nil {
		return
	}
	defer func() {
		if panicked := recover(); panicked != nil { // no server stands above this goroutine
			s.hub.opts.Logger.Error("asking about a stream's caller panicked; that is not known then",
				slog.String("stream", s.name()), slog.Any("panic", panicked), slog.String("stack", string(debug.Stack())))
		}
	}()
	filter, before := s.wants()
	// The caller's context has his name. It may end with his stream, and must not
	// outlive the round.
	asking, cancel := context.WithCancel(s.reader.Caller)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	scope, err := s.hub.opts.Recheck(asking, filter, before)
	switch code := connect.CodeOf(err); {
	case err == nil:
		s.welcome.note(nil)
		if !sameScope(scope, before) {
			s.rescope(filter, scope)
		}
	case code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied:
		s.end(errUnauthorized)
	case code == connect.CodeFailedPrecondition: // what he may see is not looked for any more
		s.end(errTooMany)
	default:
		s.welcome.note(err)
	}
}

// wants is the filter and the scope in force.
func (s *Session) wants() (*rightsizerv1.EventFilter, bus.Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader.Filter, s.reader.Scope
}

// rescope changes what the reader may see. Where a change of his own waits, that
// one was asked about just now and this one comes again with the next round.
func (s *Session) rescope(filter *rightsizerv1.EventFilter, scope bus.Scope) {
	select {
	case s.changes <- &change{filter: filter, scope: scope, rescope: true}:
		if stop := s.interrupt.Load(); stop != nil {
			(*stop)()
		}
	default:
	}
}

func sameScope(a, b bus.Scope) bool {
	return a.All() == b.All() && a.Confidential() == b.Confidential() && slices.Equal(a.Names(), b.Names())
}

// maxLoggedOut bounds the logins that are known to have ended.
const maxLoggedOut = 1024

// LogOut ends the streams that were opened with one proof, as auth.Identity has it,
// with `closing{LoggedOut}`, and says how many. Those whose caller was let in
// before and that are not open yet, as a WebSocket that waits for its filter, are
// refused.
func (h *Hub) LogOut(proof string) int {
	if proof == "" {
		return 0
	}
	h.loggedOut.Add(proof, time.Now())
	ended := 0
	for _, s := range h.open() {
		if proofOf(s.reader.Caller) == proof {
			s.end(errLoggedOut)
			ended++
		}
	}
	return ended
}

// out says whether the login of a reader ended after he was let in.
func (h *Hub) out(r Reader) bool {
	at, ok := h.loggedOut.Get(proofOf(r.Caller))
	return ok && !at.(time.Time).Before(auth.Since(r.Caller)) //nolint:forcetypeassert // the cache holds nothing else
}

// proofOf is what a caller proved himself by; empty where there is nothing.
func proofOf(caller context.Context) string {
	if caller == nil {
		return ""
	}
	id, ok := auth.FromContext(caller)
	if !ok {
		return ""
	}
	return id.Proof
}
