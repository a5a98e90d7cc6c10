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
}

// Recommend returns the size for one container.
func (s *Settings) Recommend(in *Input) Result {
	r := Result{State: NoData}
	if in.Sketch == nil || in.Sketch.Empty() {
		return s.withoutUsage(in, r)
	}
	k := in.Sketch
	r.DataAge = max(in.Now.Sub(time.Unix(k.Last(), 0)), 0)
	r.DataSpan = k.Span()
	r.OOMKills = k.OOMCount()
	peakCPU, peakMemory := k.StartupPeak()
	r.StartupPeak = object.Resources{CPUMillis: ceil(peakCPU), MemoryBytes: ceil(peakMemory)}
	r.CPU = s.CPU.terms(k, in.Current.Requests.CPUMillis)
	r.Memory = s.Memory.terms(k, in.Now.Unix())
	r.State = s.state(&r)
	target := object.Resources{CPUMillis: ceil(r.CPU.Raw), MemoryBytes: ceil(r.Memory.Raw)}
	r.bind(s, in, target)
	s.due(in, &r)
	r.Confidence = confidence(&r, s)
	r.OOMRisk = oomRisk(&r, s)
	return r
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

// withoutUsage answers from an OOM kill alone: a container may die before its
// first sample.
func (s *Settings) withoutUsage(in *Input, r Result) Result {
	if in.Sketch == nil || in.Sketch.OOMCount() == 0 {
		return r
	}
	r.OOMKills = in.Sketch.OOMCount()
	r.Memory = s.Memory.terms(in.Sketch, in.Now.Unix())
	if r.Memory.Raw == 0 {
		return r
	}
	r.State = WarmingUp
	r.bind(s, in, object.Resources{CPUMillis: in.Current.Requests.CPUMillis, MemoryBytes: ceil(r.Memory.Raw)})
	s.due(in, &r)
	r.OOMRisk = 0.5
	return r
}

func (s *Settings) state(r *Result) State {
	switch {
	case r.DataAge > s.StaleAfter:
		return Stale
	case r.DataSpan < s.WarmUp:
		return WarmingUp
	}
	return Ready
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
	settled := func(changed time.Time, hold time.Duration) bool {
		return r.State == Ready && in.Now.Sub(changed) >= hold
	}
	have := in.Current.Requests.CPUMillis
	switch want := r.Requests.CPUMillis; {
	case r.State == NoData || want == 0:
	case s.CPU.raises(have, want):
		r.ChangeCPU = r.State == Ready
	case s.CPU.shrinks(have, want):
		r.ChangeCPU = settled(in.CPUChanged, s.CPU.Hold)
	}
	have = max(in.Current.Requests.MemoryBytes, in.Current.Limits.MemoryBytes)
	switch want := max(r.Requests.MemoryBytes, r.Limits.MemoryBytes); {
	case r.State == NoData || want == 0:
	case have == 0 || want > have && min(float64(want), r.Memory.Need) > float64(have)*(1+s.Memory.Raise):
		r.ChangeMemory = r.State == Ready || r.Memory.OOMFloor > 0
	case float64(want) < float64(have)*(1-s.Memory.Shrink):
		hold := s.Memory.Hold
		if oom, ok := in.Sketch.OOM(0); ok && oom.Time >= in.MemoryChanged.Unix()-oomAnswer {
			hold = s.Memory.OOMHold // the last change was its answer, a guess
		}
		r.ChangeMemory = settled(in.MemoryChanged, hold)
	}
}

// confidence grows with the time that samples span, falls with their age, and is
// halved after an OOM kill that still counts.
func confidence(r *Result, s *Settings) float64 {
	days := r.DataSpan.Hours() / 24
	c := days / (days + 1)
	if r.State == Stale {
		c *= float64(s.StaleAfter) / float64(r.DataAge)
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
	if limit == 0 {
		return 0
	}
	t := &r.Memory
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
