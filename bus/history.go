package bus

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// history remembers of each published entry only its namespace, for longer than
// the ring holds the entry itself, so that a reader who was overtaken is told how
// many entries of his own namespaces he lost. Writing it costs Publish one store;
// reading it takes no lock, but for what is confidential.
type history struct {
	seed    maphash.Seed
	hash    []atomic.Uint64 // by seq & mask
	mask    uint64
	secrets secrets
	// times is when each stride-th entry was published, in ns since 1970: twice as
	// many as the hashes reach back.
	times  [2 * timesKept]atomic.Int64
	stride uint64
}

// timesKept is into how many parts what is remembered is divided by times.
const timesKept = 64

// What stands in place of a namespace's hash, which is odd.
const (
	everyNamespace    = 0 // concerns all readers
	noNamespace       = 2 // concerns those alone who see all namespaces
	severalNamespaces = 4 // concerns some readers; which ones is not remembered
	confidential      = 6 // concerns those alone whose scope says so
)

func newHistory(size int) history {
	return history{seed: maphash.MakeSeed(), hash: make([]atomic.Uint64, size), mask: uint64(size - 1), stride: max(uint64(size/timesKept), 1)}
}

// of returns the hash of a namespace.
func (h *history) of(namespace string) uint64 {
	return maphash.String(h.seed, namespace) | 1
}

// ofIncident returns the hash of the namespace that all members are in.
func (h *history) ofIncident(in *rightsizerv1.Incident) uint64 {
	members := in.GetMembers()
	if len(members) == 0 {
		return noNamespace
	}
	for _, m := range members {
		if m.GetNamespace() != members[0].GetNamespace() {
			return severalNamespaces
		}
	}
	return h.of(members[0].GetNamespace())
}

func (h *history) record(seq, namespace uint64) {
	h.hash[seq&h.mask].Store(namespace)
	if seq%h.stride == 0 {
		h.timeOf(seq).Store(time.Now().UnixNano())
	}
	if namespace == confidential {
		h.secrets.add(seq)
	}
}

func (h *history) timeOf(seq uint64) *atomic.Int64 {
	return &h.times[seq/h.stride%uint64(len(h.times))]
}

// after is a time after which no entry up to seq was published, which is surely
// remembered or the last that is not: that of the next one whose time is kept, or now.
func (h *history) after(seq uint64, head *atomic.Uint64) time.Time {
	if next := (seq/h.stride + 1) * h.stride; next <= head.Load() {
		return time.Unix(0, h.timeOf(next).Load())
	}
	return time.Now()
}

// sight is what a reader may see.
type sight struct {
	namespaces   map[uint64]struct{} // hashes; nil is all
	confidential bool                // looked at where all are
}

// sight is what a filter lets its reader see.
func (h *history) sight(f *Filter) sight {
	who := sight{confidential: f.secrets}
	if !f.anywhere {
		who.namespaces = make(map[uint64]struct{}, len(f.namespaces))
		for ns := range f.namespaces {
			who.namespaces[h.of(ns)] = struct{}{}
		}
	}
	return who
}

// oldest is the first sequence that is surely remembered while head is the newest
// published: the one before it may be giving way to the entry being published.
func (h *history) oldest(head uint64) uint64 {
	if head <= h.mask {
		return 1
	}
	return head - h.mask + 1
}

// count returns how many entries of (from, to] may be seen, and whether that is all
// of them; if not, because some are forgotten or across namespaces, the number is a
// lower bound. It counts again when publishing overtook it.
func (h *history) count(from, to uint64, head *atomic.Uint64, who sight) (int64, bool) {
	switch {
	case who.namespaces == nil && who.confidential:
		return int64(to - from), true
	case who.namespaces == nil:
		hidden, whole := h.secrets.count(from, to)
		return int64(to-from) - hidden, whole
	}
	for {
		first := max(from+1, h.oldest(head.Load()))
		n, whole := int64(0), first == from+1
		for seq := first; seq <= to; seq++ {
			ns := h.hash[seq&h.mask].Load()
			if _, ok := who.namespaces[ns]; ok || ns == everyNamespace {
				n++
			}
			whole = whole && ns != severalNamespaces
		}
		if first >= h.oldest(head.Load()) {
			return n, whole
		}
	}
}

// latest is the last of the entries up to `to` that may be seen, or that nobody
// remembers: none after it up to `to` may.
func (h *history) latest(to uint64, head *atomic.Uint64, who sight) uint64 {
	if who.namespaces == nil {
		return to
	}
	seq := to
	for ; seq >= h.oldest(head.Load()); seq-- {
		ns := h.hash[seq&h.mask].Load()
		if _, ok := who.namespaces[ns]; ok || ns == everyNamespace {
			break
		}
	}
	return seq
}
