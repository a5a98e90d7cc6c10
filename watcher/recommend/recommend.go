package recommend

import (
	"math"
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// CPUTerms are the numbers behind the CPU request.
type CPUTerms struct {
	// Quantile asked for, and the millicores that it is.
	Quantile, Level float64
	// Margin is the share added, Room what a raise adds to that; 0 where none is
	// due.
	Margin, Room float64
	// Raw is the target before bounds.
	Raw float64
	// LimitRatio is limit / request in force, which the limit keeps; 0 where there is
	// no limit, or it is the request.
	LimitRatio float64
}

// Recommend returns the size for one container.
func (s *Settings) Recommend(in *Input) Result {
	r := Result{Groups: in.Context.Groups}
	k := in.Sketch
	if k == nil {
		return r
	}
	r.OOMKills = k.OOMCount()
	peakCPU, peakMemory := k.StartupPeak()
	r.StartupPeak = object.Resources{CPUMillis: ceil(peakCPU), MemoryBytes: ceil(peakMemory)}
	cpu, memory := s.known(in, k.CPUTimes), s.known(in, k.MemoryTimes)
	r.CPUState, r.MemoryState = cpu.state, memory.state
	if cpu.state != NoData {
		r.CPU = s.CPU.terms(k, in.Current.Requests.CPUMillis)
	}
	if memory.state != NoData || r.OOMKills > 0 {
		r.Memory = s.Memory.terms(in)
	}
	if memory.state == NoData && r.Memory.Raw > 0 {
		r.MemoryState = WarmingUp // A container may die before its first sample.
	}
	if r.State = max(r.CPUState, r.MemoryState); r.State == NoData {
		return r
	}
	r.DataSpan, r.DataAge = max(cpu.span, memory.span), min(cpu.age, memory.age)
	if r.DataAge == never {
		r.DataAge = 0
	}
	r.bind(s, in)
	s.due(in, &r)
	r.Confidence = confidence(&r, s)
	r.OOMRisk = oomRisk(&r, s)
	return r
}

// knowledge is what samples of a resource are worth: their age, and what they span.
type knowledge struct {
	state     State
	age, span time.Duration
}

// never is the age of what was not measured.
const never = time.Duration(math.MaxInt64)

func (s *Settings) known(in *Input, times func() (first, last int64)) knowledge {
	first, last := times()
	if last == 0 {
		return knowledge{age: never}
	}
	newest := time.Unix(last, 0)
	k := knowledge{state: Ready, age: max(in.Now.Sub(newest), 0), span: time.Duration(last-first) * time.Second}
	switch {
	case in.asOf().Sub(newest) > s.StaleAfter || last > in.Now.Unix()+usage.MaxAhead: // In the time to come: a clock was ahead.
		k.state = Stale
	case k.span < s.WarmUp:
		k.state = WarmingUp
	}
	return k
}

// terms weighs what was seen, beside the request in force.
func (s *CPUSettings) terms(k *usage.Sketch, have int64) CPUTerms {
	t := CPUTerms{Quantile: s.Quantile, Level: k.CPUQuantile(s.Quantile), Margin: s.Margin}
	t.Raw = t.Level * (1 + t.Margin)
	if have > 0 && s.raises(have, ceil(t.Raw)) {
		t.Room = s.Room
		t.Raw *= 1 + t.Room
	}
	return t
}

// raises says that a request is too low by what is worth a change.
func (s *CPUSettings) raises(have, want int64) bool {
	return have == 0 || float64(want) > float64(have)*(1+s.Raise) && want-have >= s.Step
}

// shrinks says that a request is too high by that.
func (s *CPUSettings) shrinks(have, want int64) bool {
	return float64(want) < float64(have)*(1-s.Shrink) && have-want >= s.Step
}

// oomAnswer is how many seconds after an OOM kill a change counts as its answer.
const oomAnswer = 600

// due says which changes are worth making now: what is missing is raised at
// once, what is too much is taken away after a while, and only on fresh data. What
// a VPA sizes is left to it.
func (s *Settings) due(in *Input, r *Result) {
	if in.Context.VPA != "" {
		return
	}
	settled := func(state State, changed time.Time, hold time.Duration) bool {
		return state == Ready && in.Now.Sub(changed) >= hold
	}
	have := in.Current.Requests.CPUMillis
	switch want := r.Requests.CPUMillis; {
	case r.CPUState == NoData || want == 0:
	case s.CPU.raises(have, want):
		r.ChangeCPU = r.CPUState == Ready
	case s.CPU.shrinks(have, want):
		r.ChangeCPU = settled(r.CPUState, in.CPUChanged, s.CPU.Hold)
	}
	raises := func(have, want int64, need float64) bool {
		return want > have && min(float64(want), need) > float64(have)*(1+s.Memory.Raise)
	}
	need := r.Memory.Need
	if in.Current.Limits.MemoryBytes > 0 { // A heap that fills outgrows a request, and dies at a limit.
		need = max(need, float64(max(in.Context.Runtime.jvm(), in.Context.Runtime.golang())))
	}
	have = max(in.Current.Requests.MemoryBytes, in.Current.Limits.MemoryBytes)
	switch want := max(r.Requests.MemoryBytes, r.Limits.MemoryBytes); {
	case r.MemoryState == NoData || want == 0:
	case have == 0 || raises(have, want, need):
		r.ChangeMemory = r.MemoryState == Ready || r.Memory.OOMFloor > 0
	case float64(want) < float64(have)*(1-s.Memory.Shrink):
		hold := s.Memory.Hold
		if oom, ok := in.Sketch.OOM(0); ok && oom.Time >= in.MemoryChanged.Unix()-oomAnswer {
			hold = s.Memory.OOMHold // the last change was its answer, a guess
		}
		r.ChangeMemory = settled(r.MemoryState, in.MemoryChanged, hold)
	case raises(in.Current.Requests.MemoryBytes, r.Requests.MemoryBytes, r.Memory.Need):
		r.ChangeMemory = r.MemoryState == Ready // The limit fits, and promises nothing.
	}
}

// confidence grows with the time that samples span, falls with their age, and is
// halved after an OOM kill that still counts.
func confidence(r *Result, s *Settings) float64 {
	days := r.DataSpan.Hours() / 24
	c := days / (days + 1)
	if r.State == Stale {
		c *= float64(s.StaleAfter) / float64(max(r.DataAge, s.StaleAfter))
	}
	if r.Memory.OOMFloor > 0 {
		c /= 2
	}
	return min(max(c, 0), 1)
}

// oomRisk is the expected probability of an OOM kill a day: the share of windows
// that went above the level, with one more that did for those not seen yet,
// halved for each tenth that the proposed limit is above the highest seen.
func oomRisk(r *Result, s *Settings) float64 {
	limit := float64(r.Limits.MemoryBytes)
	t := &r.Memory
	switch {
	case limit == 0 || r.MemoryState == NoData:
		return 0
	case t.Windows == 0: // A kill is all that is known.
		return 0.5
	}
	windowsPerDay := blocksPerDay / float64(s.Memory.Keep)
	unseen := 1 / float64(t.Windows+1)
	headroom := max(limit/max(t.Level, 1)-1, 0)
	share := (t.Exceeded + unseen*math.Exp2(-10*headroom)) / windowsPerDay
	if limit < t.Level {
		share = 1
	}
	return min(max(share, 0), 1)
}

func ceil(x float64) int64 {
	if !(x > 0) {
		return 0
	}
	return int64(math.Ceil(min(x, 1<<60)))
}
