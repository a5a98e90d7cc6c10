package bus

import "sync/atomic"

// Stats is what a Bus counts.
type Stats struct {
	// Published and Evicted count entries since the start.
	Published, Evicted uint64
	// Entries and Bytes are held now; Bytes is estimated.
	Entries, Bytes int64
	// Subscriptions are open now; Lost counts entries that they lost, summed.
	Subscriptions int64
	Lost          uint64
}

type counters struct {
	evicted, lost atomic.Uint64
	subscriptions atomic.Int64
}

// Stats returns the counters.
func (b *Bus) Stats() Stats {
	tail := b.tail.Load() // before head, so that the difference is never negative
	head := b.head.Load()
	return Stats{
		Published: head, Evicted: b.counters.evicted.Load(),
		Entries: int64(min(head+1-tail, uint64(len(b.slots)))), Bytes: b.bytes.Load(), //nolint:gosec // at most 1<<20
		Subscriptions: b.counters.subscriptions.Load(), Lost: b.counters.lost.Load(),
	}
}
