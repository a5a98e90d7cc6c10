package recommend

import (
	"math"
	"time"

	"github.com/rightsizer/rightsizer/watcher/usage"
)

// MemoryTerms are the numbers behind the memory target, in bytes unless it says
// otherwise.
type MemoryTerms struct {
	// Level is the one that costs least of those that were seen; Exceeded is the
	// weighted share of windows that went above it.
	Level, Exceeded float64
	// Soon says that the next hours alone need more than the day does: Level is
	// theirs.
	Soon bool
	// Windows is how many windows were weighed, Highest the highest of them.
	Windows int
	Highest float64
	// Typical is the mean of the maxima of all blocks.
	Typical float64
	// Margin is the share added to Level, TypicalMargin that of Typical.
	Margin, TypicalMargin float64
	// OOMFloor is what a recent OOM kill asks for; 0 where there is none.
	OOMFloor float64
	// OOMLimit is the limit of the kill, 0 where it is not known, OOMBump by how
	// much it is multiplied for that, OOMHighest the highest seen, which it is at
	// least.
	OOMLimit, OOMBump, OOMHighest float64
	// OOMHold is for how long; 0 until the next run has ended.
	OOMHold time.Duration
	// StartupPeak is what starts need; 0 where nothing is known.
	StartupPeak float64
	// Multiplier of all that.
	Multiplier float64
	// Need is the target of the next hours alone, before bounds: what makes a
	// raise urgent.
	Need float64
	// Raw is the target before bounds.
	Raw float64
}

const (
	blocksPerDay = 24 / usage.BlockHours
	blockSeconds = usage.BlockHours * 3600
	maxWindows   = usage.Blocks/blocksPerDay + 1
)

// window is the highest memory of one stretch of hours, and its weight.
type window struct{ most, weight float64 }

// windows are what the next hours may be like: the same hours of each day that is
// held, newer days weighing more, and the recent hours. Sorted, the highest
// first.
type windows struct {
	all   [maxWindows]window
	n     int
	total float64
}

func (w *windows) add(most, weight float64) {
	if most == 0 {
		return
	}
	i := w.n
	for ; i > 0 && w.all[i-1].most < most; i-- {
		w.all[i] = w.all[i-1]
	}
	w.all[i] = window{most, weight}
	w.n++
	w.total += weight
}

// above is the weighted share of windows higher than a level.
func (w *windows) above(level float64) float64 {
	sum := 0.0
	for _, c := range w.all[:w.n] {
		if c.most <= level {
			break
		}
		sum += c.weight
	}
	return sum / max(w.total, 1e-9)
}

// terms weighs what was seen.
func (s *MemorySettings) terms(in *Input) MemoryTerms {
	k := in.Sketch
	block := in.asOf().Unix() / blockSeconds
	t := MemoryTerms{Typical: k.MemoryTypical(), Multiplier: s.Multiplier}
	first, last := k.MemoryTimes()
	days := max(float64(last-first)/86400, 0.25)
	t.Margin = s.Margin + s.MarginYoung/days
	s.answer(&t, in, block)
	_, t.StartupPeak = k.StartupPeak()

	var near, w windows
	s.weigh(&near, k, block, s.Ahead)
	s.weigh(&w, k, block, s.Keep)
	t.Windows, t.Highest = w.n, w.all[0].most
	t.TypicalMargin = s.typicalMargin(t.Highest, t.Typical)
	soon, _ := s.cheapest(&near, t.Typical, s.Ahead)
	t.Need = t.with(soon)
	t.Level, t.Exceeded = s.cheapest(&w, t.Typical, s.Keep)
	if soon > t.Level {
		t.Level, t.Exceeded, t.Soon = soon, w.above(soon), true
	}
	t.Raw = t.with(t.Level)
	return t
}

// answer fills in what a recent OOM kill asks for. Of what runs now and then, the
// answer stands until a run has come to its end after the kill.
func (s *MemorySettings) answer(t *MemoryTerms, in *Input, block int64) {
	oom, killed := in.Sketch.OOM(0)
	if !killed {
		return
	}
	recent := in.Now.Unix()-oom.Time < int64(s.OOMHold.Seconds())
	untried := in.Context.runs() && in.Context.RunBegan.Unix() < oom.Time
	if !recent && !untried {
		return
	}
	if t.OOMHold = s.OOMHold; untried {
		t.OOMHold = 0
	}
	t.OOMLimit, t.OOMBump = oom.LimitBytes, s.OOMBump
	t.OOMHighest = in.Sketch.MemoryMax(block-usage.Blocks+1, block+1)
	if t.Typical > 0 { // the more uneven it was, the less a kill says
		t.OOMBump += min(max((t.OOMHighest/t.Typical-1)/2, 0), s.OOMBumpUneven)
	}
	t.OOMFloor = max(t.OOMLimit*t.OOMBump, t.OOMHighest)
}

// typicalMargin is the share of the typical that is added, by how far the highest is
// above it.
func (s *MemorySettings) typicalMargin(highest, typical float64) float64 {
	if typical == 0 {
		return s.TypicalMargin
	}
	uneven := min(max((highest/typical-1)/s.TypicalRange, 0), 1)
	return s.FlatMargin + (s.TypicalMargin-s.FlatMargin)*uneven
}

// with is the target that a level gives.
func (t *MemoryTerms) with(level float64) float64 {
	raw := max(level*(1+t.Margin)+t.Typical*t.TypicalMargin, t.StartupPeak*(1+t.Margin)) * t.Multiplier
	return max(raw, t.OOMFloor)
}

// formula is the target without what an OOM kill or a start asks for.
func (t *MemoryTerms) formula() float64 {
	return (t.Level*(1+t.Margin) + t.Typical*t.TypicalMargin) * t.Multiplier
}

// startupBinds says that what starts need is more than the rest of the formula.
func (t *MemoryTerms) startupBinds() bool {
	return t.StartupPeak > 0 && t.Raw > t.formula() && t.Raw > t.OOMFloor
}

// weigh fills in the windows of so many blocks ahead.
func (s *MemorySettings) weigh(w *windows, k *usage.Sketch, block int64, ahead int) {
	w.n, w.total = 0, 0
	weight := 1.0
	for day := int64(1); day < maxWindows; day++ {
		from := block - day*blocksPerDay
		w.add(k.MemoryMax(from, from+int64(ahead)), weight)
		weight *= s.DayWeight
	}
	recent := int64(s.Recent)
	if w.n == 0 { // the first day: all that there is
		recent = blocksPerDay
	}
	w.add(k.MemoryMax(block-recent+1, block+1), max(w.total*s.RecentWeight, 1e-3))
	if w.n == 0 { // nothing in these hours: whatever is held
		w.add(k.MemoryMax(block-usage.Blocks+1, block+1), 1)
	}
}

// cheapest returns the level at which memory held and OOM kills expected cost
// least, and the share of windows above it. Holding L for the window costs
// L times its days; each window above costs OOMCost days of typical memory.
func (s *MemorySettings) cheapest(w *windows, typical float64, ahead int) (level, exceeded float64) {
	days := float64(ahead) / blocksPerDay
	best, above := math.Inf(1), 0.0
	for _, c := range w.all[:w.n] {
		share := above / w.total
		if cost := c.most*days + s.OOMCost*typical*share; cost < best {
			best, level, exceeded = cost, c.most, share
		}
		above += c.weight
	}
	return level, exceeded
}
