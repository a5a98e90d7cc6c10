package bus

import (
	"sort"
	"sync"
)

// maxSecrets bounds the confidential entries that are remembered by number, 8 bytes
// each. They are few: whoever publishes them keeps to a rate.
const maxSecrets = 1024

// secrets are which entries were confidential, so that whoever sees the whole cluster
// but not them is told an exact loss without them. Safe for concurrent use.
type secrets struct {
	mu        sync.Mutex
	numbers   []uint64 // of entries, rising
	forgotten uint64   // how many were before them
	last      uint64   // number of the latest of those
}

func (s *secrets) add(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.numbers) == maxSecrets {
		s.last, s.numbers = s.numbers[0], append(s.numbers[:0], s.numbers[1:]...)
		s.forgotten++
	}
	s.numbers = append(s.numbers, seq)
}

// count returns how many entries of (from, to] are confidential, and whether that is
// known for certain; if not, there are no more than that.
func (s *secrets) count(from, to uint64) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	upTo := func(seq uint64) int {
		return sort.Search(len(s.numbers), func(i int) bool { return s.numbers[i] > seq })
	}
	n := int64(upTo(to) - upTo(from))
	if from >= s.last {
		return n, true
	}
	return n + int64(min(s.forgotten, min(to, s.last)-from)), false
}
