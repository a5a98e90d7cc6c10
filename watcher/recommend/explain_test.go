package recommend_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// product computes what a text says, of numbers with units, +, × and parentheses
// that enclose all of a sum.
func product(t require.TestingT, text string) float64 {
	text = strings.NewReplacer("MiB", "", "m", "").Replace(text)
	out := 1.0
	if sum, factor, ok := strings.Cut(text, ") ×"); ok {
		out, text = product(t, factor), strings.TrimPrefix(strings.TrimSpace(sum), "(")
	}
	sum := 0.0
	for summand := range strings.SplitSeq(text, "+") {
		one := 1.0
		for factor := range strings.SplitSeq(summand, "×") {
			v, err := strconv.ParseFloat(strings.TrimSpace(factor), 64)
			require.NoError(t, err, "%q in %q", factor, text)
			one *= v
		}
		sum += one
	}
	return out * sum
}

var (
	cpuLine    = regexp.MustCompile(`(?m)^cpu request = quantile .* = (.*) = (.*)m → (.*)m\.$`)
	limitLine  = regexp.MustCompile(`(?m)^cpu limit = .* = (.*) → (.*)m\.$`)
	memoryLine = regexp.MustCompile(`(?m)^memory request and limit = .*? = (\(.*?) = ([0-9.]+) MiB(.*) → ([0-9.]+) MiB(?:, limit ([0-9.]+) MiB)?\.$`)
	boundLine  = regexp.MustCompile(`(?m)^bound by (.*)\.$`)
	atLeast    = regexp.MustCompile(`at least the highest while starting × \(1 \+ margin\) × multiplier = (.*?)(?:, but|$)`)
	afterKill  = regexp.MustCompile(`at least ([0-9.]+) MiB for 6 h after an OOM kill \(the limit of then × .*? = (.*?), and the highest seen, ([0-9.]+) MiB\)`)
	boundText  = regexp.MustCompile(`^(cpu|memory): (.*?)(?: ([0-9.e+]+)(?:m| MiB))?(?: × ([0-9.]+))?$`)
)

// reader is who reads an explanation with a pocket calculator.
type reader struct {
	cpu, cpuLimit, memory, memoryLimit float64
	guaranteed                         bool
	off                                float64 // of memory, in MiB
}

// bound applies one thing that binds, in the order of the text.
func (p *reader) bound(t require.TestingT, text string) {
	part := boundText.FindStringSubmatch(text)
	if part == nil {
		require.Regexp(t, "^(QoS class|VerticalPodAutoscaler)", text)
		if strings.Contains(text, "1m or 1 MiB") {
			p.off++
		}
		return
	}
	amount := product(t, part[3])
	if part[4] != "" {
		amount *= product(t, part[4])
	}
	value, limit := &p.cpu, &p.cpuLimit
	if part[1] == "memory" {
		value, limit = &p.memory, &p.memoryLimit
	}
	low := func(v *float64) { *v = max(*v, amount) }
	high := func(v *float64) { *v = min(*v, amount) }
	switch what := part[2]; what {
	case "recent OOM kill, at least", "startup peak": // in the line of memory
	case "JVM heap (-Xmx)", "GOMEMLIMIT", "floor", "LimitRange min", "stale data, not below", "use above 49152m is not told apart, not below":
		low(value)
		if part[1] == "memory" {
			low(limit)
		}
	case "cap", "LimitRange max", "node allocatable, less what else the pod requests,":
		high(value)
		if part[1] == "memory" || what == "LimitRange max" { // a limit of CPU may be above the rest
			high(limit)
		}
	case "startup peak, the limit does not fall below":
		low(limit)
		if p.guaranteed {
			low(value)
		}
	case "ResourceQuota of limits leaves":
		high(limit)
		if part[1] == "memory" || p.guaranteed {
			high(value)
		}
	case "ResourceQuota of requests leaves":
		high(value)
	case "LimitRange maxLimitRequestRatio, limit":
		high(limit)
	default:
		require.Regexp(t, "the request stays$", what)
		*value = amount
	}
}

func number(t require.TestingT, text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return v
}

// read goes through the lines, as a person does.
func (p *reader) read(t require.TestingT, text string) {
	if cpu := cpuLine.FindStringSubmatch(text); cpu != nil {
		assert.InEpsilon(t, product(t, cpu[1]), number(t, cpu[2]), 1e-3, text)
		p.cpu = number(t, cpu[2])
		p.cpuLimit = math.Inf(1)
		if limit := limitLine.FindStringSubmatch(text); limit != nil {
			p.cpuLimit = product(t, limit[1])
		}
	}
	if memory := memoryLine.FindStringSubmatch(text); memory != nil {
		p.memory = product(t, memory[1])
		assert.InDelta(t, p.memory, number(t, memory[2]), 0.1+2e-3*p.memory, text)
		if m := atLeast.FindStringSubmatch(memory[3]); m != nil {
			p.memory = max(p.memory, product(t, m[1]))
		}
		if m := afterKill.FindStringSubmatch(memory[3]); m != nil {
			assert.InDelta(t, number(t, m[1]), max(product(t, m[2]), number(t, m[3])), 0.2+1e-3*number(t, m[1]), text)
			p.memory = max(p.memory, number(t, m[1]))
		}
		p.memoryLimit = p.memory
	}
	if bound := boundLine.FindStringSubmatch(text); bound != nil {
		for one := range strings.SplitSeq(bound[1], "; ") {
			p.bound(t, one)
		}
	}
	p.memoryLimit = max(p.memoryLimit, p.memory)
	if p.guaranteed {
		p.memoryLimit, p.cpuLimit = p.memory, p.cpu
	}
	p.cpuLimit = max(p.cpuLimit, p.cpu)
}

// contexts draws what surrounds a container, and what it has.
func contexts(t *rapid.T, in *recommend.Input) {
	cpu := func(name string) int64 { return rapid.SampledFrom([]int64{0, 0, 50, 900, 4000}).Draw(t, name) }
	memory := func(name string) int64 {
		return rapid.SampledFrom([]int64{0, 0, 40 << 20, 900 << 20, 6 << 30}).Draw(t, name)
	}
	some := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 3 }
	c := &in.Context
	in.Current.Requests = object.Resources{CPUMillis: rapid.Int64Range(0, 1000).Draw(t, "request"), MemoryBytes: memory("memory request")}
	in.Current.Limits = object.Resources{CPUMillis: in.Current.Requests.CPUMillis * int64(rapid.IntRange(0, 2).Draw(t, "limited")), MemoryBytes: 2 * in.Current.Requests.MemoryBytes}
	if c.QoS = rapid.SampledFrom([]string{"", "Burstable", "Guaranteed"}).Draw(t, "class"); c.QoS == "Guaranteed" {
		in.Current.Limits = in.Current.Requests
	}
	c.OthersGuaranteed = some("others")
	c.Replicas, c.Containers = int32(rapid.IntRange(0, 3).Draw(t, "replicas")), int32(rapid.IntRange(0, 3).Draw(t, "containers"))
	if some("range") {
		c.LimitRange.Max = object.Resources{CPUMillis: cpu("range max"), MemoryBytes: memory("range max of memory")}
	}
	if some("least") {
		c.LimitRange.Min = object.Resources{CPUMillis: 60, MemoryBytes: 50 << 20}
	}
	if some("ratio") {
		c.LimitRange.MaxRatioCPU, c.LimitRange.MaxRatioMemory = 1.5, 1.5
	}
	if some("node") {
		c.Node = object.Resources{CPUMillis: cpu("node cpu"), MemoryBytes: memory("node memory")}
	}
	c.Quota = recommend.Quota{
		CPURequests: some("a"), MemoryRequests: some("b"), CPULimits: some("c"), MemoryLimits: some("d"),
		Requests: object.Resources{CPUMillis: cpu("e"), MemoryBytes: memory("f")}, Limits: object.Resources{CPUMillis: cpu("g"), MemoryBytes: memory("h")},
	}
	c.HPACPU, c.HPAMemory = some("hpa cpu"), some("hpa memory")
	if some("jvm") {
		c.Runtime.JVMHeapBytes = 512 << 20
	}
	if some("go") {
		c.Runtime.GoMemLimitBytes = 512 << 20
	}
	if some("stale") {
		in.Now = in.Now.Add(2 * time.Hour)
	}
}

// Whoever reads an explanation comes to the target with a pocket calculator,
// whatever surrounds the container.
func TestAnExplanationCanBeRecomputed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := memories(t)
		nan := flat(math.NaN())
		cpu, memory := func(h int) float64 { return values[h] / (1 << 22) }, func(h int) float64 { return values[h] }
		switch rapid.IntRange(0, 5).Draw(t, "unmeasured") {
		case 0:
			cpu = nan
		case 1:
			memory = nan
		}
		in := input(observed(len(values), cpu, memory))
		last := in.Sketch.Last()
		if rapid.Bool().Draw(t, "killed") {
			in.Sketch.ObserveOOM(last, rapid.Float64Range(1<<26, 1<<33).Draw(t, "limit"))
		}
		if rapid.Bool().Draw(t, "started") {
			in.Sketch.Observe(usage.Sample{Time: last, CPUMillis: rapid.Float64Range(0, 4000).Draw(t, "start of CPU"), MemoryBytes: rapid.Float64Range(1<<26, 1<<34).Draw(t, "start"), Age: time.Minute})
		}
		contexts(t, in)
		s := recommend.DefaultSettings()
		s.Memory.Multiplier = rapid.SampledFrom([]float64{1, 0.9, 1.25}).Draw(t, "multiplier")
		s.Cap = object.Resources{CPUMillis: rapid.SampledFrom([]int64{0, 700}).Draw(t, "cap"), MemoryBytes: rapid.SampledFrom([]int64{0, 3 << 30}).Draw(t, "memory cap")}
		r := s.Recommend(in)
		text := r.Explain()

		p := reader{guaranteed: in.Context.QoS == "Guaranteed", off: 0.25}
		p.read(t, text)
		near := func(want float64, got int64, off float64, what string) {
			if got != 0 || what == "request" {
				assert.InDelta(t, want, float64(got), off+2e-3*want, what+"\n"+text)
			}
		}
		near(p.cpu, r.Requests.CPUMillis, 2, "request")
		if r.CPUState != recommend.NoData { // what is not measured stays as it is
			near(p.cpuLimit, r.Limits.CPUMillis, 2, "limit")
		}
		near(p.memory*(1<<20), r.Requests.MemoryBytes, p.off*(1<<20), "request")
		if r.MemoryState != recommend.NoData {
			near(p.memoryLimit*(1<<20), r.Limits.MemoryBytes, p.off*(1<<20), "limit")
		}
		if m := memoryLine.FindStringSubmatch(text); m != nil {
			near(number(t, m[4])*(1<<20), r.Requests.MemoryBytes, 1<<17, "request")
			if m[5] != "" {
				near(number(t, m[5])*(1<<20), r.Limits.MemoryBytes, 1<<17, "limit")
			} else {
				assert.Equal(t, r.Requests.MemoryBytes, r.Limits.MemoryBytes)
			}
		}
	})
}

// What the terms say is what the text says.
func TestTheTermsMakeTheTarget(t *testing.T) {
	t.Parallel()
	in := input(observed(5*24, func(h int) float64 { return float64(100 + h) }, func(h int) float64 { return float64(int64(256+h%24*8) << 20) }))
	in.Current.Requests = object.Resources{CPUMillis: 1000, MemoryBytes: 1 << 30}
	r := recommend.Recommend(in)
	m := r.Message(usage.Key{Namespace: "shop", Kind: "Deployment", Name: "web", Container: "app"}, in, recommend.PriceOf(nil, "", ""))
	of := map[string]float64{}
	for _, term := range m.GetTerms() {
		of[term.GetResource()+" "+term.GetName()] = term.GetValue()
	}
	assert.InEpsilon(t, of["cpu level"]*(1+of["cpu margin"]), of["cpu raw"], 1e-9)
	assert.InEpsilon(t, of["memory level"]*(1+of["memory margin"])+of["memory typical"]*of["memory typical_margin"], of["memory raw"], 1e-9)
	assert.EqualValues(t, math.Ceil(of["memory raw"]), m.GetTargetRequests().GetMemoryBytes())
	assert.EqualValues(t, math.Ceil(of["cpu raw"]), m.GetTargetRequests().GetCpuMillis())
}

// The terms of an OOM kill make what it asks for.
func TestTheTermsOfAKillMakeItsFloor(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(100<<20)))
	in.Current = object.Allotment{Requests: object.Resources{CPUMillis: 100, MemoryBytes: 1 << 30}, Limits: object.Resources{CPUMillis: 200, MemoryBytes: 1 << 30}}
	in.Sketch.ObserveOOM(in.Sketch.Last(), 1<<30)
	r := recommend.Recommend(in)
	of := map[string]float64{}
	for _, term := range r.Message(usage.Key{Container: "app"}, in, recommend.PriceOf(nil, "", "")).GetTerms() {
		of[term.GetResource()+" "+term.GetName()] = term.GetValue()
	}
	assert.InEpsilon(t, max(of["memory oom_limit"]*of["memory oom_bump"], of["memory oom_highest"]), of["memory oom_floor"], 1e-9)
	assert.InEpsilon(t, 1<<30, of["memory oom_limit"], 0.01)
	assert.InDelta(t, 6, of["memory oom_hold"], 0)
	assert.InDelta(t, 2, of["cpu limit_ratio"], 0)
}

// Where the next hours alone need more than the day is worth, the text says so, and
// the share above is that of the level that is held.
func TestTheNextHoursMayDecide(t *testing.T) {
	t.Parallel()
	found := false
	rapid.Check(t, func(t *rapid.T) {
		// A peak of a few hours at about the same time of the day.
		peak, hour := rapid.Float64Range(2, 40).Draw(t, "peak"), rapid.IntRange(0, 23).Draw(t, "hour")
		of := rapid.IntRange(2, 6).Draw(t, "of")
		s := observed(9*24, flat(100), func(h int) float64 {
			if h%24 == hour && h/24%of != 0 {
				return peak * (256 << 20)
			}
			return 256 << 20
		})
		r := recommend.Recommend(input(s))
		m := &r.Memory
		assert.LessOrEqual(t, m.Exceeded, 1.0)
		assert.GreaterOrEqual(t, m.Exceeded, 0.0)
		if m.Level == m.Highest {
			assert.Zero(t, m.Exceeded)
		}
		if m.Soon {
			found = true
			assert.Contains(t, r.Explain(), "the next hours alone need it")
		}
	})
	assert.True(t, found, "in no case the next hours decide")
}
