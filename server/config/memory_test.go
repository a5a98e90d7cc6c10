package config_test

import (
	"bytes"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/config"
)

func TestStreamsWithinAMemoryLimit(t *testing.T) {
	const mi = 1 << 20
	for limit, want := range map[int64]int{
		1:         16,
		64 * mi:   16,
		65 * mi:   16,
		66 * mi:   16,
		68 * mi:   32,
		128 * mi:  512,
		256 * mi:  1536,
		1314 * mi: 10_000,
		1 << 40:   10_000,
		64*mi - 1: 16,
	} {
		assert.Equal(t, want, config.StreamsWithin(limit), "%d bytes", limit)
	}
}

func TestMaxStreamsDerivesFromTheMemoryLimit(t *testing.T) {
	r, err := config.Load(config.Input{MemoryLimit: 128 << 20})
	require.NoError(t, err)
	assert.Equal(t, 512, r.Config.MaxStreams)
	var out bytes.Buffer
	require.NoError(t, config.Print(&out, r))
	assert.Regexp(t, `(?m)^max-streams: 512 +# derived from the memory limit, 128Mi$`, out.String())

	r, err = config.Load(config.Input{MemoryLimit: 128 << 20, Environ: []string{"RIGHTSIZER_MAX_STREAMS=7"}})
	require.NoError(t, err)
	assert.Equal(t, 7, r.Config.MaxStreams)
	assert.Equal(t, "environment RIGHTSIZER_MAX_STREAMS", r.Source.Place("max-streams"))

	r, err = config.Load(config.Input{})
	require.NoError(t, err)
	assert.Equal(t, 1000, r.Config.MaxStreams)
	assert.Equal(t, "default", r.Source.Place("max-streams"))
}

func TestMemoryLimit(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"nothing": {fstest.MapFS{}, 0},
		"version 2 in a container": {fstest.MapFS{
			"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("134217728\n"),
		}, 134217728},
		"version 2, no limit": {fstest.MapFS{
			"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("max\n"),
		}, 0},
		"version 2, the parent's is smaller": {fstest.MapFS{
			"proc/self/cgroup":                  file("0::/pods/one\n"),
			"sys/fs/cgroup/pods/one/memory.max": file("300000000\n"), "sys/fs/cgroup/pods/memory.max": file("200000000\n"),
		}, 200000000},
		"version 1, the path is the host's": {fstest.MapFS{
			"proc/self/cgroup":                           file("5:cpu,cpuacct:/kubepods/x\n4:memory:/kubepods/x\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("100000000\n"),
		}, 100000000},
		"version 1, no limit": {fstest.MapFS{
			"proc/self/cgroup":                           file("4:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, 0},
		"both mounted, version 1 controls memory": {fstest.MapFS{
			"proc/self/cgroup": file("4:memory:/a\n0::/a\n"),
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("70000000\n"),
		}, 70000000},
		"lines of another form": {fstest.MapFS{"proc/self/cgroup": file("x\n:\n::\n")}, 0},
	} {
		assert.Equal(t, c.want, config.MemoryLimit(c.files), name)
	}

	defer debug.SetMemoryLimit(debug.SetMemoryLimit(90_000_000))
	assert.EqualValues(t, 90_000_000, config.MemoryLimit(fstest.MapFS{}), "GOMEMLIMIT")
	assert.EqualValues(t, 80_000_000, config.MemoryLimit(fstest.MapFS{
		"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("80000000\n"),
	}), "the smaller of both")
}
