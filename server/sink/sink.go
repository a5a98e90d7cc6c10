package sink

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rightsizer/rightsizer/bus"
)

// Endpoint delivers one event, within a time of its own. Where its error has a
// method Retry, that says whether a later attempt may succeed and how long to wait
// at least; any other error may succeed later.
type Endpoint interface {
	Deliver(ctx context.Context, e Event) error
}

// retryable is what an Endpoint's error says of another attempt.
type retryable interface {
	error
	Retry() (after time.Duration, again bool)
}

// Options make a Sink. Name, Bus, Filter, Endpoint and Logger are required.
type Options struct {
	// Name tells sinks apart.
	Name string
	// Bus is read; Filter chooses.
	Bus    *bus.Bus
	Filter *bus.Filter
	// Endpoint takes the events.
	Endpoint Endpoint
	// Cluster is the cluster's id, empty before it is known.
	Cluster func() string
	// Queue is how many events wait at most; 1,024 by default.
	Queue int
	// GiveUpAfter is how long an event is tried; 15 min by default.
	GiveUpAfter time.Duration
	// Logger is told losses and what is given up.
	Logger *slog.Logger
	// Metrics count; nil counts nowhere but in the ledger.
	Metrics *Metrics
}

func (o *Options) complete() error {
	if o.Name == "" || o.Bus == nil || o.Filter == nil || o.Endpoint == nil || o.Logger == nil {
		return errors.New("sink: Name, Bus, Filter, Endpoint and Logger must be set")
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.GiveUpAfter <= 0 {
		o.GiveUpAfter = 15 * time.Minute
	}
	if o.Cluster == nil {
		o.Cluster = func() string { return "" }
	}
	if o.Metrics == nil {
		o.Metrics = newMetrics()
	}
	return nil
}

// Sink sends events to one endpoint. Make it with New, run it once.
type Sink struct {
	opts Options
	sub  *bus.Subscription

	mu     sync.Mutex
	ledger Ledger
	began  time.Time
}

// New makes a Sink that will send what is published from now on.
func New(opts Options) (*Sink, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	s := &Sink{opts: opts, sub: opts.Bus.Subscribe(opts.Filter, ""), began: time.Now()}
	s.opts.Metrics.watch(s)
	return s, nil
}

// Run sends until ctx ends, and returns when nothing of it is left. What waits then
// is dropped.
func (s *Sink) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	intake := make(chan *item)
	parts.Go(func() { s.read(ctx, intake) })
	s.schedule(ctx, intake, &parts)
	return nil
}

// batch is how many entries are read at a time.
const batch = 64

// read takes from the bus what passes the filter. It waits while as many events
// wait as may; the ring holds the rest.
func (s *Sink) read(ctx context.Context, intake chan<- *item) {
	defer s.sub.Close()
	room := make([]*bus.Entry, 0, batch)
	give := func(it *item, err error) bool {
		if err != nil {
			s.count(func(l *Ledger) { l.Failed++ })
			s.opts.Logger.ErrorContext(ctx, "an event cannot be encoded for a sink", slog.Any("error", err))
			return true
		}
		if it == nil {
			return true
		}
		select {
		case intake <- it:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		taken, err := s.sub.Next(ctx, time.Minute, room)
		if err != nil {
			return // the bus ended, or the sink
		}
		if lost := taken.Lost; lost != nil {
			s.count(func(l *Ledger) { l.Dropped += lost.GetCount() })
			s.opts.Logger.WarnContext(ctx, "a sink did not keep up; events were overwritten before it took them",
				slog.Int64("events", lost.GetCount()), slog.Bool("exact", lost.GetExact()))
			if !give(lostItem(lost, s.opts.Cluster(), time.Now())) {
				return
			}
		}
		for _, entry := range taken.Entries {
			if !give(itemOf(entry.Message(), s.opts.Cluster(), time.Now())) {
				return
			}
		}
		s.sub.Ack(taken)
	}
}

// schedule starts deliveries as the lanes decide, until ctx ends.
func (s *Sink) schedule(ctx context.Context, intake <-chan *item, parts *sync.WaitGroup) {
	waiting := newLanes(s.opts.GiveUpAfter)
	done := make(chan outcome, inFlight)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for it := waiting.start(time.Now()); it != nil; it = waiting.start(time.Now()) {
			parts.Go(func() { done <- s.deliver(ctx, it) })
		}
		s.count(func(l *Ledger) { l.Waiting = int64(waiting.waiting) })
		more := intake
		if waiting.waiting >= s.opts.Queue {
			more = nil
		}
		timer.Stop()
		if when, ok := waiting.wake(time.Now()); ok {
			timer.Reset(time.Until(when))
		}
		select {
		case <-ctx.Done():
			for ; waiting.flying > 0; waiting.flying-- { // each ends with ctx; some succeeded
				if o := <-done; o.err == nil {
					waiting.waiting--
					s.count(func(l *Ledger) { l.Sent++ })
				}
			}
			s.left(ctx, int64(waiting.waiting))
			return
		case it := <-more:
			waiting.add(it)
		case o := <-done:
			s.settle(ctx, waiting, o)
		case <-timer.C:
		}
	}
}

// deliver makes one attempt.
func (s *Sink) deliver(ctx context.Context, it *item) outcome {
	began := time.Now()
	err := s.opts.Endpoint.Deliver(ctx, it.event)
	o := outcome{item: it, err: err, again: true, took: time.Since(began)}
	if said, ok := errors.AsType[retryable](err); ok {
		o.after, o.again = said.Retry()
	}
	return o
}

func (s *Sink) settle(ctx context.Context, waiting *lanes, o outcome) {
	now := time.Now()
	failed := waiting.settle(o, now)
	s.opts.Metrics.seconds.Observe(o.took.Seconds())
	s.count(func(l *Ledger) {
		switch {
		case o.err == nil:
			l.Sent++
			l.LastSent = now
			l.failing = false
		case failed:
			l.Failed++
		default:
			l.Retries++
		}
		if o.err != nil {
			l.LastError, l.LastErrorTime = o.err.Error(), now
			if !l.failing {
				l.failing, l.since = true, now
			}
		}
	})
	if failed {
		s.opts.Logger.WarnContext(ctx, "an event was given up", slog.String("id", o.item.event.ID), slog.String("type", o.item.event.Type),
			slog.Duration("age", now.Sub(o.item.taken)), slog.Any("error", o.err))
	}
}

// left counts what waits at the end.
func (s *Sink) left(ctx context.Context, n int64) {
	if n == 0 {
		return
	}
	s.count(func(l *Ledger) { l.Dropped += n; l.Waiting = 0 })
	s.opts.Logger.WarnContext(ctx, "a sink stops with events that were not delivered", slog.Int64("events", n))
}

// String names the sink.
func (s *Sink) String() string { return "sink/" + s.opts.Name }
