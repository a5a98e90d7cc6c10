package stream

import (
	"context"
	"errors"
	"os"
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
	encode encodeFunc // the sink's, of incidents in brief
	opened time.Time
	ctx    context.Context //nolint:containedctx // the session's life, ended by the hub as well as by the client
	end    context.CancelCauseFunc
	went   func() // tells the audience

	owner  owner
	weight int // as how many streams it counts; the hub's mutex guards it

	sub  *bus.Subscription
	view view
	room [batchEntries]*bus.Entry
	cuts cuts
	// partial says that a snapshot was begun and not ended: no position stands for it.
	partial bool
	// due is when a heartbeat is, without a write before it.
	due time.Time

	mu         sync.Mutex // guards sub as a pointer, lostBefore and reader's filter and scope, for who looks from outside
	lostBefore int64      // by subscriptions before this one, and what could not be encoded

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
// sends them faster than it takes the answers waits here. A filter that makes the
// session count as more streams than there may be fails as [Hub.Open] does.
func (s *Session) Change(filter *rightsizerv1.EventFilter, scope bus.Scope, after string) error {
	if err := s.hub.reweigh(s, filter); err != nil {
		return err
	}
	select {
	case s.changes <- &change{filter: filter, scope: scope, after: after}:
	case <-s.ctx.Done():
		return nil
	}
	if stop := s.interrupt.Load(); stop != nil {
		(*stop)()
	}
	return nil
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
	// Looked at ahead of each batch: who is always behind is never kept waiting by Next.
	for waiting.Err() == nil {
		batch, err := s.sub.Next(waiting, time.Until(s.due), s.room[:])
		if err != nil {
			s.sub.Ack(batch) // what was left out since the last write is behind the client as well
			if waiting.Err() != nil {
				break
			}
			return err
		}
		if err := s.send(batch); err != nil {
			return err
		}
		clear(s.room[:len(batch.Entries)]) // what was sent must not be kept alive by who sleeps
	}
	return s.ctx.Err() // nil for a changed filter
}

func (s *Session) apply(c *change) error {
	if c.rescope && c.filter != s.reader.Filter {
		return nil // the client changed the filter meanwhile, and was asked about then
	}
	s.mu.Lock()
	s.reader.Filter, s.reader.Scope, s.reader.After = c.filter, c.scope, c.after
	s.mu.Unlock()
	s.view = newView(c.filter, c.scope)
	s.cuts = cuts{}
	if c.after == "" {
		s.sub.SetFilter(s.view.filter)
		return s.synced()
	}
	s.mu.Lock()
	lost, _ := s.sub.Progress()
	s.lostBefore += lost
	s.sub.Close()
	s.sub = s.hub.opts.Bus.Subscribe(s.view.filter, c.after)
	s.mu.Unlock()
	if err := s.begin(); err != nil || s.sub.Start() == bus.Reset {
		return err
	}
	return s.synced()
}

// send writes one batch: its loss, its entries, or, where nothing of it is left and
// nothing was written for long enough, a heartbeat. An end in the middle of a batch
// that takes several writes leaves the rest to who resumes.
func (s *Session) send(batch bus.Batch) error {
	out := newOutput(s)
	defer out.free()
	if batch.Lost != nil {
		out.message(&rightsizerv1.StreamEventsResponse{
			Message:  &rightsizerv1.StreamEventsResponse_Lost{Lost: batch.Lost},
			Position: batch.Lost.GetTo(),
		})
	}
	for i, e := range batch.Entries {
		if s.ctx.Err() != nil {
			batch = batch.First(i)
			break
		}
		switch own := s.permitted(e.Message()); own {
		case e.Message():
			out.entry(e) // encoded once for all
		case nil:
		default:
			out.own(own)
		}
	}
	if out.empty() && !time.Now().Before(s.due) {
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
	case errors.Is(err, errEncode):
		s.ended = endFailed
		return err
	case s.ctx.Err() == nil: // the sink failed, before anybody else noticed that the client is gone
		s.ended = endClient
		return err
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		s.ended = endClient
		return nil
	}
	s.ended = endServer
	var position string
	if !s.partial {
		position = s.sub.Position()
	}
	_ = s.tell(&rightsizerv1.StreamEventsResponse{ // the client may be gone as well
		Message:  &rightsizerv1.StreamEventsResponse_Closing{Closing: &rightsizerv1.StreamClosing{Reason: cause.Error(), Position: position}},
		Position: position,
	})
	return nil
}
