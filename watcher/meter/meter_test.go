package meter_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

var start = time.Unix(1_800_000_000, 0)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

func counted(seconds, cpu float64) *meter.Sample {
	return &meter.Sample{Time: at(seconds), Has: meter.CPU | meter.CPUCounter, CPUSeconds: cpu}
}

func take(m *meter.Meter, s *meter.Sample) (meter.Reading, meter.Tally) {
	var tally meter.Tally
	r := m.Take(s, 0, time.Minute, s.Time, &tally)
	return r, tally
}

func TestARateComesFromTheSecondSampleOn(t *testing.T) {
	var m meter.Meter
	r, tally := take(&m, counted(0, 100))
	assert.Zero(t, r.Has, "one sample of a counter says nothing")
	assert.EqualValues(t, 1, tally[meter.First])
	r, _ = take(&m, counted(10, 105))
	assert.Equal(t, meter.CPU, r.Has)
	assert.InDelta(t, 500, r.CPUMillis, 1e-9)
}

func TestWhatIsNotTaken(t *testing.T) {
	gauge := func(seconds, millis float64) *meter.Sample {
		return &meter.Sample{Time: at(seconds), Has: meter.CPU, CPUMillis: millis}
	}
	memory := func(seconds, bytes float64) *meter.Sample {
		return &meter.Sample{Time: at(seconds), Has: meter.Memory, MemoryBytes: bytes}
	}
	started := func(s *meter.Sample, seconds float64) *meter.Sample {
		s.Started = at(seconds)
		return s
	}
	for name, tt := range map[string]struct {
		before []*meter.Sample
		s      *meter.Sample
		now    time.Time
		want   meter.Verdict
	}{
		"the same moment again":                  {[]*meter.Sample{memory(5, 1)}, memory(5, 2), at(5), meter.Duplicate},
		"an earlier moment":                      {[]*meter.Sample{memory(5, 1)}, memory(4, 2), at(5), meter.OutOfOrder},
		"a moment in the future":                 {nil, memory(100, 1), at(0), meter.Ahead},
		"a moment long past":                     {nil, memory(0, 1), at(3600), meter.Stale},
		"before the container started":           {nil, started(memory(0, 1), 5), at(6), meter.Stale},
		"NaN memory":                             {nil, memory(0, math.NaN()), at(0), meter.Invalid},
		"negative memory":                        {nil, memory(0, -1), at(0), meter.Invalid},
		"infinite memory":                        {nil, memory(0, math.Inf(1)), at(0), meter.Invalid},
		"absurd memory":                          {nil, memory(0, 1e18), at(0), meter.Invalid},
		"negative CPU":                           {nil, gauge(0, -1), at(0), meter.Invalid},
		"absurd CPU":                             {nil, gauge(0, 1e9), at(0), meter.Invalid},
		"NaN counter":                            {nil, counted(0, math.NaN()), at(0), meter.Invalid},
		"an absurd rate":                         {[]*meter.Sample{counted(0, 0)}, counted(10, 1e9), at(10), meter.Invalid},
		"a counter that went back":               {[]*meter.Sample{counted(0, 100)}, counted(10, 3), at(10), meter.Reset},
		"a counter of a container started anew":  {[]*meter.Sample{started(counted(0, 100), -50)}, started(counted(10, 103), 4), at(10), meter.First},
		"a counter after hours":                  {[]*meter.Sample{counted(0, 100)}, counted(7200, 200), at(7200), meter.First},
		"a counter before anything can be told":  {[]*meter.Sample{counted(0, 100)}, counted(0.2, 100), at(1), meter.Duplicate},
		"a counter where a gauge was: it begins": {[]*meter.Sample{gauge(0, 100)}, counted(10, 1), at(10), meter.First},
	} {
		t.Run(name, func(t *testing.T) {
			var m meter.Meter
			for _, s := range tt.before {
				take(&m, s)
			}
			var tally meter.Tally
			r := m.Take(tt.s, 0, time.Minute, tt.now, &tally)
			assert.Zero(t, r.Has)
			assert.EqualValues(t, 1, tally[tt.want], "%v", tally)
			assert.NotEqual(t, "unknown", tt.want.String())
		})
	}
}

// A gap is a gap: what comes after it is the mean over it, never a zero.
func TestAGapIsNeverZero(t *testing.T) {
	var m meter.Meter
	take(&m, counted(0, 0))
	take(&m, counted(10, 5))
	r, _ := take(&m, counted(130, 65)) // two minutes without a word
	assert.InDelta(t, 500, r.CPUMillis, 1e-9)
}

// What was told while our clock was ahead does not keep out what is told after it was
// set back.
func TestAClockThatWasSetBackIsNotWaitedFor(t *testing.T) {
	const all = meter.CPU | meter.CPUCounter | meter.Memory | meter.Throttling | meter.Pressure | meter.Kills
	sample := func(seconds, grown float64) *meter.Sample {
		return &meter.Sample{
			Time: at(seconds), Started: at(3000), Has: all, CPUSeconds: 100 + grown, MemoryBytes: 1 << 20,
			Periods: grown, ThrottledPeriods: grown / 2, CPUWaiting: grown, MemoryWaiting: grown, IOWaiting: grown, Kills: grown,
		}
	}
	var m meter.Meter
	var tally meter.Tally
	read := func(s *meter.Sample, rank uint8) meter.Fields {
		return m.Take(s, rank, time.Minute, s.Time, &tally).Has
	}
	read(sample(3600, 0), 1)
	assert.Equal(t, all&^meter.CPUCounter, read(sample(3610, 1), 1))
	assert.Equal(t, meter.Memory, read(sample(20, 2), 0), "of a lower rank, and a start that is yet to come")
	assert.Equal(t, all&^meter.CPUCounter, read(sample(30, 3), 0))
	assert.Zero(t, tally[meter.OutOfOrder]+tally[meter.Outranked]+tally[meter.Stale])

	assert.Zero(t, read(sample(29, 3), 0), "within a minute it is another sample's")
	assert.NotZero(t, tally[meter.OutOfOrder])
}

func TestABetterSourceGoesFirst(t *testing.T) {
	var m meter.Meter
	sample := func(seconds, bytes float64) *meter.Sample {
		return &meter.Sample{Time: at(seconds), Has: meter.Memory, MemoryBytes: bytes}
	}
	var tally meter.Tally
	assert.NotZero(t, m.Take(sample(0, 1), 1, time.Minute, at(0), &tally).Has)
	assert.Zero(t, m.Take(sample(10, 2), 0, time.Minute, at(10), &tally).Has)
	assert.EqualValues(t, 1, tally[meter.Outranked])
	assert.NotZero(t, m.Take(sample(80, 3), 0, time.Minute, at(80), &tally).Has, "the better one is silent for over a minute")
	assert.NotZero(t, m.Take(sample(90, 4), 0, time.Minute, at(90), &tally).Has)
	assert.NotZero(t, m.Take(sample(100, 5), 1, time.Minute, at(100), &tally).Has, "and comes back")
}

func TestThrottlingAndPressureAreShares(t *testing.T) {
	var m meter.Meter
	s := func(seconds, periods, throttled, waiting float64) *meter.Sample {
		return &meter.Sample{
			Time: at(seconds), Has: meter.Throttling | meter.Pressure, Periods: periods, ThrottledPeriods: throttled,
			CPUWaiting: waiting, MemoryWaiting: waiting / 2, IOWaiting: 0,
		}
	}
	r, _ := take(&m, s(0, 1000, 100, 50))
	assert.Zero(t, r.Has)
	r, _ = take(&m, s(10, 1100, 125, 51))
	assert.Equal(t, meter.Throttling|meter.Pressure, r.Has)
	assert.InDelta(t, 0.25, r.Throttled, 1e-9)
	assert.InDelta(t, 0.1, r.CPUPressure, 1e-9)
	assert.InDelta(t, 0.05, r.MemoryPressure, 1e-9)
	assert.Zero(t, r.IOPressure)
	r, _ = take(&m, s(20, 1100, 125, 51))
	assert.Equal(t, meter.Throttling|meter.Pressure, r.Has, "an idle container is not throttled, which is known")
	assert.Zero(t, r.Throttled)
	r, _ = take(&m, s(30, 5, 1, 0))
	assert.Zero(t, r.Has, "counters began anew")
}

// Whatever a source says, a reading is in bounds.
func TestReadingsAreInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m meter.Meter
		var tally meter.Tally
		for range rapid.IntRange(1, 30).Draw(t, "samples") {
			number := func(name string) float64 { return rapid.Float64().Draw(t, name) }
			s := meter.Sample{
				Time: at(rapid.Float64Range(-1000, 1000).Draw(t, "at")), Has: meter.Fields(rapid.Byte().Draw(t, "has")),
				CPUMillis: number("millis"), CPUSeconds: number("cpu"), MemoryBytes: number("memory"),
				Periods: number("periods"), ThrottledPeriods: number("throttled"),
				CPUWaiting: number("cpuw"), MemoryWaiting: number("memw"), IOWaiting: number("iow"),
			}
			r := m.Take(&s, rapid.Byte().Draw(t, "rank"), time.Minute, at(0), &tally)
			for _, share := range []float64{r.Throttled, r.CPUPressure, r.MemoryPressure, r.IOPressure} {
				if !(share >= 0 && share <= 1) {
					t.Fatalf("share %v", share)
				}
			}
			if !(r.CPUMillis >= 0 && r.CPUMillis <= 1<<24) || !(r.MemoryBytes >= 0 && r.MemoryBytes <= 1<<50) {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func BenchmarkTake(b *testing.B) {
	var m meter.Meter
	s := meter.Sample{Has: meter.CPU | meter.CPUCounter | meter.Memory, MemoryBytes: 1 << 20}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		s.Time, s.CPUSeconds = at(float64(i*10)), float64(i)
		m.Take(&s, 0, time.Minute, s.Time, nil)
	}
}

// Kills are counted from the first sample on, and anew with the container.
func TestKills(t *testing.T) {
	var m meter.Meter
	now := time.Unix(1_800_000_000, 0)
	take := func(kills float64, after, started time.Duration) (int64, bool) {
		s := &meter.Sample{Time: now.Add(after), Started: now.Add(started), Has: meter.Kills, Kills: kills}
		r := m.Take(s, 0, time.Minute, now.Add(after), nil)
		return r.Killed, r.Has.Has(meter.Kills)
	}
	for _, step := range []struct {
		kills          float64
		after, started time.Duration
		killed         int64
		ok             bool
	}{
		{5, 0, -time.Hour, 0, false},
		{5, time.Second, -time.Hour, 0, true},
		{7, 10 * time.Second, -time.Hour, 2, true},
		{8, 10 * time.Second, -time.Hour, 0, false}, // Told before.
		{math.NaN(), 20 * time.Second, -time.Hour, 0, false},
		{6, 30 * time.Second, -time.Hour, 0, false}, // Went back.
		{9, 50 * time.Second, 40 * time.Second, 0, false},
		{10, 60 * time.Second, 40 * time.Second, 1, true},
	} {
		killed, ok := take(step.kills, step.after, step.started)
		assert.Equal(t, step.killed, killed, step)
		assert.Equal(t, step.ok, ok, step)
	}
}
