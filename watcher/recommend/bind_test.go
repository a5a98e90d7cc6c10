package recommend_test

import (
	"math"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// surrounded is what surrounds a container of 1,000m and 1 GiB that asks for 77m and
// 77 MiB, what that binds, and the size that comes of it; 0 is not looked at.
type surrounded struct {
	name             string
	change           func(*recommend.Input)
	bound            recommend.Bounds
	requests, limits object.Resources
}

// usual is the memory of such a container where nothing binds it.
var usual = recommend.Recommend(input(observed(48, flat(1000), flat(1<<30)))).Limits.MemoryBytes

func context(f func(*recommend.Context)) func(*recommend.Input) {
	return func(in *recommend.Input) { f(&in.Context) }
}

var surroundings = []surrounded{
	{
		name: "LimitRange max", bound: recommend.LimitRangeMaxCPU | recommend.LimitRangeMaxMemory,
		change: context(func(c *recommend.Context) {
			c.LimitRange.Max = object.Resources{CPUMillis: 500, MemoryBytes: 512 << 20}
		}),
		requests: object.Resources{CPUMillis: 500, MemoryBytes: 512 << 20},
	},
	{
		name: "LimitRange min", bound: recommend.LimitRangeMinCPU | recommend.LimitRangeMinMemory,
		change: context(func(c *recommend.Context) {
			c.LimitRange.Min = object.Resources{CPUMillis: 3000, MemoryBytes: 3 << 30}
		}),
		requests: object.Resources{CPUMillis: 3000, MemoryBytes: 3 << 30},
	},
	{
		name: "LimitRange ratio", bound: recommend.LimitRangeRatioCPU,
		change: func(in *recommend.Input) {
			in.Current.Limits.CPUMillis = 770
			in.Context.LimitRange.MaxRatioCPU = 2
			in.Context.LimitRange.Min.CPUMillis = 2000
		},
		limits: object.Resources{CPUMillis: 4000},
	},
	{
		name: "LimitRange max of a limit", bound: recommend.LimitRangeMaxCPU,
		change: func(in *recommend.Input) {
			in.Current.Limits.CPUMillis = 770
			in.Context.LimitRange.Max.CPUMillis = 2500
		},
		limits: object.Resources{CPUMillis: 2500},
	},
	{
		name: "node", bound: recommend.NodeCPU | recommend.NodeMemory,
		change: context(func(c *recommend.Context) {
			c.Node = object.Resources{CPUMillis: 800, MemoryBytes: 900 << 20}
		}),
		requests: object.Resources{CPUMillis: 800, MemoryBytes: 900 << 20},
	},
	{
		name: "quota that is used up", bound: recommend.QuotaCPU | recommend.QuotaMemory,
		change: context(func(c *recommend.Context) {
			c.Quota = recommend.Quota{CPURequests: true, MemoryRequests: true}
		}),
		// The limit is not what the quota of requests is about.
		requests: object.Resources{CPUMillis: 77, MemoryBytes: 77 << 20}, limits: object.Resources{MemoryBytes: usual},
	},
	{
		name: "quota that leaves something for two", bound: recommend.QuotaCPU | recommend.QuotaLimitsMemory,
		change: context(func(c *recommend.Context) {
			c.Replicas = 2
			c.Quota = recommend.Quota{CPURequests: true, MemoryLimits: true, Requests: object.Resources{CPUMillis: 20}, Limits: object.Resources{MemoryBytes: 6 << 20}}
		}),
		requests: object.Resources{CPUMillis: 87, MemoryBytes: 83 << 20},
	},
	{
		name: "quota for three containers of two", bound: recommend.QuotaCPU | recommend.QuotaLimitsMemory,
		change: context(func(c *recommend.Context) {
			c.Replicas, c.Containers = 2, 3
			c.Quota = recommend.Quota{CPURequests: true, MemoryLimits: true, Requests: object.Resources{CPUMillis: 60}, Limits: object.Resources{MemoryBytes: 18 << 20}}
		}),
		requests: object.Resources{CPUMillis: 87, MemoryBytes: 83 << 20},
	},
	{
		name: "quota of limits of CPU", bound: recommend.QuotaLimitsCPU,
		change: func(in *recommend.Input) {
			in.Current.Limits.CPUMillis = 1540
			in.Context.Quota = recommend.Quota{CPULimits: true, Limits: object.Resources{CPUMillis: 60}}
		},
		limits: object.Resources{CPUMillis: 1600},
	},
	{
		name: "HPA on CPU", bound: recommend.HPACPU,
		change:   context(func(c *recommend.Context) { c.HPACPU = true }),
		requests: object.Resources{CPUMillis: 77},
	},
	{
		name: "HPA on memory", bound: recommend.HPAMemory,
		change:   context(func(c *recommend.Context) { c.HPAMemory = true }),
		requests: object.Resources{MemoryBytes: 80 << 20}, limits: object.Resources{MemoryBytes: usual},
	},
	{
		name: "HPA on memory, LimitRange ratio", bound: recommend.HPAMemory | recommend.LimitRangeRatioMemory,
		change: context(func(c *recommend.Context) {
			c.HPAMemory = true
			c.LimitRange.MaxRatioMemory = 2
		}),
		requests: object.Resources{MemoryBytes: 80 << 20}, limits: object.Resources{MemoryBytes: 160 << 20},
	},
	{
		name: "HPA on memory, Guaranteed", bound: recommend.HPAMemory | recommend.QoSGuaranteed,
		change: func(in *recommend.Input) {
			in.Context.HPAMemory, in.Context.QoS = true, "Guaranteed"
			in.Current.Limits = in.Current.Requests
		},
		requests: object.Resources{MemoryBytes: 80 << 20}, limits: object.Resources{MemoryBytes: 80 << 20},
	},
	{
		name: "HPA on memory, stale", bound: recommend.HPAMemory | recommend.StaleMemory,
		change: func(in *recommend.Input) {
			in.Now = in.Now.Add(2 * time.Hour)
			in.Context.HPAMemory = true
			in.Current.Limits.MemoryBytes = 3 << 30
		},
		requests: object.Resources{MemoryBytes: 80 << 20}, limits: object.Resources{MemoryBytes: 3 << 30},
	},
	{
		name: "JVM", bound: recommend.JVMHeap,
		change:   context(func(c *recommend.Context) { c.Runtime.JVMHeapBytes = 4 << 30 }),
		requests: object.Resources{MemoryBytes: 5 << 30},
	},
	{
		name: "Go", bound: recommend.GoMemLimit,
		change:   context(func(c *recommend.Context) { c.Runtime.GoMemLimitBytes = 20 << 30 }),
		requests: object.Resources{MemoryBytes: 21 << 30},
	},
	{
		name: "Guaranteed", bound: recommend.QoSGuaranteed | recommend.QuotaLimitsCPU,
		change: func(in *recommend.Input) {
			in.Context.QoS = "Guaranteed"
			in.Current.Limits = in.Current.Requests
			in.Context.Quota = recommend.Quota{CPULimits: true, Limits: object.Resources{CPUMillis: 23}}
		},
		requests: object.Resources{CPUMillis: 100}, limits: object.Resources{CPUMillis: 100},
	},
	{
		name: "Burstable", bound: recommend.QoSBurstable,
		change: func(in *recommend.Input) {
			in.Context.QoS, in.Context.OthersGuaranteed = "Burstable", true
			in.Current.Limits = object.Resources{CPUMillis: 77, MemoryBytes: 99 << 20}
			in.Context.LimitRange.Min.CPUMillis = 2000
		},
		requests: object.Resources{CPUMillis: 2000}, limits: object.Resources{CPUMillis: 2001},
	},
	{
		name: "Burstable, at the most", bound: recommend.QoSBurstable,
		change: func(in *recommend.Input) {
			in.Context.QoS, in.Context.OthersGuaranteed = "Burstable", true
			in.Current.Limits.CPUMillis = 77
			in.Context.LimitRange.Max.CPUMillis = 500
		},
		requests: object.Resources{CPUMillis: 499}, limits: object.Resources{CPUMillis: 500},
	},
	{
		name: "Burstable, CPU that is not measured", bound: recommend.QoSBurstable | recommend.UnmeasuredCPU,
		change: func(in *recommend.Input) {
			in.Sketch = observed(48, flat(math.NaN()), flat(1<<30))
			in.Context.QoS, in.Context.OthersGuaranteed = "Burstable", true
			in.Current.Limits = object.Resources{CPUMillis: 77, MemoryBytes: 99 << 20}
		},
		requests: object.Resources{CPUMillis: 77, MemoryBytes: usual - 1<<20}, limits: object.Resources{CPUMillis: 77, MemoryBytes: usual},
	},
	{
		name: "Burstable, at the least", bound: recommend.QoSBurstable | recommend.LimitRangeMinMemory,
		change: func(in *recommend.Input) {
			in.Sketch = observed(48, flat(math.NaN()), flat(1<<30))
			in.Context.QoS, in.Context.OthersGuaranteed = "Burstable", true
			in.Current.Limits = object.Resources{CPUMillis: 77, MemoryBytes: 99 << 20}
			in.Context.LimitRange.Min.MemoryBytes = 3 << 30
		},
		requests: object.Resources{MemoryBytes: 3 << 30}, limits: object.Resources{CPUMillis: 77, MemoryBytes: 3<<30 + 1<<20},
	},
	{
		name: "VPA", bound: recommend.VPAPresent,
		change: context(func(c *recommend.Context) { c.VPA = "web" }),
	},
	{
		name: "stale", bound: recommend.StaleCPU | recommend.StaleMemory,
		change: func(in *recommend.Input) {
			in.Now = in.Now.Add(2 * time.Hour)
			in.Current.Requests = object.Resources{CPUMillis: 9000, MemoryBytes: 9 << 30}
		},
		requests: object.Resources{CPUMillis: 9000, MemoryBytes: 9 << 30},
	},
	{
		name: "CPU that is not measured", bound: recommend.UnmeasuredCPU,
		change: func(in *recommend.Input) {
			in.Sketch = observed(48, flat(math.NaN()), flat(1<<30))
			in.Current.Limits.CPUMillis = 100
		},
		requests: object.Resources{CPUMillis: 77}, limits: object.Resources{CPUMillis: 100},
	},
	{
		name: "memory that is not measured", bound: recommend.UnmeasuredMemory,
		change: func(in *recommend.Input) {
			in.Sketch = observed(48, flat(1000), flat(math.NaN()))
			in.Current.Limits.MemoryBytes = 90 << 20
		},
		requests: object.Resources{MemoryBytes: 80 << 20}, limits: object.Resources{MemoryBytes: 90 << 20},
	},
	{
		name: "more CPU than is told apart", bound: recommend.UncountedCPU,
		change: func(in *recommend.Input) {
			in.Sketch = observed(48, flat(90_000), flat(1<<30))
			in.Current.Requests.CPUMillis = 96_000
		},
		requests: object.Resources{CPUMillis: 96_000},
	},
	{
		name: "OOM kill", bound: recommend.RecentOOM,
		change: func(in *recommend.Input) { in.Sketch.ObserveOOM(in.Now.Unix(), 2<<30) }, requests: object.Resources{MemoryBytes: 4 << 30},
	},
	{
		name: "start", bound: recommend.StartupPeak | recommend.StartupCPU,
		limits: object.Resources{CPUMillis: 8000},
		change: func(in *recommend.Input) {
			in.Current.Requests.CPUMillis, in.Current.Limits.CPUMillis = 8000, 8000
			in.Sketch = &usage.Sketch{} // Longer ago than windows reach.
			in.Sketch.Observe(usage.Sample{Time: in.Now.Unix() - 11*86400, CPUMillis: 9000, MemoryBytes: 8 << 30, Age: time.Minute})
			for hour := int64(11 * 24); hour >= 0; hour-- {
				in.Sketch.Observe(usage.Sample{Time: in.Now.Unix() - 3600*hour, CPUMillis: 1000, MemoryBytes: 1 << 30, Age: usage.Unknown})
			}
		},
	},
}

// A start that is throttled may take too long for the probes that wait for it.
func TestALimitOfCPUDoesNotFallBelowWhatAStartUses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start          float64
		change         func(*recommend.Input)
		request, limit int64 // 0 is as without a start
		bound          bool
	}{
		"none":             {0, func(*recommend.Input) {}, 0, 0, false},
		"within the limit": {50, func(*recommend.Input) {}, 0, 0, false},
		"above it":         {1500, func(*recommend.Input) {}, 0, 1500, true},
		"at that in force": {9000, func(*recommend.Input) {}, 0, 2000, true},
		"beyond the most":  {1500, context(func(c *recommend.Context) { c.LimitRange.Max.CPUMillis = 800 }), 0, 800, true},
		"beyond the ratio": {1500, context(func(c *recommend.Context) { c.LimitRange.MaxRatioCPU = 4 }), 0, 0, true},
		"no limit":         {1500, func(in *recommend.Input) { in.Current.Limits.CPUMillis = 0 }, 0, -1, false},
		"Guaranteed":       {1500, func(in *recommend.Input) { in.Context.QoS, in.Current.Requests.CPUMillis = "Guaranteed", 2000 }, 1500, 1500, true},
	} {
		recommended := func(start float64) recommend.Result {
			in := input(observed(48, flat(20), flat(1<<30)))
			if start > 0 {
				in.Sketch.Observe(usage.Sample{Time: in.Sketch.Last(), CPUMillis: start, MemoryBytes: 1 << 30, Age: time.Minute})
			}
			in.Current = object.Allotment{Requests: object.Resources{CPUMillis: 500, MemoryBytes: 1 << 30}, Limits: object.Resources{CPUMillis: 2000, MemoryBytes: 1 << 30}}
			c.change(in)
			return recommend.Recommend(in)
		}
		r, without := recommended(c.start), recommended(0)
		assert.Equal(t, c.bound, r.Bound.Has(recommend.StartupCPU), name)
		near := func(want, free, got int64) {
			if want == 0 {
				want = free
			}
			assert.InDelta(t, max(want, 0), got, float64(max(want, 0))/64, "%s: samples are rounded", name)
		}
		near(c.request, without.Requests.CPUMillis, r.Requests.CPUMillis)
		near(c.limit, without.Limits.CPUMillis, r.Limits.CPUMillis)
		assert.True(t, r.ChangeCPU, name)
	}
}

func TestWhatSurroundsAContainerBoundsIt(t *testing.T) {
	t.Parallel()
	var tested recommend.Bounds
	for _, c := range surroundings {
		in := input(observed(48, flat(1000), flat(1<<30)))
		in.Current.Requests = object.Resources{CPUMillis: 77, MemoryBytes: 80 << 20}
		if c.bound&(recommend.QuotaMemory|recommend.QuotaLimitsMemory) != 0 {
			in.Current = object.Allotment{Requests: object.Resources{CPUMillis: 77, MemoryBytes: 77 << 20}, Limits: object.Resources{MemoryBytes: 80 << 20}}
		}
		c.change(in)
		r := recommend.Recommend(in)
		require.Truef(t, r.Bound.Has(c.bound), "%s: bound by %s", c.name, r.BoundTexts())
		for _, text := range r.BoundTexts() {
			assert.Contains(t, r.Explain(), text, c.name)
		}
		assert.Len(t, r.BoundTexts(), bits.OnesCount32(uint32(r.Bound)), c.name)
		for i, want := range []object.Resources{c.requests, c.limits} {
			got := []object.Resources{r.Requests, r.Limits}[i]
			if want.CPUMillis != 0 {
				assert.Equal(t, want.CPUMillis, got.CPUMillis, c.name)
			}
			if want.MemoryBytes != 0 {
				assert.Equal(t, want.MemoryBytes, got.MemoryBytes, c.name)
			}
		}
		assert.GreaterOrEqual(t, r.Limits.MemoryBytes, r.Requests.MemoryBytes, c.name)
		if r.Limits.CPUMillis > 0 {
			assert.GreaterOrEqual(t, r.Limits.CPUMillis, r.Requests.CPUMillis, c.name)
		}
		tested |= c.bound
	}
	// Floor and cap: TestNothingLeavesFloorAndCap.
	for b := recommend.Bounds(1); b <= recommend.VPAPresent; b <<= 1 {
		if b != recommend.FloorCPU && b != recommend.FloorMemory && b != recommend.CapCPU && b != recommend.CapMemory {
			assert.Truef(t, tested.Has(b), "%s binds in no case", (&recommend.Result{Bound: b}).BoundTexts())
		}
	}
}

// The cap is on what is ours to decide: a LimitRange's least has the last word, for less
// is refused, and what stays as it is is not cut to the cap.
func TestTheCapGivesWayToWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	s := recommend.DefaultSettings()
	s.Cap = object.Resources{CPUMillis: 500, MemoryBytes: 512 << 20}
	for name, c := range map[string]struct {
		change func(*recommend.Input)
		want   object.Resources
	}{
		"nothing else": {func(*recommend.Input) {}, s.Cap},
		"LimitRange":   {context(func(c *recommend.Context) { c.LimitRange.Min = object.Resources{CPUMillis: 700, MemoryBytes: 1 << 30} }), object.Resources{CPUMillis: 700, MemoryBytes: 1 << 30}},
		"HPA":          {context(func(c *recommend.Context) { c.HPACPU, c.HPAMemory = true, true }), object.Resources{CPUMillis: 900, MemoryBytes: 2 << 30}},
		"stale":        {func(in *recommend.Input) { in.Now = in.Now.Add(2 * time.Hour) }, object.Resources{CPUMillis: 900, MemoryBytes: 2 << 30}},
	} {
		in := input(observed(48, flat(1000), flat(1<<30)))
		in.Current.Requests = object.Resources{CPUMillis: 900, MemoryBytes: 2 << 30}
		c.change(in)
		assert.Equal(t, c.want, s.Recommend(in).Requests, name)
	}
}

// What a VPA sizes is recommended, and not said to be due.
func TestWhatAVPASizesIsLeftToIt(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(1000), flat(1<<30)))
	in.Current.Requests = object.Resources{CPUMillis: 77, MemoryBytes: 77 << 20}
	r := recommend.Recommend(in)
	require.True(t, r.ChangeCPU && r.ChangeMemory)
	in.Context.VPA = "web"
	r = recommend.Recommend(in)
	assert.False(t, r.ChangeCPU || r.ChangeMemory)
	assert.Greater(t, r.Requests.MemoryBytes, int64(1<<30))
}

// A resize cannot change the class of a pod, and what has no requests is given some
// by a restart alone.
func TestAPodOfClassBestEffortNeedsARestart(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(1000), flat(1<<30)))
	assert.False(t, recommend.Recommend(in).RestartRequired)
	in.Context.QoS = "BestEffort"
	assert.True(t, recommend.Recommend(in).RestartRequired)
}

// A pod that is Burstable by one container alone stays so, whatever surrounds it.
func TestNothingRecommendedMakesAPodGuaranteed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := memories(t)
		cpu, memory := func(h int) float64 { return values[h] / (1 << 22) }, func(h int) float64 { return values[h] }
		if rapid.Bool().Draw(t, "CPU is not measured") {
			cpu = flat(math.NaN())
		}
		in := input(observed(len(values), cpu, memory))
		contexts(t, in)
		in.Context.QoS, in.Context.OthersGuaranteed = "Burstable", true
		if rapid.Bool().Draw(t, "CPU alike") {
			in.Current.Limits.CPUMillis = in.Current.Requests.CPUMillis
		}
		r := recommend.Recommend(in)
		if r.Limits.CPUMillis > 0 && r.Limits.MemoryBytes > 0 {
			require.NotEqual(t, r.Requests, r.Limits, r.Explain())
		}
		require.LessOrEqual(t, r.Requests.MemoryBytes, r.Limits.MemoryBytes, r.Explain())
	})
}
