package stream

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
)

// How often callers are asked about again while their streams are open, and how
// long a round of questions may take. An answer may be 10 s old: what is revoked
// ends within 30 s. Where nobody answers, a stream ends at the first round that is
// unknownFor after the last answer, at most 55 s after it. Both are under the 60 s
// that are promised.
const (
	recheckEvery   = 10 * time.Second
	recheckWithin  = 9 * time.Second
	unknownFor     = 35 * time.Second
	recheckAtATime = 16
)

// Why a caller's stream ends while he is still there; reasons of `closing`.
var (
	errUnauthorized = errors.New("Unauthorized")
	errExpired      = errors.New("Expired")
	errUnknown      = errors.New("ReviewUnavailable")
	errLoggedOut    = errors.New("LoggedOut")
)

// Unwelcome says that the session ended for who its caller is.
func (s *Session) Unwelcome() bool {
	cause := context.Cause(s.ctx)
	return cause == errUnauthorized || cause == errExpired || cause == errUnknown || cause == errLoggedOut //nolint:errorlint // they are never wrapped
}

// welcomed notes that the caller was just found to be welcome, and when his proof
// runs out.
func (s *Session) welcomed() {
	s.checked = time.Now()
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
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.recheckAll(ctx)
		}
	}
}

func (h *Hub) recheckAll(ctx context.Context) {
	if h.opts.Recheck == nil {
		return
	}
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
	for _, s := range h.open() {
		waiting <- s
	}
	close(waiting)
	workers.Wait()
}

func (s *Session) recheck(ctx context.Context) {
	if s.reader.Caller == nil || s.ctx.Err() != nil {
		return
	}
	filter, before := s.wants()
	// The caller's context has his name. It may end with his stream, and must not
	// outlive the round.
	asking, cancel := context.WithCancel(s.reader.Caller)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	scope, err := s.hub.opts.Recheck(asking, filter, before)
	switch code := connect.CodeOf(err); {
	case err == nil:
		s.checked = time.Now()
		if !sameScope(scope, before) {
			s.rescope(filter, scope)
		}
	case code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied:
		s.end(errUnauthorized)
	case time.Since(s.checked) >= unknownFor:
		s.hub.opts.Logger.WarnContext(ctx, "a stream is ended: whether its caller may still read it cannot be found out",
			slog.String("stream", s.name()), slog.Any("error", err))
		s.end(errUnknown)
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
	return a.All() == b.All() && slices.Equal(a.Names(), b.Names())
}

// LogOut ends the streams that were opened with one proof, as auth.Identity has it,
// with `closing{LoggedOut}`, and says how many.
func (h *Hub) LogOut(proof string) int {
	ended := 0
	for _, s := range h.open() {
		if s.reader.Caller == nil || proof == "" {
			continue
		}
		if id, ok := auth.FromContext(s.reader.Caller); ok && id.Proof == proof {
			s.end(errLoggedOut)
			ended++
		}
	}
	return ended
}
