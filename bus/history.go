package bus

import (
	"hash/maphash"
	"sync/atomic"
)

// history remembers of each published entry only its namespace, for longer than
// the ring holds the entry itself, so that a reader who was overtaken is told how
// many entries of his own namespaces he lost. Writing it costs Publish one store;
// reading it takes no lock.
type history struct {
	seed maphash.Seed
	hash []atomic.Uint64 // by seq & mask
	mask uint64
}

// everyNamespace marks entries that concern all readers.
const everyNamespace = 0

func newHistory(size int) history {
	return history{seed: maphash.MakeSeed(), hash: make([]atomic.Uint64, size), mask: uint64(size - 1)}
}

// of returns the hash of a namespace; never everyNamespace.
func (h *history) of(namespace string) uint64 {
	return maphash.String(h.seed, namespace) | 1
}

func (h *history) record(seq, namespace uint64) { h.hash[seq&h.mask].Store(namespace) }

// oldest is the first sequence that is surely remembered while head is the newest
// published: the one before it may be giving way to the entry being published.
func (h *history) oldest(head uint64) uint64 {
	if head <= h.mask {
		return 1
	}
	return head - h.mask + 1
}

// count returns how many entries of (from, to] are in one of the namespaces, nil
// meaning all, and whether it remembers them all; if not, the number is a lower
// bound. It counts again when publishing overtook it.
func (h *history) count(from, to uint64, head *atomic.Uint64, namespaces map[uint64]struct{}) (int64, bool) {
	if namespaces == nil {
		return int64(to - from), true
	}
	for {
		first := max(from+1, h.oldest(head.Load()))
		var n int64
		for seq := first; seq <= to; seq++ {
			ns := h.hash[seq&h.mask].Load()
			if _, ok := namespaces[ns]; ok || ns == everyNamespace {
				n++
			}
		}
		if first >= h.oldest(head.Load()) {
			return n, first == from+1
		}
	}
}
