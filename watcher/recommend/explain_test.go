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
	memoryLine = regexp.MustCompile(`(?m)^memory request and limit = .*? = (\(.*?) = ([0-9.]+) MiB(.*) → ([0-9.]+) MiB\.$`)
	atLeast    = regexp.MustCompile(`at least the highest while starting × \(1 \+ margin\) × multiplier = (.*?)(?:, but|$)`)
	afterKill  = regexp.MustCompile(`at least ([0-9.]+) MiB for 6 h after an OOM kill`)
)

// Whoever reads an explanation comes to the target with a pocket calculator.
func TestAnExplanationCanBeRecomputed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := input(of(memories(t), 1))
		last := in.Sketch.Last()
		in.Current.Requests.CPUMillis = rapid.Int64Range(0, 1000).Draw(t, "request") // a raise leaves room
		if rapid.Bool().Draw(t, "killed") {
			in.Sketch.ObserveOOM(last, rapid.Float64Range(1<<26, 1<<33).Draw(t, "limit"))
		}
		if rapid.Bool().Draw(t, "started") {
			in.Sketch.Observe(usage.Sample{Time: last, CPUMillis: 10, MemoryBytes: rapid.Float64Range(1<<26, 1<<34).Draw(t, "start"), Age: time.Minute})
		}
		s := recommend.DefaultSettings()
		s.Memory.Multiplier = rapid.SampledFrom([]float64{1, 0.9, 1.25}).Draw(t, "multiplier")
		r := s.Recommend(in)
		text := r.Explain()

		cpu := cpuLine.FindStringSubmatch(text)
		require.NotNil(t, cpu, text)
		raw, err := strconv.ParseFloat(cpu[2], 64)
		require.NoError(t, err)
		assert.InEpsilon(t, product(t, cpu[1]), raw, 1e-3, text)
		assert.Equal(t, strconv.FormatInt(r.Requests.CPUMillis, 10), strings.TrimSuffix(cpu[3], ".0"), text)
		assert.InDelta(t, math.Ceil(raw), r.Requests.CPUMillis, 1+raw*1e-4, text)

		memory := memoryLine.FindStringSubmatch(text)
		require.NotNil(t, memory, text)
		want := product(t, memory[1])
		assert.InEpsilon(t, want, product(t, memory[2]), 2e-3, text)
		if m := atLeast.FindStringSubmatch(memory[3]); m != nil {
			want = max(want, product(t, m[1]))
		}
		if m := afterKill.FindStringSubmatch(memory[3]); m != nil {
			want = max(want, product(t, m[1]))
		}
		assert.InEpsilon(t, want, float64(r.Requests.MemoryBytes)/(1<<20), 2e-3, text)
		assert.InEpsilon(t, product(t, memory[4]), float64(r.Requests.MemoryBytes)/(1<<20), 1e-3, text)
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
