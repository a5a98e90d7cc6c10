package history_test

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/watcher/history"
)

var begin = time.Unix(1_800_000_000, 0).Truncate(time.Hour)

func minute(n int) time.Time { return begin.Add(time.Duration(n) * time.Minute) }

func values(pods, cpu, cpuMax, memory float64) *history.Values {
	v := history.None()
	v[history.Pods], v[history.CPUMean], v[history.CPUMax], v[history.MemoryMean], v[history.MemoryMax] = pods, cpu, cpuMax, memory, memory
	return &v
}

func web(i int) history.Key {
	return history.Key{Namespace: fmt.Sprintf("ns-%d", i%3), Kind: "Deployment", Workload: fmt.Sprintf("web-%d", i), Container: "app"}
}

func newHistory(t testing.TB, bytes int64) *history.History {
	t.Helper()
	h, err := history.New(bytes)
	require.NoError(t, err)
	return h
}

func query(t testing.TB, h *history.History, q history.Query) *history.Result {
	t.Helper()
	if q.End.IsZero() {
		q.Start, q.End = begin, begin.Add(24*time.Hour)
	}
	got, err := h.Query(&q)
	require.NoError(t, err)
	return got
}

func TestSeriesAreJoined(t *testing.T) {
	h := newHistory(t, 1<<20)
	require.True(t, h.Record(minute(0), func(m *history.Minute) {
		assert.True(t, m.Add(web(0), values(2, 100, 150, 1<<20), &history.Sizes{CPURequest: 500}))
		assert.True(t, m.Add(web(3), values(1, 300, 310, 3<<20), &history.Sizes{CPURequest: 250}))
		assert.True(t, m.Add(web(1), values(3, 10, 20, 1<<20), &history.Sizes{}))
		n := history.None()
		n[history.Pods], n[history.CPUMean], n[history.CPUMax], n[history.MemoryPressure] = 1, 4000, 4100, 0.25
		assert.True(t, m.Add(history.Key{Node: "n1"}, &n, &history.Sizes{CPURequest: 8000}))
	}))
	require.False(t, h.Record(minute(0), func(*history.Minute) { t.Error("twice the same minute") }))
	value := func(q history.Query) float64 {
		got := query(t, h, q)
		require.Len(t, got.Series, 1)
		require.Len(t, got.Series[0].Points, 1)
		return got.Series[0].Points[0].Value
	}
	for want, q := range map[float64]history.Query{
		530:  {Metric: "container_cpu_usage"}, // 2·100 + 300 + 3·10
		500:  {Metric: "container_cpu_usage", Filter: map[string]string{"namespace": "ns-0"}},
		310:  {Metric: "container_cpu_usage", Aggregation: history.Max},
		10:   {Metric: "container_cpu_usage", Aggregation: history.P50},
		300:  {Metric: "container_cpu_usage", Aggregation: history.P99},
		6:    {Metric: "container_pods"},
		1250: {Metric: "container_cpu_request"}, // 2·500 + 250, one has none
		4000: {Metric: "node_cpu_usage"},
		0.25: {Metric: "node_memory_pressure"},
		8000: {Metric: "node_cpu_allocatable"},
		30:   {Metric: "container_cpu_usage", May: func(ns string) bool { return ns == "ns-1" }},
	} {
		assert.InEpsilon(t, want, value(q), 0.001, "%+v", q)
	}
	assert.InEpsilon(t, 530.0/6, value(history.Query{Metric: "container_cpu_usage", Aggregation: history.Avg}), 0.001)
	assert.Empty(t, query(t, h, history.Query{Metric: "node_cpu_usage", May: func(ns string) bool { return ns != "" }}).Series)
	got := query(t, h, history.Query{Metric: "container_cpu_usage", GroupBy: []string{"namespace", "workload"}})
	require.Len(t, got.Series, 3)
	assert.Equal(t, map[string]string{"namespace": "ns-0", "workload": "web-0"}, got.Series[0].Labels)
	assert.Equal(t, "millicores", got.Unit)
	assert.Empty(t, query(t, h, history.Query{Metric: "container_cpu_throttled"}).Series, "nothing measured is no series, and no zero")
}

func TestAGapHasNoPoints(t *testing.T) {
	h := newHistory(t, 1<<20)
	for _, n := range []int{0, 1, 5} {
		h.Record(minute(n), func(m *history.Minute) { m.Add(web(0), values(1, 100, 100, 0), &history.Sizes{}) })
	}
	got := query(t, h, history.Query{Metric: "container_cpu_usage", Start: minute(0), End: minute(10), Step: time.Minute})
	require.Len(t, got.Series[0].Points, 3)
	assert.Equal(t, minute(5).Unix(), got.Series[0].Points[2].Time.Unix())
	zero := query(t, h, history.Query{Metric: "container_memory_usage", Start: minute(0), End: minute(10), Step: time.Minute})
	assert.Zero(t, zero.Series[0].Points[0].Value, "a measured zero is one")
}

func TestTheOldIsCoarser(t *testing.T) {
	h := newHistory(t, 1<<20)
	for n := range 3 * 24 * 60 {
		h.Record(minute(n), func(m *history.Minute) {
			m.Add(web(0), values(2, float64(100+n%10), float64(n%60), 1<<20), &history.Sizes{CPULimit: float64(1000 + n/1440)})
		})
	}
	got := query(t, h, history.Query{Metric: "container_cpu_usage", Start: begin, End: begin.Add(72 * time.Hour), Step: time.Hour, Aggregation: history.Avg})
	require.Len(t, got.Series, 1)
	assert.GreaterOrEqual(t, len(got.Series[0].Points), 71)
	for _, p := range got.Series[0].Points {
		assert.InEpsilon(t, 104.5, p.Value, 0.02)
	}
	most := query(t, h, history.Query{Metric: "container_cpu_usage", Start: begin, End: begin.Add(24 * time.Hour), Step: time.Hour, Aggregation: history.Max})
	assert.InEpsilon(t, 59, most.Series[0].Points[3].Value, 0.001, "a peak is kept")
	limits := query(t, h, history.Query{Metric: "container_cpu_limit", Start: begin, End: begin.Add(72 * time.Hour), Step: time.Hour, Aggregation: history.Max})
	assert.InEpsilon(t, 1000, limits.Series[0].Points[1].Value, 0.001)
	assert.InEpsilon(t, 1002, limits.Series[0].Points[70].Value, 0.001)
	fine := query(t, h, history.Query{Metric: "container_cpu_usage", Start: begin.Add(71 * time.Hour), End: begin.Add(72 * time.Hour), Step: time.Minute})
	assert.GreaterOrEqual(t, len(fine.Series[0].Points), 59)
	rate := query(t, h, history.Query{Metric: "container_cpu_usage", Start: begin.Add(71 * time.Hour), End: begin.Add(72 * time.Hour), Step: time.Minute, Aggregation: history.Rate})
	assert.InEpsilon(t, 2.0/60, rate.Series[0].Points[0].Value, 0.1, "two pods, each one millicore more a minute")
	assert.InDelta(t, 72, h.Stats().Reach.Hours(), 1.1)
}

// However many series there are, the bytes are bounded, by the program's own heap.
// A step that mixes widths weighs each by how long it stands for, and loses nothing
// where one width ends and the next begins.
func TestWidthsAreWeighed(t *testing.T) {
	const hours = 30 // minutes of the last 2, tens of minutes of the last 24
	long := hours * time.Hour
	first := time.Unix(int64(long/time.Second)*16_667, 0)
	whole := func(value func(minute int) float64, a history.Aggregation) float64 {
		h := newHistory(t, 1<<20)
		for n := range hours * 60 {
			h.Record(first.Add(time.Duration(n)*time.Minute), func(m *history.Minute) {
				m.Add(web(0), values(1, value(n), value(n), 0), &history.Sizes{})
			})
		}
		got := query(t, h, history.Query{Metric: "container_cpu_usage", Start: first, End: first.Add(long - time.Second), Step: long, Aggregation: a})
		require.Len(t, got.Series, 1)
		require.Len(t, got.Series[0].Points, 1)
		return got.Series[0].Points[0].Value
	}
	late := func(n int) float64 {
		if n < 26*60 {
			return 100
		}
		return 1000
	}
	assert.InEpsilon(t, (26*100+4*1000)/30.0, whole(late, history.Avg), 0.001)
	assert.InEpsilon(t, (26*100+4*1000)/30.0, whole(late, history.Sum), 0.001)
	assert.InEpsilon(t, 100, whole(late, history.P50), 0.001)
	for _, border := range []int{(hours - 2) * 60, (hours - 24) * 60} {
		for n := border - 70; n < border+70; n += 3 {
			spike := func(minute int) float64 {
				if minute == n {
					return 1e6
				}
				return 1
			}
			assert.InEpsilon(t, (1e6+hours*60-1)/(hours*60), whole(spike, history.Avg), 0.002, "a spike in minute %d", n)
		}
	}
}

// A clock that was ahead once does not end the history: what lies in the time to come
// is dropped, and counted.
func TestAClockThatWasAheadIsForgotten(t *testing.T) {
	h := newHistory(t, 1<<20)
	record := func(from, to int, cpu float64) (taken int) {
		for n := from; n < to; n++ {
			if h.Record(minute(n), func(m *history.Minute) { m.Add(web(0), values(1, cpu, cpu, 0), &history.Sizes{CPURequest: cpu}) }) {
				taken++
			}
		}
		return taken
	}
	require.Equal(t, 100, record(0, 100, 10))
	require.Equal(t, 60, record(10_000, 10_060, 99))
	require.Equal(t, 300, record(100, 400, 20))
	assert.EqualValues(t, 1, h.Stats().Rewound)
	assert.Equal(t, 399*time.Minute, h.Stats().Reach)
	for _, metric := range []string{"container_cpu_usage", "container_cpu_request"} {
		got := query(t, h, history.Query{Metric: metric, Start: begin, End: minute(20_000), Step: 10 * time.Minute, Aggregation: history.Max})
		require.Len(t, got.Series, 1)
		points := got.Series[0].Points
		require.Len(t, points, 40, metric)
		for i, p := range points {
			want := 10.0
			if i >= 10 {
				want = 20
			}
			assert.InEpsilon(t, want, p.Value, 0.001, "%s at %s", metric, p.Time)
		}
	}
	assert.Zero(t, record(398, 400, 20), "a little is awaited")
	assert.EqualValues(t, 1, h.Stats().Rewound)
}

func TestMemoryIsBounded(t *testing.T) {
	const bound = 1 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	h := newHistory(t, bound)
	keys := make([]history.Key, 1000)
	for i := range keys {
		keys[i] = web(i)
	}
	for n := range 300 {
		h.Record(minute(n), func(m *history.Minute) {
			for i := range keys {
				m.Add(keys[i], values(1, float64(n), float64(n), 1<<20), &history.Sizes{CPURequest: float64(n / 60)})
			}
		})
		require.LessOrEqual(t, h.Stats().Bytes, int64(bound), "minute %d", n)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	s := h.Stats()
	t.Logf("%d series in %d bytes (heap %d), %s back, %d refused", s.Series, s.Bytes, after.HeapAlloc-before.HeapAlloc, s.Reach, s.Refused)
	assert.Positive(t, s.Series)
	assert.Less(t, float64(after.HeapAlloc-before.HeapAlloc), 1.4*bound)
	runtime.KeepAlive(keys)
}

func TestSeriesThatAreGoneAreForgotten(t *testing.T) {
	h := newHistory(t, 128<<10)
	for n := range 20 * 24 * 60 {
		h.Record(minute(n), func(m *history.Minute) {
			m.Add(web(n/1440), values(1, 1, 1, 1), &history.Sizes{})
		})
	}
	assert.LessOrEqual(t, h.Stats().Series, 15, "14 days of hours")
}

func TestQueriesAreChecked(t *testing.T) {
	h := newHistory(t, 4<<20)
	h.Record(minute(0), func(m *history.Minute) {
		for i := range 1500 {
			m.Add(web(i), values(1, 1, 1, 1), &history.Sizes{})
		}
	})
	for want, q := range map[string]history.Query{
		"metric: there is no \"x\"":                                       {Metric: "x"},
		"filter: container_cpu_usage has no label \"pod\", but container": {Metric: "container_cpu_usage", Filter: map[string]string{"pod": "p"}},
		"group_by: node_cpu_usage has no label \"namespace\", but node":   {Metric: "node_cpu_usage", GroupBy: []string{"namespace"}},
		"start_time: is not before end_time":                              {Metric: "node_cpu_usage", Start: begin, End: begin},
		"step: is 1s, want whole seconds, at least 60s":                   {Metric: "node_cpu_usage", Step: time.Second},
		"at most 11000 are given, so take":                                {Metric: "node_cpu_usage", Start: begin, End: begin.Add(30000 * time.Minute), Step: time.Minute},
		"makes more than 1000 series":                                     {Metric: "container_cpu_usage", GroupBy: []string{"workload"}},
		"at most 25000 points are given in all":                           {Metric: "container_cpu_usage", GroupBy: []string{"namespace", "workload"}, Filter: map[string]string{"namespace": "ns-0"}, Step: time.Minute},
		"aggregation: shares cannot be summed":                            {Metric: "container_cpu_throttled", Aggregation: history.Sum},
	} {
		if q.End.IsZero() {
			q.Start, q.End = begin, begin.Add(24*time.Hour)
		}
		_, err := h.Query(&q)
		var bad *history.QueryError
		require.ErrorAs(t, err, &bad, want)
		assert.Contains(t, err.Error(), want)
	}
	many := query(t, h, history.Query{
		Metric: "container_cpu_usage", GroupBy: []string{"namespace", "workload"}, Filter: map[string]string{"namespace": "ns-0"}, Start: begin, End: begin.Add(24 * time.Hour),
	})
	assert.Len(t, many.Series, 500)
	assert.LessOrEqual(t, int64(len(many.Series))*int64(24*time.Hour/many.Step+1), int64(25_000), "a step that nobody chose is as long as it must be: %s", many.Step)
	_, err := history.New(1)
	require.Error(t, err)
}

// What is recorded comes back within the precision of the store, whatever it is.
// One point may be of all that is held: what it is made from is not kept for it.
func TestOnePointOfEverythingTakesLittle(t *testing.T) {
	h := newHistory(t, 6<<20)
	for n := range 300 {
		h.Record(minute(n), func(m *history.Minute) {
			for i := range 900 {
				m.Add(web(i), values(1, float64(100+i), 100, 1<<20), &history.Sizes{})
			}
		})
	}
	all := history.Query{Metric: "container_cpu_usage", Start: begin, End: begin.Add(5 * time.Hour), Step: 24 * time.Hour}
	for _, aggregation := range []history.Aggregation{history.Sum, history.Avg, history.Max} {
		q := all
		q.Aggregation = aggregation
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := query(t, h, q)
		runtime.ReadMemStats(&after)
		require.Len(t, got.Series, 1)
		require.Len(t, got.Series[0].Points, 1)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "bytes for one number")
	}
	all.Aggregation = history.P99
	_, err := h.Query(&all)
	require.ErrorContains(t, err, "step: is 24h0m0s, which makes a percentile of up to ")
	require.ErrorContains(t, err, " values, where at most 32768 are: take a shorter step or more labels, or ask for avg or max")
}

func TestValuesComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h, err := history.New(1 << 20)
		if err != nil {
			rt.Fatal(err)
		}
		v := rapid.Float64Range(1e-5, 1<<42).Draw(rt, "v")
		h.Record(minute(0), func(m *history.Minute) { m.Add(web(0), values(1, v, v, v), &history.Sizes{}) })
		q := history.Query{Metric: "container_memory_usage", Start: begin, End: begin.Add(time.Hour)}
		got, err := h.Query(&q)
		if err != nil {
			rt.Fatal(err)
		}
		if off := math.Abs(got.Series[0].Points[0].Value/v - 1); off > 0.0004 {
			rt.Fatalf("%v came back %v off", v, off)
		}
	})
}

func BenchmarkRecord10k(b *testing.B) {
	h := newHistory(b, 6<<20)
	keys := make([]history.Key, 6667)
	for i := range keys {
		keys[i] = web(i)
	}
	v := values(2, 100, 120, 1<<28)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		h.Record(minute(n), func(m *history.Minute) {
			for i := range keys {
				m.Add(keys[i], v, &history.Sizes{CPURequest: 100})
			}
		})
	}
	b.ReportMetric(h.Stats().Reach.Hours(), "h-reach")
}

// What is recommended is kept as it changes, not as it trembles.
func TestTargetsAreKeptAsTheyChange(t *testing.T) {
	h := newHistory(t, 1<<20)
	for i, cpu := range []float64{0, 100, 103, 98, 120, 0, 120} {
		require.True(t, h.Record(minute(i), func(m *history.Minute) {
			assert.True(t, m.Add(web(0), values(1, 50, 50, 1<<20), &history.Sizes{CPURequest: 500 + float64(i), CPUTarget: cpu}))
		}))
	}
	got := query(t, h, history.Query{Metric: "container_cpu_recommendation", Start: begin, End: minute(6), Step: time.Minute})
	require.Len(t, got.Series, 1)
	told := make(map[int]float64)
	for _, p := range got.Series[0].Points {
		told[int(p.Time.Sub(begin)/time.Minute)] = math.Round(p.Value)
	}
	assert.Equal(t, map[int]float64{1: 100, 2: 100, 3: 100, 4: 120, 6: 120}, told)
	got = query(t, h, history.Query{Metric: "container_cpu_request", Start: begin, End: minute(6), Step: time.Minute})
	assert.InDelta(t, 503, got.Series[0].Points[3].Value, 0.5, "requests are kept as they are")
}
