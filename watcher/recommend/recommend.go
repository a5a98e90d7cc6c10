package recommend

import (
	"math"
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// CPUTerms are the numbers behind the CPU request.
type CPUTerms struct {
	Quantile, Margin float64
}

// MemoryTerms are the numbers behind the memory limit.
type MemoryTerms struct {
	RecentMax, Margin float64
}

// staleAfter is the age of the newest sample from which nothing shrinks.
const staleAfter = time.Hour

// Recommend returns the size for one container.
func (s *Settings) Recommend(in *Input) Result {
	r := Result{State: NoData}
	if in.Sketch == nil || in.Sketch.Empty() {
		return r
	}
	k := in.Sketch
	r.DataAge = max(in.Now.Sub(time.Unix(k.Last(), 0)), 0)
	r.DataSpan = k.Span()
	r.OOMKills = k.OOMCount()
	peakCPU, peakMemory := k.StartupPeak()
	r.StartupPeak = object.Resources{CPUMillis: int64(math.Ceil(peakCPU)), MemoryBytes: int64(peakMemory)}
	r.State = Ready
	r.CPU = CPUTerms{Quantile: k.CPUQuantile(0.9), Margin: 1.15}
	r.Memory = MemoryTerms{RecentMax: recentMax(k), Margin: 1.15}
	target := object.Resources{
		CPUMillis:   int64(math.Ceil(r.CPU.Quantile * r.CPU.Margin)),
		MemoryBytes: int64(r.Memory.RecentMax * r.Memory.Margin * s.MemoryMultiplier),
	}.Max(s.Floor)
	r.Requests = target
	r.Limits = object.Resources{MemoryBytes: target.MemoryBytes}
	r.Lower, r.Upper = target, target
	r.ChangeCPU = differs(in.Current.Requests.CPUMillis, target.CPUMillis)
	r.ChangeMemory = differs(in.Current.Limits.MemoryBytes, target.MemoryBytes)
	r.Confidence = min(r.DataSpan.Hours()/(7*24), 1)
	return r
}

func recentMax(k *usage.Sketch) float64 {
	var most float64
	for i := range usage.Days {
		most = max(most, k.MemoryDay(i))
	}
	return most
}

// differs says that two amounts are more than 10 % apart.
func differs(now, then int64) bool {
	return math.Abs(float64(then-now)) > 0.1*float64(now)
}
