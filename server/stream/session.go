package stream

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// What goes out in one write.
const (
	batchEntries = 128
	batchBytes   = 64 << 10
)

// encodeFunc frames one message.
type encodeFunc func(*rightsizerv1.StreamEventsResponse) ([]byte, error)

// Session is one open stream. Run belongs to one goroutine; Change may be called
// from another.
type Session struct {
	hub    *Hub
	id     uint64
	reader Reader
	sink   Sink
	encode encodeFunc // the sink's
	opened time.Time
	ctx    context.Context //nolint:containedctx // the session's life, ended by the hub as well as by the client
	end    context.CancelCauseFunc
	went   func() // tells the audience

	sub  *bus.Subscription
	room [batchEntries]*bus.Entry
	cuts cuts

	mu         sync.Mutex // guards sub as a pointer, lostBefore and reader's filter and scope, for who looks from outside
	lostBefore int64      // by subscriptions before this one

	expiry  *time.Timer // ends the session when its caller's proof runs out; nil where that is not known
	welcome welcome

	changes   chan *change // one slot: who sends more waits until they are answered
	interrupt atomic.Pointer[context.CancelFunc]

	sent, bytes atomic.Int64
	ended       string // why; set before the hub forgets it
}

// change is a filter that replaces the former.
type change struct {
	filter *rightsizerv1.EventFilter
	scope  bus.Scope
	after  string
	// rescope changes the scope alone, and only of this very filter.
	rescope bool
}

// Change replaces the filter; it is answered by `synced`, or, when after names a
// position, by `opened` and what follows it. Each change is answered: a client that
// sends them faster than it takes the answers waits here.
func (s *Session) Change(filter *rightsizerv1.EventFilter, scope bus.Scope, after string) {
	select {
	case s.changes <- &change{filter: filter, scope: scope, after: after}:
	case <-s.ctx.Done():
		return
	}
	if stop := s.interrupt.Load(); stop != nil {
		(*stop)()
	}
}

// Sent is what was written so far: messages and their bytes. Safe for concurrent
// use.
func (s *Session) Sent() (messages, bytes int64) { return s.sent.Load(), s.bytes.Load() }

// End ends the session with `closing` and this reason.
func (s *Session) End(reason error) { s.end(reason) }

// Run writes until the client goes, the hub shuts down or a write fails. It
// returns nil for an end that the client was told or brought about, ErrSlowClient
// for a client that took no data, or the sink's error.
func (s *Session) Run() error {
	defer s.hub.forget(s)
	defer func() { s.sub.Close() }()
	defer s.end(nil)
	err := s.begin()
	for err == nil {
		err = s.step()
	}
	return s.finish(err)
}

// begin says where the stream starts.
func (s *Session) begin() error {
	s.cuts = nil // who begins anew may have kept nothing
	opened := &rightsizerv1.StreamOpened{Oldest: s.hub.opts.Bus.Oldest(), Newest: s.hub.opts.Bus.Newest()}
	start := s.sub.Start()
	switch start {
	case bus.Resumed:
		opened.Start = &rightsizerv1.StreamOpened_Resumed{Resumed: &rightsizerv1.StreamResumed{}}
	case bus.Gap:
		opened.Start = &rightsizerv1.StreamOpened_Gap{Gap: &rightsizerv1.StreamGap{}}
	case bus.Reset:
		reason := "no position given"
		if s.reader.After != "" {
			reason = "the position is not of this epoch"
		}
		opened.Start = &rightsizerv1.StreamOpened_Reset_{Reset_: &rightsizerv1.StreamReset{Reason: reason}}
	}
	if err := s.tell(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	if start != bus.Reset || !s.hub.opts.Synced() {
		return nil
	}
	if err := s.snapshot(); err != nil {
		return err
	}
	return s.synced()
}

// snapshot sends what is wrong now, then the incidents that go on. Its messages
// carry no position: the one of `synced` covers them. What changes meanwhile is
// told again after it.
func (s *Session) snapshot() error {
	filter := bus.Compile(s.reader.Filter, s.reader.Scope)
	var msgs []*rightsizerv1.StreamEventsResponse
	take := func(msg *rightsizerv1.StreamEventsResponse) error {
		if msgs = append(msgs, msg); len(msgs) < batchEntries {
			return nil
		}
		err := s.tell(msgs...)
		msgs = msgs[:0]
		return err
	}
	for _, ev := range s.hub.standing(s.reader.Scope) {
		if !filter.MatchesEvent(ev) {
			continue
		}
		if err := take(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: ev}}); err != nil {
			return err
		}
	}
	for _, in := range s.hub.openIncidents() {
		msg := &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: in}}
		if !filter.MatchesMessage(msg) {
			continue
		}
		msg = s.permitted(msg)
		if msg == nil || msg.GetIncident().GetState() != rightsizerv1.IncidentState_INCIDENT_STATE_OPEN {
			continue
		}
		if err := take(msg); err != nil {
			return err
		}
	}
	return s.tell(msgs...)
}

// standing is what is wrong now and, for whom that is, who reads.
func (h *Hub) standing(scope bus.Scope) []*rightsizerv1.Event {
	all := h.opts.Problems.Problems()
	if h.opts.Audience != nil && scope.Confidential() {
		all = slices.Concat(all, h.opts.Audience.Told())
	}
	return all
}

// permitted is a message with what the reader may see of it, the message itself
// unless it is an incident across namespaces; nil where nothing is left that the
// filter passes, or that differs from what the reader was shown last.
func (s *Session) permitted(msg *rightsizerv1.StreamEventsResponse) *rightsizerv1.StreamEventsResponse {
	whole := msg.GetIncident()
	if whole == nil || s.reader.Scope.All() {
		return msg
	}
	in := visible(whole, bus.Compile(nil, s.reader.Scope))
	if in == whole {
		return msg
	}
	cut := &rightsizerv1.StreamEventsResponse{
		Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: in}, Position: msg.GetPosition(),
	}
	if in == nil || !bus.Compile(s.reader.Filter, s.reader.Scope).MatchesMessage(cut) || !s.cuts.fresh(in) {
		return nil
	}
	return cut
}

func (s *Session) synced() error {
	position := s.sub.Position()
	return s.tell(&rightsizerv1.StreamEventsResponse{
		Message:  &rightsizerv1.StreamEventsResponse_Synced{Synced: &rightsizerv1.StreamSynced{Position: position}},
		Position: position,
	})
}

// step waits for something to send and sends it.
func (s *Session) step() error {
	waiting, stop := context.WithCancel(s.ctx)
	defer stop()
	s.interrupt.Store(&stop)
	select {
	case c := <-s.changes: // looked at after interrupt is set: a later change wakes Next
		return s.apply(c)
	default:
	}
	for {
		batch, err := s.sub.Next(waiting, s.hub.opts.Heartbeat, s.room[:])
		switch {
		case err != nil && s.ctx.Err() == nil && waiting.Err() != nil:
			return nil // a changed filter
		case err != nil:
			return err
		}
		if err := s.send(batch); err != nil {
			return err
		}
		clear(s.room[:len(batch.Entries)]) // what was sent must not be kept alive by who sleeps
	}
}

func (s *Session) apply(c *change) error {
	if c.rescope && c.filter != s.reader.Filter {
		return nil // the client changed the filter meanwhile, and was asked about then
	}
	s.mu.Lock()
	s.reader.Filter, s.reader.Scope, s.reader.After = c.filter, c.scope, c.after
	s.mu.Unlock()
	filter := bus.Compile(c.filter, c.scope)
	s.cuts = nil
	if c.after == "" {
		s.sub.SetFilter(filter)
		return s.synced()
	}
	s.mu.Lock()
	lost, _ := s.sub.Progress()
	s.lostBefore += lost
	s.sub.Close()
	s.sub = s.hub.opts.Bus.Subscribe(filter, c.after)
	s.mu.Unlock()
	if err := s.begin(); err != nil || s.sub.Start() == bus.Reset {
		return err
	}
	return s.synced()
}

// send writes one batch: its loss, its entries, or a heartbeat when it is idle.
func (s *Session) send(batch bus.Batch) error {
	out := newOutput(s)
	defer out.free()
	if batch.Lost != nil {
		out.message(&rightsizerv1.StreamEventsResponse{
			Message:  &rightsizerv1.StreamEventsResponse_Lost{Lost: batch.Lost},
			Position: batch.Lost.GetTo(),
		})
	}
	for _, e := range batch.Entries {
		switch own := s.permitted(e.Message()); own {
		case e.Message():
			out.entry(e) // encoded once for all
		case nil:
		default:
			out.message(own)
		}
	}
	if batch.Idle() {
		position := s.sub.EndOf(batch)
		out.message(&rightsizerv1.StreamEventsResponse{
			Message:  &rightsizerv1.StreamEventsResponse_Heartbeat{Heartbeat: &rightsizerv1.StreamHeartbeat{Position: position}},
			Position: position,
		})
	}
	if err := out.flush(); err != nil {
		return err
	}
	s.sub.Ack(batch)
	return nil
}

// tell writes messages that are this session's own.
func (s *Session) tell(msgs ...*rightsizerv1.StreamEventsResponse) error {
	out := newOutput(s)
	defer out.free()
	for _, msg := range msgs {
		out.message(msg)
	}
	return out.flush()
}

// finish tells the client why the stream ends, if it is still there to be told.
func (s *Session) finish(err error) error {
	cause := context.Cause(s.ctx)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.ended = endSlow
		return ErrSlowClient
	case errors.Is(err, bus.ErrClosed):
		cause = errShutdown
	case s.ctx.Err() == nil:
		s.ended = endFailed
		return err // the sink failed
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		s.ended = endClient
		return nil
	}
	s.ended = endServer
	position := s.sub.Position()
	_ = s.tell(&rightsizerv1.StreamEventsResponse{ // the client may be gone as well
		Message:  &rightsizerv1.StreamEventsResponse_Closing{Closing: &rightsizerv1.StreamClosing{Reason: cause.Error(), Position: position}},
		Position: position,
	})
	return nil
}
