package usage

import (
	"container/list"
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// Key names one container of a workload, all its replicas together.
type Key struct {
	// Namespace, Kind and Name are the workload's.
	Namespace, Kind, Name string
	Container             string
	// Group sets replicas apart that differ for a reason: a DaemonSet's by group
	// of nodes. Empty where they do not.
	Group string
}

// BookOptions are the bounds of a Book.
type BookOptions struct {
	// MaxBytes is what the sketches may take with their keys; 0 means
	// DefaultBookBytes. At least MinBookBytes.
	MaxBytes int64
}

// Bounds of a Book in bytes.
const (
	// DefaultBookBytes holds about 16,000 containers.
	DefaultBookBytes = 16 << 20
	// MinBookBytes holds about 60.
	MinBookBytes = 64 << 10
)

// entryBytes is what an entry takes without the text of its key: the entry with
// its sketch, the list's element, and the map's share with its load factor.
const entryBytes = int64(unsafe.Sizeof(entry{})+unsafe.Sizeof(list.Element{})) + 2*(int64(unsafe.Sizeof(Key{}))+8)

// coldAfter is how many seconds after its newest sample a sketch may be forgotten for
// another: what is polled in a round is never far apart, and each would have to go for
// the next.
const coldAfter = 3600

// Book is a bounded map of sketches. Past its bound the container that was
// observed longest ago is forgotten first, and counted; while none is cold, what is new
// is turned away, and counted.
type Book struct {
	mu        sync.RWMutex
	maxBytes  int64
	entries   map[Key]*list.Element
	order     *list.List // of *entry, the one observed last at the front
	bytes     int64
	forgotten uint64
	refused   uint64
	renewed   uint64
	turned    uint64
	turnedAt  int64
}

type entry struct {
	key    Key
	sketch Sketch
}

// NewBook returns an empty Book.
func NewBook(o BookOptions) (*Book, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultBookBytes
	}
	if o.MaxBytes < MinBookBytes {
		return nil, fmt.Errorf("usage: MaxBytes is %d: wants at least %d, or 0 for %d", o.MaxBytes, MinBookBytes, int64(DefaultBookBytes))
	}
	return &Book{maxBytes: o.MaxBytes, entries: make(map[Key]*list.Element), order: list.New()}, nil
}

// maxKeyBytes bounds the text of a key; the API server's names stay below.
const maxKeyBytes = 1024

var errKey = errors.New("usage: a key without a container, or longer than 1,024 bytes")

func (k Key) check() error {
	if k.Container == "" || k.textBytes() > maxKeyBytes {
		return errKey
	}
	return nil
}

func (k Key) textBytes() int64 {
	return int64(len(k.Namespace) + len(k.Kind) + len(k.Name) + len(k.Container) + len(k.Group))
}

// Observe adds a sample to the container's sketch and reports whether it was
// taken; see Sketch.Observe. A refused one makes no entry.
func (b *Book) Observe(k Key, x Sample) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.change(k, func(s *Sketch) bool { return s.Observe(x) })
}

// MaxAhead is how many seconds a sample may be ahead of the clock of who observes it.
const MaxAhead = 60

// ObserveNow is Observe at a time of which the clock says now, in Unix seconds. What
// lies in the time to come by then is of a clock that was ahead: the sketch begins
// anew, and is counted.
func (b *Book) ObserveNow(k Key, x Sample, now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.change(k, func(s *Sketch) bool {
		if s.Last() > now+MaxAhead && x.Time <= now+MaxAhead {
			kills := s.oom
			if *s = (Sketch{}); int64(kills.at[0]) <= now+MaxAhead {
				s.oom = kills
			}
			b.renewed++
		}
		return s.Observe(x)
	})
}

// ObserveOOM adds an OOM kill; see Sketch.ObserveOOM.
func (b *Book) ObserveOOM(k Key, t int64, limitBytes float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.change(k, func(s *Sketch) bool { return s.ObserveOOM(t, limitBytes) })
}

// RecallOOM adds one from before the start; see Sketch.RecallOOM.
func (b *Book) RecallOOM(k Key, t int64, limitBytes float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.change(k, func(s *Sketch) bool { return s.RecallOOM(t, limitBytes) })
}

// Merge adds a whole sketch, such as history from elsewhere.
func (b *Book) Merge(k Key, from *Sketch) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.change(k, func(s *Sketch) bool { s.Merge(from); return true })
}

// change applies f to the sketch of k, made where there is none.
func (b *Book) change(k Key, f func(*Sketch) bool) bool {
	if held, ok := b.entries[k]; ok {
		if !f(&of(held).sketch) {
			b.refused++
			return false
		}
		b.order.MoveToFront(held)
		return true
	}
	e := &entry{key: k}
	if k.check() != nil || !f(&e.sketch) {
		b.refused++
		return false
	}
	if at := e.newest(); b.full(k) && of(b.order.Back()).newest() > at-coldAfter {
		b.turned, b.turnedAt = b.turned+1, max(b.turnedAt, at)
		return false
	}
	b.insert(e)
	return true
}

// full says that one more has no room.
func (b *Book) full(k Key) bool { return b.bytes+entryBytes+k.textBytes() > b.maxBytes }

func (b *Book) insert(e *entry) {
	b.entries[e.key] = b.order.PushFront(e)
	b.bytes += entryBytes + e.key.textBytes()
	for b.bytes > b.maxBytes {
		b.remove(b.order.Back())
		b.forgotten++
	}
}

// newest is the time of the newest sample or kill.
func (e *entry) newest() int64 { return max(e.sketch.Last(), int64(e.sketch.oom.at[0])) }

func of(e *list.Element) *entry {
	return e.Value.(*entry) //nolint:forcetypeassert // the list holds nothing else
}

func (b *Book) remove(e *list.Element) {
	k := of(e).key
	b.order.Remove(e)
	delete(b.entries, k)
	b.bytes -= entryBytes + k.textBytes()
}

// Get returns a copy of a sketch, false where there is none.
func (b *Book) Get(k Key) (Sketch, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	held, ok := b.entries[k]
	if !ok {
		return Sketch{}, false
	}
	return of(held).sketch, true
}

// Range calls f for each entry, the one observed last first, until it returns
// false. The Book is locked for reading meanwhile: f must not call the Book, keep
// the pointer, or change what it points to.
func (b *Book) Range(f func(Key, *Sketch) bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for e := b.order.Front(); e != nil; e = e.Next() {
		if held := of(e); !f(held.key, &held.sketch) {
			return
		}
	}
}

// Forget removes a container that is gone for good and reports whether it was
// held.
func (b *Book) Forget(k Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	held, ok := b.entries[k]
	if ok {
		b.remove(held)
	}
	return ok
}

// BookStats counts what a Book holds and what it did not take.
type BookStats struct {
	// Entries held, and the bytes that they take.
	Entries int
	Bytes   int64
	// Forgotten entries at the bound, samples refused, entries renewed because they
	// were of a time to come, and samples and kills turned away for want of room, since
	// the start.
	Forgotten, Refused, Renewed, TurnedAway uint64
	// TurnedAt is the time of the newest that was turned away; 0 is never.
	TurnedAt int64
}

// Stats returns the counts.
func (b *Book) Stats() BookStats {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return BookStats{
		Entries: len(b.entries), Bytes: b.bytes,
		Forgotten: b.forgotten, Refused: b.refused, Renewed: b.renewed, TurnedAway: b.turned, TurnedAt: b.turnedAt,
	}
}
