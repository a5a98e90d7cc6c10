package history

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Key names a series: a container of a workload, or a node where Node is set. Kind is
// then what of the node: nothing is what it uses, else Requested or Limited.
type Key struct {
	Namespace, Kind, Workload, Container string
	Node                                 string
}

// What the pods on a node ask for, as CPU and memory of series of their own.
const (
	Requested = "requested"
	Limited   = "limited"
)

func (k *Key) bytes() int64 {
	return int64(len(k.Namespace) + len(k.Kind) + len(k.Workload) + len(k.Container) + len(k.Node))
}

// Stat is a kind of value.
type Stat uint8

// The stats. A mean is over the replicas, a max over them and over time.
const (
	Pods Stat = iota
	CPUMean
	CPUMax
	MemoryMean
	MemoryMax
	ThrottledMean
	ThrottledMax
	CPUPressure
	MemoryPressure
	IOPressure
	stats
)

// Sizes are amounts that change seldom; 0 is not set. The targets are what is
// recommended: they follow every sample a little, so that one that moved by less
// than a twentieth counts as unchanged.
type Sizes struct {
	CPURequest, MemoryRequest, CPULimit, MemoryLimit, CPUTarget, MemoryTarget float64
}

const sizes = 6

// sizeCodes are Sizes in their order.
type sizeCodes [sizes]code

// firstTarget is where the targets begin.
const firstTarget = 4

func (s *Sizes) codes() sizeCodes {
	var out sizeCodes
	for i, v := range []float64{s.CPURequest, s.MemoryRequest, s.CPULimit, s.MemoryLimit, s.CPUTarget, s.MemoryTarget} {
		if v > 0 {
			out[i] = encode(v) // 0 is not set.
		}
	}
	return out
}

// steady keeps the targets before, where they moved by less than a twentieth.
func (c *sizeCodes) steady(before *sizeCodes) {
	for i := firstTarget; i < sizes; i++ {
		was, is := before[i], c[i]
		if was > 1 && is > 1 && max(was, is)-min(was, is) < perOctave/14 { // 2^(1/14) is 1.05
			c[i] = was
		}
	}
}

// Values are those of one series in one minute; NaN is not measured.
type Values [stats]float64

// None is nothing measured.
func None() Values {
	var v Values
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}

// tier is a width of columns.
type tier struct {
	width time.Duration
	// target is how many columns are wanted, least how many the next tier is made
	// of.
	target, least int
}

var tiers = []tier{
	{time.Minute, 120, 11},
	{10 * time.Minute, 144, 7},
	{time.Hour, 336, 2},
}

// column holds the values of a stretch of time; a stat that nobody told is nil.
type column struct {
	start  int64 // Unix seconds
	values [stats][]code
}

func (c *column) bytes() int64 {
	n := 64 + 24*int64(stats)
	for i := range c.values {
		n += 2 * int64(cap(c.values[i]))
	}
	return n
}

func (c *column) at(s Stat, slot int) code {
	if slot >= len(c.values[s]) {
		return 0
	}
	return c.values[s][slot]
}

// set puts a value, with room for width series.
func (c *column) set(s Stat, slot, width int, v code) {
	if v == 0 {
		return
	}
	if slot >= len(c.values[s]) {
		// A quarter more, since series that are new come one by one.
		grown := make([]code, max(width, slot+1+slot/4))
		copy(grown, c.values[s])
		c.values[s] = grown
	}
	c.values[s][slot] = v
}

// series is one slot.
type series struct {
	key Key
	// since is when the slot became this series', last when it was measured, in
	// Unix seconds.
	since, last int64
	changes     []change
}

// change is the moment at which sizes became what they are, until the next.
type change struct {
	at    int64
	codes sizeCodes
}

// maxChanges bounds the changes kept of one series, the newest.
const maxChanges = 24

// seriesBytes is what a series takes without the text of its key: the slot, the
// entry in the index, and what slices and maps keep in reserve.
const seriesBytes = 300

// MinBytes is the least bound.
const MinBytes = 64 << 10

// History is the store.
type History struct {
	mu      sync.RWMutex
	most    int64
	bytes   int64
	slots   []series
	free    []int
	index   map[Key]int
	tiers   [][]*column // per tier, oldest first
	refused uint64
	rewound uint64
	last    int64
}

// New returns an empty History of at most so many bytes.
func New(most int64) (*History, error) {
	if most < MinBytes {
		return nil, fmt.Errorf("history: %d bytes are too few, at least %d are needed", most, MinBytes)
	}
	return &History{most: most, index: make(map[Key]int), tiers: make([][]*column, len(tiers))}, nil
}

// Minute is what is measured of a minute, in the making.
type Minute struct {
	h *History
	c *column
}

// maxBack is how far a clock may be set back without a loss: until it has caught up,
// minutes are refused.
const maxBack = 2 * time.Minute

// Record adds a minute: fill is called once, with the History locked, and adds
// what was measured. A minute that is not later than the latest is refused. Where the
// clock was set back by more, it was ahead, and what lies in the time to come is
// dropped.
func (h *History) Record(at time.Time, fill func(*Minute)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	start := at.Truncate(time.Minute).Unix()
	if h.last-start > int64(maxBack/time.Second) {
		h.rewind(start)
	}
	if start <= h.last {
		return false // Somebody asks too often.
	}
	before := h.last
	h.last = start
	m := &Minute{h: h, c: &column{start: start}}
	fill(m)
	h.push(0, m.c)
	for i := 1; i < len(tiers); i++ {
		width := int64(tiers[i].width / time.Second)
		if before == 0 || before/width == start/width {
			break
		}
		from := before / width * width
		h.push(i, h.merge(i-1, from, from+width))
	}
	h.shrink()
	return true
}

// rewind drops what is not before a time.
func (h *History) rewind(start int64) {
	h.rewound++
	h.last = 0
	for i := range h.tiers {
		width := int64(tiers[i].width / time.Second)
		h.tiers[i] = slices.DeleteFunc(h.tiers[i], func(c *column) bool {
			if c.start+width > start {
				h.bytes -= c.bytes()
				return true
			}
			h.last = max(h.last, c.start)
			return false
		})
	}
	for slot := range h.slots {
		s := &h.slots[slot]
		if s.key == (Key{}) {
			continue
		}
		s.last = min(s.last, start)
		s.since = min(s.since, start)
		before := len(s.changes)
		s.changes = slices.DeleteFunc(s.changes, func(c change) bool { return c.at >= start })
		h.bytes -= changeBytes * int64(before-len(s.changes))
	}
}

// Add adds the values of one series, and its sizes. Past the bound a new series is
// refused, and counted.
func (m *Minute) Add(k Key, v *Values, s *Sizes) bool {
	slot, ok := m.h.slot(k, m.c.start)
	if !ok {
		return false
	}
	held := &m.h.slots[slot]
	held.last = m.c.start
	for i := range v {
		m.c.set(Stat(i), slot, len(m.h.slots), encode(v[i]))
	}
	codes := s.codes()
	if n := len(held.changes); n > 0 {
		codes.steady(&held.changes[n-1].codes)
	}
	if n := len(held.changes); n == 0 || held.changes[n-1].codes != codes {
		if n == maxChanges {
			held.changes = slices.Delete(held.changes, 0, 1)
			m.h.bytes -= changeBytes
		}
		held.changes = append(held.changes, change{at: m.c.start, codes: codes})
		m.h.bytes += changeBytes
	}
	return true
}

const changeBytes = 36

// slot finds or makes the place of a series.
func (h *History) slot(k Key, at int64) (int, bool) {
	if slot, ok := h.index[k]; ok {
		return slot, true
	}
	need := seriesBytes + k.bytes()
	if h.bytes+need > h.most && !h.forget(h.bytes+need-h.most) {
		h.refused++
		return 0, false
	}
	var slot int
	if n := len(h.free); n > 0 {
		slot, h.free = h.free[n-1], h.free[:n-1]
		h.slots[slot] = series{key: k, since: at}
	} else {
		slot = len(h.slots)
		h.slots = append(h.slots, series{key: k, since: at})
	}
	h.index[k] = slot
	h.bytes += need
	return slot, true
}

// push adds a column to a tier.
func (h *History) push(i int, c *column) {
	h.tiers[i] = append(h.tiers[i], c)
	h.bytes += c.bytes()
	if len(h.tiers[i]) > tiers[i].target {
		h.drop(i)
	}
}

func (h *History) drop(i int) {
	h.bytes -= h.tiers[i][0].bytes()
	h.tiers[i] = slices.Delete(h.tiers[i], 0, 1)
}

// merge makes one column of those of a finer tier within a stretch of time.
func (h *History) merge(i int, from, to int64) *column {
	out := &column{start: from}
	var parts []*column
	for _, c := range h.tiers[i] {
		if c.start >= from && c.start < to {
			parts = append(parts, c)
		}
	}
	for stat := range stats {
		for slot := range h.slots {
			var sum, weight, most float64
			found := false
			for _, c := range parts {
				v := c.at(stat, slot)
				if v == 0 || c.start < h.slots[slot].since {
					continue
				}
				found = true
				n := 1.0
				if stat != Pods {
					n = max(c.at(Pods, slot).decode(), 1)
				}
				sum, weight, most = sum+n*v.decode(), weight+n, max(most, v.decode())
			}
			if !found {
				continue
			}
			value := sum / weight
			if stat == CPUMax || stat == MemoryMax || stat == ThrottledMax {
				value = most
			}
			out.set(stat, slot, len(h.slots), encode(value))
		}
	}
	return out
}

// shrink drops the oldest columns until the bound holds.
func (h *History) shrink() {
	if h.bytes > h.most {
		h.forget(h.bytes - h.most)
	}
	h.sweep()
}

// forget makes room; false where the least that is needed leaves none.
func (h *History) forget(bytes int64) bool {
	for goal := h.bytes - bytes; h.bytes > goal; {
		fullest, most := -1, 0.0
		for i := range tiers {
			if share := float64(len(h.tiers[i])) / float64(tiers[i].target); len(h.tiers[i]) > tiers[i].least && share > most {
				fullest, most = i, share
			}
		}
		if fullest < 0 {
			return false
		}
		h.drop(fullest)
	}
	return true
}

// sweep frees the slots of series of which nothing is held any more.
func (h *History) sweep() {
	oldest := h.oldest()
	for slot := range h.slots {
		s := &h.slots[slot]
		if s.key == (Key{}) || s.last >= oldest {
			continue
		}
		delete(h.index, s.key)
		h.bytes -= seriesBytes + s.key.bytes() + changeBytes*int64(len(s.changes))
		h.slots[slot] = series{since: math.MaxInt64}
		h.free = append(h.free, slot)
	}
}

// oldest is the beginning of the oldest column.
func (h *History) oldest() int64 {
	oldest := int64(math.MaxInt64)
	for i := range h.tiers {
		if len(h.tiers[i]) > 0 {
			oldest = min(oldest, h.tiers[i][0].start)
		}
	}
	return oldest
}

// Stats tell what a History holds.
type Stats struct {
	// Series held, in so many Bytes; Refused for want of room since the start.
	// Rewound is how often a clock was set back that had been ahead.
	Series           int
	Bytes            int64
	Refused, Rewound uint64
	// Reach is how far back it goes, 0 where it is empty.
	Reach time.Duration
}

// Stats returns the numbers.
func (h *History) Stats() Stats {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := Stats{Series: len(h.index), Bytes: h.bytes, Refused: h.refused, Rewound: h.rewound}
	if oldest := h.oldest(); oldest != math.MaxInt64 {
		s.Reach = time.Duration(h.last-oldest) * time.Second
	}
	return s
}
