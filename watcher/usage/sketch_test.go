package usage_test

import (
	"encoding/binary"
	"math"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/usage"
)

const start = int64(1_700_000_000)

func TestASketchKeepsItsSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(usage.Sketch{}), uintptr(usage.SketchBytes))
	var s usage.Sketch
	at := start
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		at += 15
		s.Observe(usage.Sample{Time: at, CPUMillis: 250, MemoryBytes: 1 << 30, Age: usage.Unknown})
	}))
}

func TestWhatCannotBeIsRefusedAndCounted(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, x := range map[string]usage.Sample{
		"neither":         {Time: start, CPUMillis: nan, MemoryBytes: nan},
		"negative CPU":    {Time: start, CPUMillis: -1, MemoryBytes: 1},
		"negative memory": {Time: start, CPUMillis: 1, MemoryBytes: -1},
		"infinite":        {Time: start, CPUMillis: math.Inf(1), MemoryBytes: 1},
		"too much":        {Time: start, CPUMillis: 1, MemoryBytes: 2 * usage.MaxMemoryBytes},
		"no time":         {CPUMillis: 1, MemoryBytes: 1},
		"far future":      {Time: math.MaxUint32 + 1, CPUMillis: 1, MemoryBytes: 1},
	} {
		var s usage.Sketch
		assert.False(t, s.Observe(x), name)
		assert.EqualValues(t, 1, s.Refused(), name)
		assert.True(t, s.Empty(), name)
	}
}

func TestEncodingComesBack(t *testing.T) {
	t.Parallel()
	var s usage.Sketch
	for i := range int64(500) {
		s.Observe(usage.Sample{Time: start + 300*i, CPUMillis: float64(i % 70), MemoryBytes: float64(i * 1000), Age: 0})
	}
	s.ObserveOOM(start, 1e9)
	raw, err := s.MarshalBinary()
	require.NoError(t, err)
	assert.LessOrEqual(t, len(raw), usage.MaxEncodedBytes)
	var back usage.Sketch
	require.NoError(t, back.UnmarshalBinary(raw))
	assert.Equal(t, s, back)
}

// What version 0.1.0 kept, with times of CPU and memory together, is read.
func TestTheEncodingBeforeIsRead(t *testing.T) {
	t.Parallel()
	var s usage.Sketch
	for i := range int64(500) {
		s.Observe(usage.Sample{Time: start + 300*i, CPUMillis: float64(i % 70), MemoryBytes: float64(i * 1000), Age: 0})
	}
	raw, err := s.MarshalBinary()
	require.NoError(t, err)
	block, n := binary.Uvarint(raw[1:])
	before := binary.AppendUvarint([]byte{2}, block)
	for _, at := range []int64{s.First(), s.Last(), s.Last(), s.Last()} { // first, last, last of CPU, last of memory
		before = binary.AppendUvarint(before, uint64(at))
	}
	rest := raw[1+n:]
	for range 4 {
		_, n := binary.Uvarint(rest)
		rest = rest[n:]
	}
	var back usage.Sketch
	require.NoError(t, back.UnmarshalBinary(append(before, rest...)))
	assert.Equal(t, s, back)
}

func TestASnapshotRestores(t *testing.T) {
	t.Parallel()
	b, err := usage.NewBook(usage.BookOptions{})
	require.NoError(t, err)
	for _, name := range []string{"a", "b", "c", "d"} {
		k := usage.Key{Namespace: "n", Kind: "Deployment", Name: name, Container: "app"}
		require.True(t, b.Observe(k, usage.Sample{Time: start, CPUMillis: 1, MemoryBytes: 1, Age: usage.Unknown}))
	}
	fresh, err := usage.NewBook(usage.BookOptions{})
	require.NoError(t, err)
	total := 0
	for shard := range 3 {
		n, err := fresh.Restore(b.Snapshot(shard, 3))
		require.NoError(t, err)
		total += n
	}
	assert.Equal(t, 4, total)
	b.Range(func(k usage.Key, s *usage.Sketch) bool {
		got, ok := fresh.Get(k)
		assert.True(t, ok)
		assert.Equal(t, *s, got)
		return true
	})
}

// What is known of each resource begins and ends with its own samples.
func TestTimesAreOfEachResource(t *testing.T) {
	t.Parallel()
	var s usage.Sketch
	for i := range int64(100) {
		x := usage.Sample{Time: start + 300*i, CPUMillis: math.NaN(), MemoryBytes: 1e9, Age: usage.Unknown}
		if i >= 40 && i < 60 {
			x.CPUMillis = 100
		}
		require.True(t, s.Observe(x))
	}
	first, last := s.CPUTimes()
	assert.Equal(t, []int64{start + 300*40, start + 300*59}, []int64{first, last})
	first, last = s.MemoryTimes()
	assert.Equal(t, []int64{start, start + 300*99}, []int64{first, last})
	assert.Equal(t, []int64{start, start + 300*99}, []int64{s.First(), s.Last()})
}

// Of what is back after an absence that nothing is held from, only the time since
// counts.
func TestALongAbsenceBeginsAnew(t *testing.T) {
	t.Parallel()
	var s usage.Sketch
	for i := range int64(500) {
		s.Observe(usage.Sample{Time: start + 300*i, CPUMillis: 100, MemoryBytes: 1e9, Age: usage.Unknown})
	}
	back := s.Last() + usage.Blocks*usage.BlockHours*3600 - 1
	short := s
	require.True(t, short.Observe(usage.Sample{Time: back, CPUMillis: 100, MemoryBytes: 1e9, Age: usage.Unknown}))
	assert.Equal(t, start, short.First(), "the ring still holds it")
	require.True(t, s.Observe(usage.Sample{Time: back + 2, CPUMillis: 100, MemoryBytes: 1e9, Age: usage.Unknown}))
	require.True(t, s.Observe(usage.Sample{Time: back + 600, CPUMillis: 100, MemoryBytes: 1e9, Age: usage.Unknown}))
	assert.EqualValues(t, 598, s.Span().Seconds())
}

// A kill that is seen again after a restart, or is in two sketches that are joined,
// counts once.
func TestAKillCountsOnce(t *testing.T) {
	t.Parallel()
	var s usage.Sketch
	for i := range int64(20) {
		require.True(t, s.ObserveOOM(start+i, 1e9))
	}
	for i := range int64(20) {
		assert.False(t, s.RecallOOM(start+i, 1e9))
	}
	assert.EqualValues(t, 20, s.OOMCount())
	assert.True(t, s.RecallOOM(start+20, 1e9), "while nobody looked")
	assert.EqualValues(t, 21, s.OOMCount())

	var other usage.Sketch
	other.ObserveOOM(start+20, 1e9)
	other.ObserveOOM(start+21, 1e9)
	other.Merge(&s)
	assert.EqualValues(t, 22, other.OOMCount())
}

// What a clock measured that was ahead does not stand for now once it is set back.
func TestASketchOfTheTimeToComeBeginsAnew(t *testing.T) {
	t.Parallel()
	b, err := usage.NewBook(usage.BookOptions{})
	require.NoError(t, err)
	k := usage.Key{Container: "app"}
	at := func(now int64) usage.Sample {
		return usage.Sample{Time: now, CPUMillis: 1, MemoryBytes: 1, Age: usage.Unknown}
	}
	ahead := start + 40*86400
	require.True(t, b.ObserveNow(k, at(ahead), ahead))
	require.True(t, b.ObserveNow(k, at(ahead-30), ahead-50), "clocks differ a little")
	require.True(t, b.ObserveNow(k, at(start), start))
	s, _ := b.Get(k)
	assert.Equal(t, []int64{start, start}, []int64{s.First(), s.Last()})
	assert.EqualValues(t, 1, b.Stats().Renewed)
}

// What does not fit when shards are restored is the coldest of all of them.
func TestRestoringForgetsTheColdestOfAllShards(t *testing.T) {
	t.Parallel()
	const shards, n = 4, 400
	full, err := usage.NewBook(usage.BookOptions{})
	require.NoError(t, err)
	key := func(i int64) usage.Key { return usage.Key{Name: strconv.FormatInt(1000+i, 10), Container: "app"} }
	for i := range int64(n) {
		at := start + i*7919%n*60 // in no order
		require.True(t, full.Observe(key(i), usage.Sample{Time: at, CPUMillis: 1, MemoryBytes: 1, Age: usage.Unknown}))
	}
	small, err := usage.NewBook(usage.BookOptions{MaxBytes: usage.MinBookBytes})
	require.NoError(t, err)
	for shard := range shards {
		_, err := small.Restore(full.Snapshot(shard, shards))
		require.NoError(t, err)
	}
	stats := small.Stats()
	assert.EqualValues(t, n, uint64(stats.Entries)+stats.Forgotten)
	require.Positive(t, stats.Entries)
	before := int64(math.MaxInt64)
	small.Range(func(_ usage.Key, s *usage.Sketch) bool {
		assert.Less(t, s.Last(), before)
		before = s.Last()
		return true
	})
	assert.Equal(t, start+int64(n-stats.Entries)*60, before, "the newest are held")
}
