package recommend_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

const start = int64(1_704_067_200)

// observed is a sketch of a container over some hours, a sample each 5 min.
func observed(hours int, cpu, memory func(hour int) float64) *usage.Sketch {
	var s usage.Sketch
	for i := range hours * 12 {
		s.Observe(usage.Sample{Time: start + int64(i)*300, CPUMillis: cpu(i / 12), MemoryBytes: memory(i / 12), Age: usage.Unknown})
	}
	return &s
}

func flat(x float64) func(int) float64 { return func(int) float64 { return x } }

func input(s *usage.Sketch) *recommend.Input {
	return &recommend.Input{Now: time.Unix(s.Last()+60, 0), Sketch: s, Context: recommend.Context{Replicas: 1, InPlace: true, ShrinkMemoryInPlace: true}}
}

func TestAFlatContainerIsExplainedSoThatItCanBeRecomputed(t *testing.T) {
	t.Parallel()
	in := input(observed(5*24, flat(200), flat(512<<20)))
	in.Current = object.Allotment{Requests: object.Resources{CPUMillis: 1000, MemoryBytes: 2 << 30}, Limits: object.Resources{MemoryBytes: 2 << 30}}
	r := recommend.Recommend(in)
	require.Equal(t, recommend.Ready, r.State)
	assert.True(t, r.ChangeCPU)
	assert.True(t, r.ChangeMemory)
	assert.False(t, r.RestartRequired)
	assert.Equal(t, `cpu request = quantile 0.95 of use, newer samples weighing more (half after 24 h) × (1 + margin) = 222.4m × 1.065 = 236.86m → 237m.
memory request and limit = (level × (1 + margin) + typical × 0.065) × multiplier = (512.0 MiB × 1.013 + 512.0 MiB × 0.065) × 1 = 551.9 MiB → 551.9 MiB.
level: of 6 windows (a day from this hour on, of each of the last days, and the last hours) it costs least to hold it and risk the 0.0 % of them, by weight, that went above; the highest was 512.0 MiB.
`, r.Explain())
}

// What was even so far is given a smaller margin than what was not.
func TestTheMarginFollowsFromUnevenness(t *testing.T) {
	t.Parallel()
	margin := func(highest float64) float64 {
		s := observed(5*24, flat(200), func(h int) float64 {
			if h%24 < 2 { // a twelfth of all
				return highest * (512 << 20)
			}
			return 512 << 20
		})
		return recommend.Recommend(input(s)).Memory.TypicalMargin
	}
	s := recommend.DefaultSettings().Memory
	assert.InDelta(t, s.FlatMargin, margin(1), 1e-9)
	between := margin(1.05)
	assert.Greater(t, between, s.FlatMargin+0.01)
	assert.Less(t, between, s.TypicalMargin-0.01)
	assert.InDelta(t, s.TypicalMargin, margin(1.5), 1e-9)
}

// A raise of CPU leaves room, so that the next is not due at once, and what is
// less than a step is not worth one.
func TestARaiseOfCPULeavesRoom(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(200), flat(1<<30)))
	in.Current.Requests.CPUMillis = 1000
	free := recommend.Recommend(in)
	assert.Zero(t, free.CPU.Room)
	in.Current.Requests.CPUMillis = 200
	r := recommend.Recommend(in)
	require.True(t, r.ChangeCPU)
	assert.InEpsilon(t, float64(free.Requests.CPUMillis)*(1+r.CPU.Room), r.Requests.CPUMillis, 0.01)
	assert.Contains(t, r.Explain(), "room of a raise) = ")
	in.Current.Requests.CPUMillis = r.Requests.CPUMillis
	r = recommend.Recommend(in)
	assert.False(t, r.ChangeCPU)
	assert.Equal(t, free.Requests.CPUMillis, r.Requests.CPUMillis)

	in = input(observed(48, flat(11), flat(1<<30)))
	for have, due := range map[int64]bool{8: true, 10: false, 15: false, 20: true} {
		in.Current.Requests.CPUMillis = have
		assert.Equal(t, due, recommend.Recommend(in).ChangeCPU, have)
	}
}

func TestAnOOMKillRaisesAtOnceAndForAWhile(t *testing.T) {
	t.Parallel()
	s := observed(24, flat(100), flat(100<<20))
	s.ObserveOOM(s.Last()+30, 120<<20)
	in := input(s)
	in.Current.Limits.MemoryBytes = 120 << 20
	r := recommend.Recommend(in)
	assert.True(t, r.ChangeMemory)
	assert.GreaterOrEqual(t, r.Limits.MemoryBytes, int64(240<<20))
	assert.True(t, r.Bound.Has(recommend.RecentOOM))
	in.Now = in.Now.Add(7 * time.Hour)
	assert.Less(t, recommend.Recommend(in).Memory.OOMFloor, 1.0)
}

func TestAnOOMKillBeforeTheFirstSampleIsAnswered(t *testing.T) {
	t.Parallel()
	var s usage.Sketch
	s.ObserveOOM(start, 64<<20)
	r := recommend.Recommend(&recommend.Input{Now: time.Unix(start+1, 0), Sketch: &s})
	assert.Equal(t, recommend.WarmingUp, r.State)
	assert.True(t, r.ChangeMemory)
	assert.GreaterOrEqual(t, r.Limits.MemoryBytes, int64(128<<20))
}

func TestNothingShrinksOnStaleData(t *testing.T) {
	t.Parallel()
	in := input(observed(72, flat(100), flat(100<<20)))
	in.Current = object.Allotment{Requests: object.Resources{CPUMillis: 900, MemoryBytes: 1 << 30}, Limits: object.Resources{MemoryBytes: 1 << 30}}
	in.Now = in.Now.Add(2 * time.Hour)
	r := recommend.Recommend(in)
	assert.Equal(t, recommend.Stale, r.State)
	assert.False(t, r.ChangeCPU || r.ChangeMemory)
	assert.Equal(t, in.Current.Requests, r.Requests)
	assert.True(t, r.Bound.Has(recommend.StaleCPU|recommend.StaleMemory))
}

// A limit kills and a request is a promise: that the limit fits says nothing of a request
// far below it.
func TestARequestThatIsTooLowIsRaised(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(900<<20)))
	for request, due := range map[int64]bool{0: true, 64 << 20: true, 950 << 20: false, 1 << 30: false} {
		in.Current = object.Allotment{Requests: object.Resources{MemoryBytes: request}, Limits: object.Resources{MemoryBytes: 1 << 30}}
		r := recommend.Recommend(in)
		assert.Equal(t, due, r.ChangeMemory, request)
		assert.Greater(t, r.Requests.MemoryBytes, int64(900<<20))
	}
	in.Current.Requests.MemoryBytes, in.Current.Limits.MemoryBytes = 64<<20, 4<<30
	in.MemoryChanged = in.Now.Add(-time.Hour)
	assert.False(t, recommend.Recommend(in).ChangeMemory, "with a limit that is far too high, when that may fall")
	in = input(observed(2, flat(100), flat(900<<20)))
	in.Current = object.Allotment{Requests: object.Resources{MemoryBytes: 64 << 20}, Limits: object.Resources{MemoryBytes: 1 << 30}}
	assert.False(t, recommend.Recommend(in).ChangeMemory, "it warms up")
}

// A limit below the heap that a program fixes kills sooner or later, however little was
// used so far.
func TestALimitBelowTheHeapIsRaised(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(200<<20)))
	for name, c := range map[string]struct {
		runtime recommend.Runtime
		limit   int64
		due     bool
	}{
		"JVM":           {recommend.Runtime{JVMHeapBytes: 1 << 30}, 512 << 20, true},
		"JVM, room":     {recommend.Runtime{JVMHeapBytes: 1 << 30}, 1280 << 20, false},
		"Go":            {recommend.Runtime{GoMemLimitBytes: 1 << 30}, 512 << 20, true},
		"Go, its limit": {recommend.Runtime{GoMemLimitBytes: 1 << 30}, 1 << 30, false},
		"JVM, no limit": {recommend.Runtime{JVMHeapBytes: 1 << 30}, 0, false},
		"neither":       {recommend.Runtime{}, 256 << 20, false},
	} {
		in.Current.Requests.MemoryBytes, in.Current.Limits.MemoryBytes = 240<<20, c.limit
		in.Context.Runtime = c.runtime
		assert.Equal(t, c.due, recommend.Recommend(in).ChangeMemory, name)
	}
}

// memories draws the memory of some hours.
func memories(t *rapid.T) []float64 {
	return rapid.SliceOfN(rapid.Float64Range(1<<26, 1<<33), 6, 24*12).Draw(t, "memory")
}

func of(values []float64, factor float64) *usage.Sketch {
	return observed(len(values), func(h int) float64 { return factor * values[h] / (1 << 22) }, func(h int) float64 { return factor * values[h] })
}

// Twice the use is twice the size, and so with every power of two: sketches round them
// alike.
func TestTwiceTheUseIsTwiceTheSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values, factor := memories(t), math.Exp2(float64(rapid.IntRange(-3, 4).Draw(t, "exponent")))
		one, more := recommend.Recommend(input(of(values, 1))), recommend.Recommend(input(of(values, factor)))
		assert.InEpsilon(t, factor*one.Memory.Raw, more.Memory.Raw, 1e-9)
		assert.InEpsilon(t, factor*one.CPU.Raw, more.CPU.Raw, 1e-3)
	})
}

// With any other factor the terms are that much larger, but for the rounding of sketches;
// the level is one of those seen, and rounding may make another of two the cheaper one.
func TestTheTermsScaleWithTheUse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values, factor := memories(t), rapid.Float64Range(0.5, 8).Draw(t, "factor")
		one, more := recommend.Recommend(input(of(values, 1))), recommend.Recommend(input(of(values, factor)))
		assert.InEpsilon(t, factor*one.Memory.Highest, more.Memory.Highest, 1.0/64)
		assert.InEpsilon(t, factor*one.Memory.Typical, more.Memory.Typical, 1.0/64)
		assert.InEpsilon(t, factor*one.CPU.Raw, more.CPU.Raw, 1.0/4, "a bucket")
		even := recommend.Recommend(input(of([]float64{values[0], values[0]}, factor)))
		assert.InEpsilon(t, factor*recommend.Recommend(input(of([]float64{values[0], values[0]}, 1))).Memory.Raw, even.Memory.Raw, 1.0/64)
	})
}

// A rare peak is paid for up to what a kill costs: the level is monotone in the use as
// a whole, not in a single window.
func TestARarePeakIsPaidForUpToAPoint(t *testing.T) {
	t.Parallel()
	level := func(peak float64) float64 {
		s := observed(10*24, flat(100), func(h int) float64 {
			if h == 6 {
				return peak * (1 << 30)
			}
			return 1 << 30
		})
		return recommend.Recommend(input(s)).Memory.Level / (1 << 30)
	}
	assert.InDelta(t, 1.3, level(1.3), 0.01)
	assert.InDelta(t, 1, level(4), 0.01)
}

func TestMoreUseIsNeverALowerMaximum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := memories(t)
		one, more := recommend.Recommend(input(of(values, 1))), recommend.Recommend(input(of(values, 1+rapid.Float64Range(0, 3).Draw(t, "more"))))
		assert.GreaterOrEqual(t, more.Memory.Raw, one.Memory.Raw*(1-1.0/128), "but for the rounding of sketches")
		assert.GreaterOrEqual(t, more.CPU.Raw, one.CPU.Raw*(1-1e-3))
	})
}

func TestNothingLeavesFloorAndCap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := recommend.DefaultSettings()
		s.Cap = object.Resources{CPUMillis: 500, MemoryBytes: 1 << 30}
		in := input(of(memories(t), rapid.Float64Range(0, 100).Draw(t, "factor")))
		in.Sketch.ObserveOOM(in.Sketch.Last(), rapid.Float64Range(0, 1<<40).Draw(t, "limit"))
		r := s.Recommend(in)
		for _, got := range []object.Resources{r.Requests, {CPUMillis: s.Floor.CPUMillis, MemoryBytes: r.Limits.MemoryBytes}} {
			assert.GreaterOrEqual(t, got.CPUMillis, s.Floor.CPUMillis)
			assert.LessOrEqual(t, got.CPUMillis, s.Cap.CPUMillis)
			assert.GreaterOrEqual(t, got.MemoryBytes, s.Floor.MemoryBytes)
			assert.LessOrEqual(t, got.MemoryBytes, s.Cap.MemoryBytes)
		}
		assert.GreaterOrEqual(t, r.OOMRisk, 0.0)
		assert.LessOrEqual(t, r.OOMRisk, 1.0)
	})
}

func TestSavingsAddUp(t *testing.T) {
	t.Parallel()
	price := recommend.PriceOf(&recommend.Price{CoreHour: 0.1, GiBHour: 0.01}, "aws", "m5.large")
	in := input(observed(48, flat(100), flat(1<<30)))
	in.Current.Requests = object.Resources{CPUMillis: 2000, MemoryBytes: 4 << 30}
	in.Context.Replicas = 3
	r := recommend.Recommend(in)
	m := r.Message(usage.Key{Namespace: "shop", Kind: "Deployment", Name: "web", Container: "app"}, in, price)
	assert.InDelta(t, (2*0.1+4*0.01)*730*3, m.GetCurrentMonthlyCost(), 1e-9)
	assert.Equal(t, "$0.1 a core, $0.01 a GiB an hour; configuration", m.GetPriceSource())
	assert.Negative(t, m.GetMonthlyCostDelta())
	total, namespaces, workloads := recommend.SumSavings([]*rightsizerv1.Recommendation{m, m})
	assert.InDelta(t, 2*m.GetCurrentMonthlyCost(), total.GetCurrentMonthlyCost(), 1e-9)
	assert.Equal(t, "shop", namespaces[0].GetScope())
	assert.Equal(t, "shop/Deployment/web", workloads[0].GetScope())
}

// Nobody saves what is not known yet, or what a VPA decides on.
func TestSavingsAreOfWhatStands(t *testing.T) {
	t.Parallel()
	price := recommend.PriceOf(&recommend.Price{CoreHour: 0.1, GiBHour: 0.01}, "", "")
	for name, c := range map[string]struct {
		hours int
		later time.Duration
		vpa   string
		saves bool
	}{
		"ready": {hours: 48, saves: true}, "warming up": {hours: 1}, "stale": {hours: 48, later: 2 * time.Hour}, "VPA": {hours: 48, vpa: "web"},
	} {
		in := input(observed(c.hours, flat(100), flat(1<<30)))
		in.Now = in.Now.Add(c.later)
		in.Current.Requests, in.Context.VPA = object.Resources{CPUMillis: 2000, MemoryBytes: 4 << 30}, c.vpa
		r := recommend.Recommend(in)
		total, _, _ := recommend.SumSavings([]*rightsizerv1.Recommendation{r.Message(usage.Key{Container: "app"}, in, price)})
		assert.InDelta(t, (2*0.1+4*0.01)*730, total.GetCurrentMonthlyCost(), 1e-9, name)
		assert.Equal(t, c.saves, total.GetRecommendedMonthlyCost() < total.GetCurrentMonthlyCost(), name)
	}
}

// Of a container whose CPU was not measured for long enough the memory alone is saved.
func TestWhatWarmsUpSavesNothing(t *testing.T) {
	t.Parallel()
	price := recommend.PriceOf(&recommend.Price{CoreHour: 0.1, GiBHour: 0.01}, "", "")
	in := input(observed(48, func(hour int) float64 {
		if hour < 47 {
			return math.NaN()
		}
		return 10
	}, flat(1<<30)))
	in.Current.Requests = object.Resources{CPUMillis: 2000, MemoryBytes: 4 << 30}
	r := recommend.Recommend(in)
	require.Equal(t, recommend.WarmingUp, r.CPUState)
	m := r.Message(usage.Key{Container: "app"}, in, price)
	assert.InDelta(t, (2*0.1+float64(r.Requests.MemoryBytes)/(1<<30)*0.01)*730, m.GetRecommendedMonthlyCost(), 1e-6)
	assert.Equal(t, object.Resources{CPUMillis: 2000, MemoryBytes: r.Requests.MemoryBytes}, r.Sure(in.Current.Requests))
}

func TestPricesFollowFromTheNode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ provider, instance, source string }{
		{"aws", "m6g.large", "aws family m6g"},
		{"aws", "m7i.large", "aws family m ("},
		{"aws", "p5.48xlarge", "its middle"},
		{"gcp", "n2d-standard-4", "gcp family n2d"},
		{"gcp", "n2-standard-4", "gcp family n2 "},
		{"gcp", "custom-4-8192", "gcp family custom"},
		{"azure", "Standard_D4s_v5", "azure family standard_d"},
		{"azure", "m5.large", "its middle"},
		{"digitalocean", "s-2vcpu-4gb", `none of "s-2vcpu-4gb"`},
		{"elsewhere", strings.Repeat("m", 300), "its middle"},
		{"", "", "none of this kind of node"},
	} {
		p := recommend.PriceOf(nil, c.provider, c.instance)
		assert.Contains(t, p.Source, c.source)
		assert.Contains(t, p.Source, "2025", "its date")
		assert.Contains(t, p.Source, "approximate")
		assert.LessOrEqual(t, len(p.Text()), 128)
		assert.Positive(t, p.CoreHour)
		assert.Positive(t, p.GiBHour)
	}
	// 2 cores and 4 GiB for 730 h, three times: as the formula says.
	p := recommend.Price{CoreHour: 0.1, GiBHour: 0.01, Source: "a contract"}
	assert.InDelta(t, (2*0.1+4*0.01)*730*3, p.Monthly(object.Resources{CPUMillis: 2000, MemoryBytes: 4 << 30}, 3), 1e-9)
	assert.Equal(t, "$0.1 a core, $0.01 a GiB an hour; a contract", p.Text())
}

func BenchmarkRecommend(b *testing.B) {
	in := input(observed(12*24, func(h int) float64 { return float64(100 + h%24*20) }, func(h int) float64 { return float64(1<<30 + h%24<<24) }))
	b.ReportAllocs()
	for b.Loop() {
		recommend.Recommend(in)
	}
}

func FuzzRecommend(f *testing.F) {
	f.Add(int64(300), 100.0, 1e9, int64(0), 1e8)
	f.Add(int64(-300), math.NaN(), -1.0, int64(1)<<40, math.Inf(1))
	f.Fuzz(func(t *testing.T, step int64, cpu, memory float64, jump int64, limit float64) {
		var s usage.Sketch
		at := start
		for i := range 40 {
			s.Observe(usage.Sample{Time: at, CPUMillis: cpu * float64(i%3), MemoryBytes: memory / float64(i%4+1), Age: usage.Unknown})
			if at += step; i == 20 {
				at += jump
				s.ObserveOOM(at, limit)
			}
		}
		r := recommend.Recommend(&recommend.Input{Now: time.Unix(start, 0), Sketch: &s})
		if r.Requests.CPUMillis < 0 || r.Requests.MemoryBytes < 0 || math.IsNaN(r.OOMRisk) || math.IsNaN(r.Confidence) || len(r.Explain()) > 2048 {
			t.Errorf("%+v", r)
		}
	})
}

// The numbers of the method in the README are those that are shipped.
func TestTheReadmeNamesTheShippedNumbers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	s := recommend.DefaultSettings()
	m, c := s.Memory, s.CPU
	for _, sentence := range []string{
		fmt.Sprintf("each counts %v of the one after it", m.DayWeight),
		fmt.Sprintf("of the last %d h, which count as much as all days together", 2*m.Recent),
		fmt.Sprintf("which is worth %v days of typical memory", m.OOMCost),
		fmt.Sprintf("%v + %v / days of history", m.Margin, m.MarginYoung),
		fmt.Sprintf("%v where the highest is a tenth or more above the typical, %v where it is not above it", m.TypicalMargin, m.FlatMargin),
		fmt.Sprintf("need more than %.0f %% above", 100*m.Raise),
		fmt.Sprintf("the target is %.0f %% below it and nothing changed for %v h", 100*m.Shrink, m.Hold.Hours()),
		fmt.Sprintf("quantile %v of use × %v", c.Quantile, 1+c.Margin),
		fmt.Sprintf("due %.1f %% below the target, and goes %.1f %% above it", 100*c.Raise, 100*c.Room),
		fmt.Sprintf("a shrink %.0f %% above it after %v h without a change. Less than %vm", 100*c.Shrink, c.Hold.Hours(), c.Step),
	} {
		assert.Contains(t, string(text), sentence)
	}
}
