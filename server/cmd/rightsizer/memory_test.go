package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What the environment says goes before what suits a small container, and where no
// limit is known none is set.
func TestKeepSmall(t *testing.T) {
	gc, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetGCPercent(gc)
	defer debug.SetMemoryLimit(limit)
	said := map[string]string{"GOGC": "off", "GOMEMLIMIT": "1GiB"}
	lookup := func(name string) (string, bool) { value, ok := said[name]; return value, ok }
	for _, c := range []struct {
		said      map[string]string
		limit     int64
		wantGC    int
		wantLimit int64
	}{
		{map[string]string{"GOGC": "off", "GOMEMLIMIT": "1GiB"}, 128 << 20, 100, math.MaxInt64},
		{nil, 0, garbagePercent, math.MaxInt64},
		{nil, 128 << 20, garbagePercent, 100 << 20},
		{map[string]string{"GOGC": "200"}, 64 << 20, 100, 50 << 20},
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		said = c.said
		keepSmall(lookup, c.limit)
		assert.Equal(t, c.wantLimit, debug.SetMemoryLimit(-1))
		assert.Equal(t, c.wantGC, debug.SetGCPercent(100))
	}
}
