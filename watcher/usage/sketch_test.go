package usage_test

import (
	"math"
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
