package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/lru"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Problems tells what is wrong now, for the snapshot after a reset: open problems
// and causes that are still visible, oldest first, bounded.
type Problems interface {
	Problems() []*rightsizerv1.Event
}

// Audience is told who reads, and tells it by events.
type Audience interface {
	// Came is told of a stream of a caller who has a name, by who vouches for it, and
	// what it returns of its end. Neither blocks.
	Came(via, identity, protocol string) (went func())
	// Told are the events that told of those who are there still, for the snapshot of
	// whoever may see what is confidential. They are not changed.
	Told() []*rightsizerv1.Event
}

// Options make a Hub.
type Options struct {
	// Bus is what is streamed. Required.
	Bus *bus.Bus
	// Problems is asked at each reset; nobody changes the events that it returns.
	// Required.
	Problems Problems
	// Incidents is asked by ListIncidents; nil has none.
	Incidents Incidents
	// Cluster is the id that requests may name. Required.
	Cluster func() string
	// Synced says whether the first picture of the cluster is complete; nil is
	// always. Before, a reset sends no snapshot: what is found at start follows as
	// events, then the bus's own `synced`, which must be published after Synced
	// has become true.
	Synced func() bool
	// Scope says what a caller may see: the namespaces that he asks for, or, asking
	// for none, all, or what is allowed where he says allowed_only. Its errors go to
	// the caller. Nil is the scope of an open API: everything. Lists, streams and
	// WebSockets all ask here.
	Scope func(ctx context.Context, filter *rightsizerv1.EventFilter) (bus.Scope, error)
	// Recheck says the same once more of a stream that is open: whether the caller is
	// still who he was, and what he may see now. before is what he saw until now. An
	// error that is not unauthenticated or permission_denied means that it cannot be
	// found out. Nil never changes anything.
	Recheck func(ctx context.Context, filter *rightsizerv1.EventFilter, before bus.Scope) (bus.Scope, error)
	// Audience is told who reads; nil tells nobody.
	Audience Audience
	// Opened is told of the context of each RPC whose stream is open, and bounded as
	// such from then on. Optional.
	Opened func(ctx context.Context)
	// Heartbeat is the silence after which a heartbeat is sent; 15 s by default,
	// at least 100 ms. Proxies cut idle streams at 60 s.
	Heartbeat time.Duration
	// WriteTimeout is how long a client may take to accept what is written to it;
	// 10 s by default.
	WriteTimeout time.Duration
	// MaxSessions bounds the open streams; 1,000 by default.
	MaxSessions int
	// MaxPerIdentity bounds the open streams of one identity, MaxPerPeer those from
	// one address; by default a quarter and a half of MaxSessions. Negative is no
	// bound of its own.
	MaxPerIdentity, MaxPerPeer int
	// Registerer takes the metrics rightsizer_stream_*; nil leaves them out.
	Registerer prometheus.Registerer
	// Logger is slog.Default by default.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Heartbeat = cmp.Or(o.Heartbeat, 15*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.MaxSessions = cmp.Or(o.MaxSessions, 1000)
	if o.Scope == nil {
		o.Scope = func(context.Context, *rightsizerv1.EventFilter) (bus.Scope, error) { return bus.AllNamespaces(), nil }
	}
	if o.Synced == nil {
		o.Synced = func() bool { return true }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o.withQuotas()
}

func (o Options) validate() error {
	var errs []error
	require := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("stream: "+what))
		}
	}
	require(o.Bus != nil, "Bus is missing")
	require(o.Problems != nil, "Problems is missing")
	require(o.Cluster != nil, "Cluster is missing")
	require(o.Heartbeat >= 100*time.Millisecond, fmt.Sprintf("Heartbeat is %v: want at least 100ms", o.Heartbeat))
	require(o.WriteTimeout > 0, fmt.Sprintf("WriteTimeout is %v: want more than 0", o.WriteTimeout))
	require(o.MaxSessions > 0, fmt.Sprintf("MaxSessions is %d: want more than 0", o.MaxSessions))
	return errors.Join(errs...)
}

// Why a session ends; the reason of `closing`.
var (
	errShutdown = errors.New("Shutdown")
	// ErrFull refuses a stream beyond the bound.
	ErrFull = errors.New("stream: too many open streams")
	// ErrShutdown refuses a stream while the server stops.
	ErrShutdown = errors.New("stream: shutting down")
	// ErrLoggedOut refuses a stream whose caller has logged out meanwhile.
	ErrLoggedOut = errors.New("stream: logged out")
	// ErrSlowClient ends a session whose client takes no data.
	ErrSlowClient = errors.New("stream: the client does not take what is sent")
)

// Hub opens sessions, knows them all and ends them. Safe for concurrent use.
type Hub struct {
	opts    Options
	metrics *metrics
	// loggedOut has when, by proof. Safe for concurrent use.
	loggedOut *lru.Cache
	frames    frames

	mu       sync.Mutex
	sessions map[uint64]*Session
	quotas   quotas
	weight   int // of all sessions
	next     uint64
	stopping bool
	gone     sync.WaitGroup
}

// NewHub validates the options and makes a Hub.
func NewHub(o Options) (*Hub, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	h := &Hub{opts: o, sessions: make(map[uint64]*Session), quotas: newQuotas(o), loggedOut: lru.New(maxLoggedOut)}
	h.metrics = newMetrics(h)
	if o.Registerer != nil {
		if err := o.Registerer.Register(h.metrics); err != nil {
			return nil, fmt.Errorf("register the stream metrics: %w", err)
		}
	}
	return h, nil
}

// Scope says what the caller in ctx may see of what a filter asks for.
func (h *Hub) Scope(ctx context.Context, filter *rightsizerv1.EventFilter) (bus.Scope, error) {
	return h.opts.Scope(ctx, filter)
}

// Reader is who reads a session, and what.
type Reader struct {
	// Filter is validated; nil is everything in scope.
	Filter *rightsizerv1.EventFilter
	// Scope is what the reader may see.
	Scope bus.Scope
	// After is the position to go on from; empty or foreign begins with a reset.
	After string
	// Protocol is connect, grpc, grpc-web or websocket.
	Protocol string
	// Peer is the client's address; Identity its name, empty where the API is
	// open. Via names who vouches for the name: another's alice is somebody else.
	Peer, Identity, Via string
	// Caller is the context of the request, from which package auth knows who sent
	// it; nil is nobody, who is not asked about again.
	Caller context.Context //nolint:containedctx // as its name says
}

// Open makes a session that ends with ctx. Run it, once. It fails with ErrFull, a
// *QuotaError, ErrLoggedOut or ErrShutdown.
func (h *Hub) Open(ctx context.Context, r Reader, sink Sink) (*Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return nil, ErrShutdown
	}
	if h.out(r) {
		return nil, ErrLoggedOut
	}
	whose, n := ownerOf(r), weight(r.Filter)
	if err := h.admit(whose, n); err != nil {
		return nil, err
	}
	h.next++
	went := h.came(r) // before he subscribes: the snapshot has it, and what follows not again
	s := &Session{
		hub: h, went: went, id: h.next, reader: r, sink: sink, encode: briefly(sink.Encode), opened: time.Now(), changes: make(chan *change, 1),
		view: newView(r.Filter, r.Scope), owner: whose, weight: n,
	}
	s.sub = h.opts.Bus.Subscribe(s.view.filter, r.After)
	s.ctx, s.end = context.WithCancelCause(ctx)
	s.welcomed()
	h.sessions[s.id] = s
	h.gone.Add(1)
	return s, nil
}

// came tells the audience of a stream of r, where he has a name.
func (h *Hub) came(r Reader) (went func()) {
	if h.opts.Audience == nil || r.Identity == "" {
		return func() {}
	}
	return h.opts.Audience.Came(r.Via, r.Identity, r.Protocol)
}

// admit counts n streams more unless that is too many.
func (h *Hub) admit(whose owner, n int) error {
	err := ErrFull
	if h.weight+n <= h.opts.MaxSessions {
		err = h.quotas.take(whose, n)
	}
	if err != nil {
		h.metrics.refused.WithLabelValues(refusalOf(err)).Inc()
		return err
	}
	h.weight += n
	return nil
}

// reweigh counts a session by another filter unless that is too many.
func (h *Hub) reweigh(s *Session, filter *rightsizerv1.EventFilter) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	more := weight(filter) - s.weight
	if more > 0 {
		if err := h.admit(s.owner, more); err != nil {
			return err
		}
	} else {
		h.quotas.give(s.owner, -more)
		h.weight += more
	}
	s.weight += more
	return nil
}

func (h *Hub) forget(s *Session) {
	if s.expiry != nil {
		s.expiry.Stop()
	}
	h.mu.Lock()
	delete(h.sessions, s.id)
	h.quotas.give(s.owner, s.weight)
	h.weight -= s.weight
	h.metrics.add(s)
	h.mu.Unlock()
	s.went()
	h.gone.Done()
}

// Go runs f in a goroutine that Shutdown waits for: what serves a session and
// outlives it, such as a closing handshake. Shutdown does not end f, but the
// sessions that it serves. It says whether f runs: not once Shutdown has begun.
func (h *Hub) Go(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return false
	}
	h.gone.Go(f)
	return true
}

// stopWithin is how long clients have to take what is written to them from the
// beginning of a stop on, `closing` included: who takes nothing must not make a stop
// as long as a write may otherwise be.
const stopWithin = 2 * time.Second

// Shutdown ends every session with `closing{Shutdown}`, refuses new ones, and
// returns when all are gone or ctx ends.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.stopping = true
	for _, s := range h.sessions {
		s.end(errShutdown)
		s.sink.Hurry(stopWithin)
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() { // joined by the end of all, which the write timeout bounds
		h.gone.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("streams still open: %w", context.Cause(ctx))
	}
}

// open returns the sessions by age, the oldest first.
func (h *Hub) open() []*Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Session) int { return cmp.Compare(a.id, b.id) })
	return all
}

func (s *Session) name() string { return strconv.FormatUint(s.id, 10) }
