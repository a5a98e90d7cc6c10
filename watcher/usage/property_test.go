package usage_test

import (
	"bytes"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/watcher/usage"
)

// drawn is a sketch of samples in any order of time over some weeks.
func drawn(t *rapid.T, name string) usage.Sketch {
	var s usage.Sketch
	for _, at := range rapid.SliceOfN(rapid.Int64Range(0, 30*86400), 0, 60).Draw(t, name) {
		s.Observe(usage.Sample{Time: start + at, CPUMillis: float64(at % 997), MemoryBytes: float64(at%1009) * 1e6, Age: usage.Unknown})
		if at%6 == int64(name[0]-'a') { // each sketch has kills of its own
			s.ObserveOOM(start+at, float64(at%13)*1e6)
		}
	}
	return s
}

// same says that two sketches read the same; CPU but for the rounding of sums.
func same(t assert.TestingT, a, b *usage.Sketch) {
	_, last := a.MemoryTimes()
	newest := last / 3600 / usage.BlockHours
	for i := newest - usage.Blocks; i <= newest; i++ {
		assert.Equal(t, a.MemoryMax(i, i+1), b.MemoryMax(i, i+1))
	}
	for _, q := range []float64{0.1, 0.5, 0.95} {
		assert.InDelta(t, a.CPUQuantile(q), b.CPUQuantile(q), 0.01*a.CPUQuantile(q)+1e-3)
	}
	for i := range usage.OOMMarks {
		x, _ := a.OOM(i)
		y, _ := b.OOM(i)
		assert.Equal(t, x, y)
	}
	times := func(s *usage.Sketch) []int64 {
		firstCPU, lastCPU := s.CPUTimes()
		firstMemory, lastMemory := s.MemoryTimes()
		return []int64{s.First(), s.Last(), firstCPU, lastCPU, firstMemory, lastMemory, int64(s.OOMCount())}
	}
	assert.Equal(t, times(a), times(b))
}

func TestMergesAreFreeOfOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawn(t, "a"), drawn(t, "b"), drawn(t, "c")
		abc, cba := a, c
		abc.Merge(&b)
		abc.Merge(&c)
		cba.Merge(&b)
		cba.Merge(&a)
		same(t, &abc, &cba)
	})
}

func TestWhatComesLateGoesWhereItBelongs(t *testing.T) {
	t.Parallel()
	var forward, backward usage.Sketch
	for i := range int64(200) {
		x := func(i int64) usage.Sample {
			return usage.Sample{Time: start + 600*i, CPUMillis: float64(i), MemoryBytes: float64(i * 1e6), Age: usage.Unknown}
		}
		assert.True(t, forward.Observe(x(i)))
		assert.True(t, backward.Observe(x(199-i)))
	}
	same(t, &forward, &backward)
	assert.False(t, forward.Observe(usage.Sample{Time: start - 40*86400, CPUMillis: 1, MemoryBytes: 1}), "no longer held")
}

func TestAQuantileIsNearTheTruth(t *testing.T) {
	t.Parallel()
	var s usage.Sketch
	for i := range int64(1000) {
		s.Observe(usage.Sample{Time: start + i, CPUMillis: float64(i), MemoryBytes: math.NaN(), Age: usage.Unknown})
	}
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
		assert.InEpsilon(t, 1000*q, s.CPUQuantile(q), 0.03)
	}
}

func TestTheBookForgetsTheColdestAndCountsIt(t *testing.T) {
	t.Parallel()
	b, err := usage.NewBook(usage.BookOptions{MaxBytes: usage.MinBookBytes})
	require.NoError(t, err)
	hot := usage.Key{Container: "hot"}
	for i := range int64(500) {
		at := start + i*3600
		b.Observe(usage.Key{Container: "c", Name: strconv.FormatInt(i, 10)}, usage.Sample{Time: at, CPUMillis: 1, MemoryBytes: 1})
		b.Observe(hot, usage.Sample{Time: at, CPUMillis: 1, MemoryBytes: 1})
	}
	stats := b.Stats()
	assert.LessOrEqual(t, stats.Bytes, int64(usage.MinBookBytes))
	assert.EqualValues(t, 501, stats.Forgotten+uint64(stats.Entries))
	_, held := b.Get(hot)
	assert.True(t, held)
	assert.True(t, b.Forget(hot))
	assert.False(t, b.Observe(usage.Key{}, usage.Sample{Time: start, CPUMillis: 1, MemoryBytes: 1}), "a key needs a container")
	_, err = usage.NewBook(usage.BookOptions{MaxBytes: 1})
	assert.ErrorContains(t, err, "MaxBytes is 1")
}

// Polled one after the other, more containers than there is room for would each be
// forgotten just before its next sample: those that are held stay, and the others wait.
func TestABookThatIsFullKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	b, err := usage.NewBook(usage.BookOptions{MaxBytes: usage.MinBookBytes})
	require.NoError(t, err)
	key := func(i int64) usage.Key { return usage.Key{Name: strconv.FormatInt(1000+i, 10), Container: "app"} }
	at, n := start, int64(100)
	poll := func(from int64) {
		at += 30
		for i := from; i < n; i++ {
			b.Observe(key(i), usage.Sample{Time: at, CPUMillis: 1, MemoryBytes: 1, Age: usage.Unknown})
		}
	}
	for range 100 {
		poll(0)
	}
	stats := b.Stats()
	require.Less(t, int64(stats.Entries), n)
	assert.Zero(t, stats.Forgotten)
	assert.EqualValues(t, 100*(n-int64(stats.Entries)), stats.TurnedAway)
	assert.Equal(t, at, stats.TurnedAt)
	b.Range(func(k usage.Key, s *usage.Sketch) bool {
		assert.Equal(t, 99*30*time.Second, s.Span(), k)
		return true
	})
	assert.False(t, b.ObserveOOM(key(n), at, 1<<30))

	for range 121 { // ten fall silent for an hour, and ten others take their places
		poll(10)
	}
	_, held := b.Get(key(9))
	assert.False(t, held)
	_, held = b.Get(key(int64(stats.Entries) + 9))
	assert.True(t, held)
	assert.EqualValues(t, 10, b.Stats().Forgotten)
	assert.Equal(t, stats.Entries, b.Stats().Entries)
}

func FuzzUnmarshal(f *testing.F) {
	var s usage.Sketch
	s.Observe(usage.Sample{Time: start, CPUMillis: 100, MemoryBytes: 1e9})
	s.ObserveOOM(start, 1e9)
	raw, _ := s.MarshalBinary()
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got usage.Sketch
		if got.UnmarshalBinary(raw) != nil {
			return
		}
		again, _ := got.MarshalBinary()
		var back usage.Sketch
		if err := back.UnmarshalBinary(again); err != nil || back != got || len(again) > usage.MaxEncodedBytes {
			t.Errorf("%v: %d bytes", err, len(again))
		}
		got.Merge(&s)
		got.Observe(usage.Sample{Time: start + 1, CPUMillis: 1, MemoryBytes: 1})
		if q := got.CPUQuantile(0.9); math.IsNaN(q) || q < 0 {
			t.Error(q)
		}
	})
}

func FuzzRestore(f *testing.F) {
	b, _ := usage.NewBook(usage.BookOptions{})
	b.Observe(usage.Key{Namespace: "n", Container: "c"}, usage.Sample{Time: start, CPUMillis: 1, MemoryBytes: 1})
	f.Add(b.Snapshot(0, 1))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fresh, _ := usage.NewBook(usage.BookOptions{})
		n, err := fresh.Restore(raw)
		if err == nil && n > 0 && bytes.Equal(fresh.Snapshot(0, 1), nil) {
			t.Error("nothing restored")
		}
	})
}
