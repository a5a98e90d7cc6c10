package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// ErrClosed is what Next returns once the bus has ended and nothing is left.
var ErrClosed = errors.New("bus: closed")

// Options bound a Bus. The zero value takes the defaults.
type Options struct {
	// Entries is how many entries the ring holds at most; a power of two,
	// 4,096 by default, at most 1<<20.
	Entries int
	// Bytes is how much memory they may hold with their cached encodings;
	// 8 MiB by default. The newest entry is kept whatever it costs.
	Bytes int64
	// Remember is for how many entries the namespace is remembered, for exact
	// loss; a power of two, at least 2*Entries, 8*Entries by default, 8 bytes
	// each.
	Remember int
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{Entries: 4096, Bytes: 8 << 20, Remember: 8 * 4096}
}

func (o Options) withDefaults() Options {
	d := DefaultOptions()
	if o.Entries == 0 {
		o.Entries = d.Entries
	}
	if o.Bytes == 0 {
		o.Bytes = d.Bytes
	}
	if o.Remember == 0 {
		o.Remember = 8 * o.Entries
	}
	return o
}

func (o Options) validate() error {
	power := func(n int) bool { return n > 0 && n&(n-1) == 0 }
	var errs []error
	if !power(o.Entries) || o.Entries > 1<<20 {
		errs = append(errs, fmt.Errorf("bus: Entries is %d: want a power of two up to %d", o.Entries, 1<<20))
	}
	if o.Bytes < 1 {
		errs = append(errs, fmt.Errorf("bus: Bytes is %d: want at least 1", o.Bytes))
	}
	if !power(o.Remember) || o.Remember < 2*o.Entries {
		errs = append(errs, fmt.Errorf("bus: Remember is %d: want a power of two of at least 2*Entries, %d", o.Remember, 2*o.Entries))
	}
	return errors.Join(errs...)
}

// Bus is the ring. Make one with New; run its notifier with Run.
type Bus struct {
	positions positions
	made      time.Time
	history   history
	budget    int64
	slots     []atomic.Pointer[Entry]
	mask      uint64

	notifier notifier
	counters counters

	_       cacheLine
	publish sync.Mutex    // orders publishers
	scratch block         // guarded by publish
	tail    atomic.Uint64 // sequence of the oldest entry held
	bytes   atomic.Int64  // estimated, encodings included
	_       cacheLine
	head    atomic.Uint64 // sequence of the newest entry, 0 when there is none; what readers poll
	_       cacheLine
}

// cacheLine keeps what publishers write away from what readers poll.
type cacheLine [64]byte

// New makes an empty bus of a new epoch.
func New(o Options) (*Bus, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	p, err := newPositions()
	if err != nil {
		return nil, err
	}
	b := &Bus{
		positions: p,
		made:      time.Now(),
		history:   newHistory(o.Remember),
		budget:    o.Bytes,
		slots:     make([]atomic.Pointer[Entry], o.Entries),
		mask:      uint64(o.Entries - 1),
	}
	b.tail.Store(1)
	b.notifier.init()
	return b, nil
}

// Run wakes readers until ctx ends; from then on Next returns what is left, then
// ErrClosed. It must run for readers to be woken, once.
func (b *Bus) Run(ctx context.Context) error {
	b.notifier.run(ctx, b)
	return nil
}

// Publish puts an event into the ring. It never waits for a reader. The event
// belongs to the bus from here on.
func (b *Bus) Publish(ev *rightsizerv1.Event) {
	b.add(newEntry(b, ev), b.history.of(ev.GetNamespace()))
}

// PublishConfidential is Publish for those readers alone whose scope has what is
// confidential: to all others it is as if there were no such event, in losses and
// gaps as well.
func (b *Bus) PublishConfidential(ev *rightsizerv1.Event) {
	e := newEntry(b, ev)
	e.confidential = true
	b.add(e, confidential)
}

// PublishIncident puts an incident's change into the ring.
func (b *Bus) PublishIncident(in *rightsizerv1.Incident) {
	e := &Entry{bus: b}
	e.msg.Message = &rightsizerv1.StreamEventsResponse_Incident{Incident: in}
	b.add(e, b.history.ofIncident(in))
}

// Resync puts a mark into the ring that says what the operator could not see.
// Every reader gets it.
func (b *Bus) Resync(r *rightsizerv1.StreamResync) {
	e := &Entry{bus: b}
	e.msg.Message = &rightsizerv1.StreamEventsResponse_Resync{Resync: r}
	b.add(e, everyNamespace)
}

// Synced puts a mark into the ring for readers who came before the first picture
// of the cluster was complete: what was wrong at the start is published.
func (b *Bus) Synced() {
	e := &Entry{bus: b}
	e.msg.Message = &rightsizerv1.StreamEventsResponse_Synced{Synced: &rightsizerv1.StreamSynced{}}
	b.add(e, everyNamespace)
}

func (b *Bus) add(e *Entry, namespace uint64) {
	size := footprint(&e.msg)
	e.held.Store(size)
	b.publish.Lock()
	seq := b.head.Load() + 1
	e.seq = seq
	e.msg.Position = b.positions.into(&b.scratch, seq)
	if synced := e.msg.GetSynced(); synced != nil {
		synced.Position = e.msg.Position
	}
	b.bytes.Add(size)
	b.history.record(seq, namespace)
	b.evict(seq)
	b.slots[seq&b.mask].Store(e)
	b.head.Store(seq)
	b.publish.Unlock()
	b.notifier.signal()
}

// evict gives up the oldest entries until the ring is within its bounds with
// newest as its newest. It takes no lock, so that an encoder may call it without
// ever being waited for: an entry belongs to whoever moves tail past it.
func (b *Bus) evict(newest uint64) {
	for {
		tail := b.tail.Load()
		if tail >= newest || (newest-tail <= b.mask && b.bytes.Load() <= b.budget) {
			return
		}
		old := b.at(tail)
		if old == nil || !b.tail.CompareAndSwap(tail, tail+1) { // tail first: who misses the entry finds it moved
			continue
		}
		if newest-tail <= b.mask { // or else the newest takes its slot anyway
			b.slots[tail&b.mask].CompareAndSwap(old, nil)
		}
		b.bytes.Add(-old.release())
	}
}

// at returns entry seq, nil where the ring does not hold it any more.
func (b *Bus) at(seq uint64) *Entry {
	e := b.slots[seq&b.mask].Load()
	if e == nil || e.seq != seq {
		return nil
	}
	return e
}

// Newest is the position of the newest entry.
func (b *Bus) Newest() string { return b.positions.format(b.head.Load()) }

// Oldest is the position before the oldest entry that is held.
func (b *Bus) Oldest() string { return b.positions.format(b.tail.Load() - 1) }

// CompleteSince is since when nothing of the filter's namespaces has been given up:
// since the bus was made, the oldest of their events that is held was observed, or
// the last one that was given up, or is not remembered, to within 1/64 of Remember.
func (b *Bus) CompleteSince(f *Filter) time.Time {
	first, last, who := b.tail.Load(), b.head.Load(), b.history.sight(f)
	if lost, whole := b.history.count(0, first-1, &b.head, who); lost == 0 && whole {
		return b.made
	}
	since := b.history.after(b.history.latest(first-1, &b.head, who), &b.head)
	for seq := first; seq <= last; seq++ {
		e := b.at(seq)
		if e != nil && e.msg.GetEvent().GetObservedTime() != nil && f.Matches(e) {
			if at := e.msg.GetEvent().GetObservedTime().AsTime(); at.Before(since) {
				return at
			}
			break
		}
	}
	return since
}
