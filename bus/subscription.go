package bus

import (
	"context"
	"sync/atomic"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Start says where a subscription began.
type Start int

const (
	// Reset says that there was no usable position: it begins after the newest
	// entry.
	Reset Start = iota
	// Resumed says that nothing after the position is missing that the reader may
	// see.
	Resumed
	// Gap says that entries after the position are overwritten; the first Next
	// tells the loss.
	Gap
)

// Subscription is one reader's cursor. It belongs to one goroutine at a time, but
// for Position, Progress and Unread.
type Subscription struct {
	bus    *Bus
	class  atomic.Pointer[class]
	filter *Filter
	sight  sight // what the filter lets it see, as history counts it

	start  Start
	cursor uint64 // considered up to here
	asleep bool   // guarded by class.mu
	slot   int    // in class.waiting while asleep; guarded by class.mu
	wake   chan struct{}
	timer  *time.Timer

	written atomic.Uint64 // acknowledged up to here
	lost    atomic.Int64
	closed  atomic.Bool
}

// Subscribe starts a reader after a position, or after the newest entry when the
// position is empty or not of this epoch. Close it in the end.
func (b *Bus) Subscribe(f *Filter, after string) *Subscription {
	s := &Subscription{bus: b, wake: make(chan struct{}, 1)}
	s.start, s.cursor = b.locate(after)
	s.written.Store(s.cursor)
	s.class.Store(b.notifier.join(f))
	s.use(f)
	if s.start == Gap {
		n, whole := b.history.count(s.cursor, b.tail.Load()-1, &b.head, s.sight)
		if n == 0 && whole { // what is overwritten is no concern of this reader's
			s.start = Resumed
		}
	}
	b.counters.subscriptions.Add(1)
	return s
}

func (b *Bus) locate(after string) (Start, uint64) {
	head := b.head.Load()
	seq, ok := b.positions.parse(after)
	switch {
	case !ok || seq > head:
		return Reset, head
	case seq+1 < b.tail.Load():
		return Gap, seq
	default:
		return Resumed, seq
	}
}

func (s *Subscription) use(f *Filter) {
	s.filter, s.sight = f, s.bus.history.sight(f)
}

// SetFilter replaces the filter for what was not considered yet.
func (s *Subscription) SetFilter(f *Filter) {
	old, now := s.class.Load(), s.bus.notifier.join(f)
	old.mu.Lock() // so that Progress never looks at a sleeper through the wrong class
	s.class.Store(now)
	old.mu.Unlock()
	s.bus.notifier.leave(old)
	s.use(f)
}

// Start says where the subscription began.
func (s *Subscription) Start() Start { return s.start }

// Close gives the subscription back, once for all calls of it. Nothing but
// Position, Progress, Unread and Close may be called from then on.
func (s *Subscription) Close() {
	if s.closed.Swap(true) {
		return
	}
	s.bus.notifier.leave(s.class.Load())
	s.bus.counters.subscriptions.Add(-1)
}

// Batch is what Next found.
type Batch struct {
	// Lost is set when entries were overwritten before they were considered; it
	// goes ahead of Entries.
	Lost *rightsizerv1.StreamLost
	// Entries pass the filter, in order. They lie in the slice given to Next.
	Entries []*Entry

	end uint64
}

// Idle says that the batch holds nothing: the idle time passed in silence.
func (b Batch) Idle() bool { return b.Lost == nil && len(b.Entries) == 0 }

// First is the batch up to its n-th entry: what comes next, n < len(Entries), and
// all after it stay unconsidered for who acknowledges it and goes on elsewhere.
func (b Batch) First(n int) Batch {
	return Batch{Lost: b.Lost, Entries: b.Entries[:n], end: b.Entries[n].seq - 1}
}

// Next returns entries that pass the filter, at most cap(room) of them, as soon
// as there is one, or a loss; after the idle time without either, an idle batch.
// It allocates nothing unless there was a loss, or no room. It fails with ctx's
// error, or with ErrClosed when the bus ended and nothing is left.
func (s *Subscription) Next(ctx context.Context, idle time.Duration, room []*Entry) (Batch, error) {
	if cap(room) == 0 {
		room = make([]*Entry, 1) // with none, Next would spin beside an entry it cannot return
	}
	room = room[:0]
	if batch := s.take(room); !batch.Idle() {
		return batch, nil // no timer is touched while there is something
	}
	deadline := s.arm(idle)
	defer s.timer.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return Batch{end: s.cursor}, err
		}
		if s.bus.notifier.ended.Load() {
			return s.last(room, ErrClosed)
		}
		if s.bus.notifier.sleep(s) {
			select {
			case <-s.wake:
			case <-deadline:
				s.bus.notifier.rouse(s)
				return s.last(room, nil)
			case <-ctx.Done():
				s.bus.notifier.rouse(s)
				return Batch{end: s.cursor}, ctx.Err()
			}
		}
		if batch := s.take(room); !batch.Idle() {
			return batch, nil
		}
	}
}

// last ends the waiting: with what is there nevertheless, or with otherwise.
func (s *Subscription) last(room []*Entry, otherwise error) (Batch, error) {
	batch := s.take(room)
	if batch.Idle() {
		return batch, otherwise
	}
	return batch, nil
}

// Ready is Next without waiting: what is there now, perhaps nothing.
func (s *Subscription) Ready(room []*Entry) Batch { return s.take(room[:0]) }

func (s *Subscription) arm(idle time.Duration) <-chan time.Time {
	if s.timer == nil {
		s.timer = time.NewTimer(idle)
	} else {
		s.timer.Reset(idle)
	}
	return s.timer.C
}

// take considers what is new, until room is full.
func (s *Subscription) take(room []*Entry) Batch {
	var lost *rightsizerv1.StreamLost
	bus, filter, cursor := s.bus, s.filter, s.cursor
	for head := bus.head.Load(); cursor < head && len(room) < cap(room); {
		e := bus.at(cursor + 1)
		if e == nil {
			if len(room) > 0 {
				break // the loss belongs ahead of what follows it, not of these
			}
			lost, cursor = s.skip(lost, cursor)
			continue
		}
		cursor++
		if filter.Matches(e) {
			room = append(room, e)
		}
	}
	s.cursor = cursor
	return Batch{Lost: lost, Entries: room, end: cursor}
}

// skip returns the cursor moved over what is overwritten, and the loss of this
// episode with that added; nil while nothing that the reader may see is lost.
func (s *Subscription) skip(lost *rightsizerv1.StreamLost, from uint64) (*rightsizerv1.StreamLost, uint64) {
	to := s.bus.tail.Load() - 1 // beyond from: tail moves before an entry goes
	n, whole := s.bus.history.count(from, to, &s.bus.head, s.sight)
	if n == 0 && whole {
		return lost, to
	}
	s.lost.Add(n)
	s.bus.counters.lost.Add(uint64(n))
	if lost == nil {
		lost = &rightsizerv1.StreamLost{Bound: rightsizerv1.LossBound_LOSS_BOUND_EXACT, From: s.bus.positions.format(from)}
		if !s.filter.namespacesOnly() {
			lost.Bound = rightsizerv1.LossBound_LOSS_BOUND_AT_MOST
		}
	}
	lost.Count += n
	if !whole {
		lost.Bound = atLeast(lost.GetBound())
	}
	lost.Exact = lost.GetBound() == rightsizerv1.LossBound_LOSS_BOUND_EXACT
	lost.To = s.bus.positions.format(to)
	return lost, to
}

// atLeast is a bound once some of the loss could not be counted.
func atLeast(bound rightsizerv1.LossBound) rightsizerv1.LossBound {
	switch bound {
	case rightsizerv1.LossBound_LOSS_BOUND_EXACT, rightsizerv1.LossBound_LOSS_BOUND_AT_LEAST:
		return rightsizerv1.LossBound_LOSS_BOUND_AT_LEAST
	default:
		return rightsizerv1.LossBound_LOSS_BOUND_ESTIMATE
	}
}

// Ack says that a batch was written; Position moves to its end.
func (s *Subscription) Ack(b Batch) { s.written.Store(b.end) }

// Position is what a client resumes from: the end of the last batch that was
// acknowledged.
func (s *Subscription) Position() string { return s.bus.positions.format(s.written.Load()) }

// EndOf is the position at the end of a batch: beyond its last entry, everything
// that was filtered out included.
func (s *Subscription) EndOf(b Batch) string { return s.bus.positions.format(b.end) }

// Progress says how many entries the reader lost and how many were published
// that it has not considered and acknowledged. Safe for concurrent use.
func (s *Subscription) Progress() (lost, lag int64) {
	done, head := s.progress()
	return s.lost.Load(), int64(head - done)
}

// Unread returns the oldest entry that the reader has not considered and
// acknowledged, nil where there is none or the ring gave it up. Safe for
// concurrent use.
func (s *Subscription) Unread() *Entry {
	done, head := s.progress()
	if done == head {
		return nil
	}
	return s.bus.at(done + 1)
}

// progress returns how far the reader is, at most head.
func (s *Subscription) progress() (done, head uint64) {
	done, head = s.written.Load(), s.bus.head.Load()
	c := s.class.Load()
	c.mu.Lock()
	for now := s.class.Load(); now != c; now = s.class.Load() { // SetFilter meanwhile
		c.mu.Unlock()
		c = now
		c.mu.Lock()
	}
	if s.asleep { // then everything it took was written
		done = max(done, s.cursor, c.judged)
	}
	c.mu.Unlock()
	return min(done, head), head
}
