package main

import (
	"math"
	"os"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/config"
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

// What the operator sets for itself is not the limit that its settings derive from:
// `config print` says what `serve` does.
func TestServeHasTheStreamsThatConfigPrintSays(t *testing.T) {
	gc, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetGCPercent(gc)
	defer debug.SetMemoryLimit(limit)
	t.Setenv("GOMEMLIMIT", "")
	require.NoError(t, os.Unsetenv("GOMEMLIMIT"))
	root := fstest.MapFS{
		"proc/self/cgroup": {Data: []byte("0::/\n")}, "sys/fs/cgroup/memory.max": {Data: []byte("134217728\n")},
	}
	flags := config.AddFlags(pflag.NewFlagSet("", pflag.ContinueOnError))
	printed, err := load(input(flags, root))
	require.NoError(t, err)
	in, served, err := begin(flags, root)
	require.NoError(t, err)
	assert.EqualValues(t, 100<<20, debug.SetMemoryLimit(-1))
	assert.Equal(t, 512, printed.Config.MaxStreams)
	assert.Equal(t, printed.Config.MaxStreams, served.Config.MaxStreams)
	again, err := config.Load(in)
	require.NoError(t, err)
	assert.Equal(t, 512, again.Config.MaxStreams, "as the file that is followed is loaded")
}
