package bus

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// notifier wakes readers whom new entries concern. Readers with equal filters
// wait in one class, so that an entry is judged once per filter and not once per
// reader; a reader whom it does not concern sleeps on, while its class remembers
// how far it was judged.
type notifier struct {
	pending chan struct{} // one token: something was published
	ended   atomic.Bool   // run is over: nobody sleeps any more

	_       cacheLine
	waiting atomic.Int64 // readers asleep
	_       cacheLine

	mu      sync.Mutex
	classes map[string]*class

	round []*class // run's own: the classes it is judging for
}

// class is the readers of one filter.
type class struct {
	filter *Filter
	refs   int // subscriptions; guarded by notifier.mu

	mu      sync.Mutex
	judged  uint64 // while somebody waits: no entry up to here concerns the waiting
	waiting []*Subscription
}

func (n *notifier) init() {
	n.pending = make(chan struct{}, 1)
	n.classes = make(map[string]*class)
}

// signal tells the notifier that something was published; free while nobody
// sleeps.
func (n *notifier) signal() {
	if n.waiting.Load() == 0 {
		return
	}
	select {
	case n.pending <- struct{}{}:
	default:
	}
}

// The pause after a round of waking grows with the readers woken, so that under
// load entries reach them in batches, while the first entry after silence is
// never held back. At 100 readers it reaches its bound.
const (
	lingerPerReader = 50 * time.Microsecond
	maxLinger       = 5 * time.Millisecond
)

func (n *notifier) run(ctx context.Context, b *Bus) {
	defer n.end(b)
	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.pending:
		}
		woken := n.wake(b)
		if woken < 2 {
			continue // a lone reader batches by itself while it writes
		}
		timer.Reset(min(time.Duration(woken)*lingerPerReader, maxLinger))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// wake judges what is new for every class in which somebody waits, and returns
// how many readers it woke.
func (n *notifier) wake(b *Bus) int {
	n.mu.Lock()
	n.round = n.round[:0]
	for _, c := range n.classes {
		n.round = append(n.round, c)
	}
	n.mu.Unlock()
	woken := 0
	for _, c := range n.round { // a class made meanwhile has readers who sleep only if they need not be woken
		woken += c.wake(n, b)
	}
	clear(n.round) // what is left by its readers must not be kept alive
	return woken
}

// end wakes everybody for good. A channel that all sleepers select on would do
// it too, but each of them would pay for that with every sleep.
func (n *notifier) end(b *Bus) {
	n.ended.Store(true)
	n.wake(b)
}

func (c *class) wake(n *notifier, b *Bus) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 || !c.concerned(b) && !n.ended.Load() {
		return 0
	}
	woken := len(c.waiting)
	for i, s := range c.waiting {
		s.cursor = max(s.cursor, c.judged)
		s.asleep = false
		s.wake <- struct{}{} // never blocks: one slot, and only a sleeper is woken
		c.waiting[i] = nil
	}
	c.waiting = c.waiting[:0]
	n.waiting.Add(int64(-woken))
	return woken
}

// concerned moves judged up to the first entry that passes the filter, or to the
// newest, and says whether there is one. An overwritten entry counts as one: the
// readers must learn of their loss.
func (c *class) concerned(b *Bus) bool {
	for head := b.head.Load(); c.judged < head; c.judged++ {
		if e := b.at(c.judged + 1); e == nil || c.filter.Matches(e) {
			return true
		}
	}
	return false
}

// join returns the class of a filter, made if need be.
func (n *notifier) join(f *Filter) *class {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.classes[f.key]
	if c == nil {
		c = &class{filter: f}
		n.classes[f.key] = c
	}
	c.refs++
	return c
}

// leave gives a class back; the last one out removes it.
func (n *notifier) leave(c *class) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.refs--; c.refs == 0 {
		delete(n.classes, c.filter.key)
	}
}

// sleep parks s unless something was published that it has not seen, or run is
// over; it says whether s sleeps.
func (n *notifier) sleep(s *Subscription) bool {
	c := s.class.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	// Before head is read: a publisher stores head and then reads waiting, so
	// that one of the two sees the other.
	n.waiting.Add(1)
	if s.bus.head.Load() != s.cursor || n.ended.Load() {
		n.waiting.Add(-1)
		return false
	}
	if len(c.waiting) == 0 {
		c.judged = s.cursor
	}
	s.asleep, s.slot = true, len(c.waiting)
	c.waiting = append(c.waiting, s)
	return true
}

// rouse takes s out of the waiting, if it is still among them, and leaves its
// wake channel empty.
func (n *notifier) rouse(s *Subscription) {
	c := s.class.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.asleep {
		<-s.wake // woken meanwhile: take the token
		return
	}
	s.asleep = false
	s.cursor = max(s.cursor, c.judged)
	n.waiting.Add(-1)
	last := len(c.waiting) - 1
	c.waiting[last].slot = s.slot
	c.waiting[s.slot] = c.waiting[last]
	c.waiting[last] = nil
	c.waiting = c.waiting[:last]
}
