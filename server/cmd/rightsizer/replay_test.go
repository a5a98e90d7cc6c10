package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
)

const realNode = "../../../watcher/testdata/recordings/real-node.jsonl.gz"

func TestReplay(t *testing.T) {
	code, out, errOut := call(t, "replay", realNode, "--type=pod.oom_killed", "--workload=Deployment/checkout")
	require.Zero(t, code, errOut)
	assert.Empty(t, errOut)
	rows := strings.Split(strings.TrimSpace(out), "\n")
	assert.Greater(t, len(rows), 3)
	assert.Contains(t, rows[0], "SEVERITY")
	for _, row := range rows[1:] {
		assert.Contains(t, row, "Deployment/checkout")
		assert.Contains(t, row, "was OOM-killed at its 64 MiB limit")
	}

	code, out, _ = call(t, "replay", realNode, "--type=pod.oom_killed", "-o", "json")
	require.Zero(t, code)
	for line := range strings.Lines(out) {
		var message rightsizerv1.StreamEventsResponse
		require.NoError(t, codec.UnmarshalJSON([]byte(line), &message))
		if e := message.GetEvent(); e != nil { // Incidents come as well.
			assert.Equal(t, "pod.oom_killed", e.GetType())
		}
	}

	code, out, _ = call(t, "replay", realNode, "-o", "yaml", "--min-severity=critical")
	require.Zero(t, code)
	assert.Contains(t, out, "---\nevent:\n")

	code, out, errOut = call(t, "replay", realNode, "--namespace=nowhere")
	require.Zero(t, code)
	assert.Empty(t, out)
	assert.Contains(t, errOut, "no event fits; the recording has")
	assert.Contains(t, errOut, "a real node: kubelet v1.37.2")
}

// Everything that can be read is shown, the rest is named, and the exit code
// says that there was something.
func TestReplayOfAFileWithFaults(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f.jsonl")
	text := `{"format":"rightsizer.dev/recording","version":1,"time":"2026-01-02T10:00:00Z","cluster_id":"c"}
` + strings.Repeat("broken \x1b[31m\n", 30) + `{"time":"2026-01-02T10:00:11Z","resource":"pods","type":"ADDED","object":` +
		`{"metadata":{"name":"p","namespace":"ns","uid":"u"},"spec":{"containers":[{"name":"app"}]},"status":{"phase":"Running","containerStatuses":` +
		`[{"name":"app","state":{"terminated":{"exitCode":137,"reason":"OOMKilled","finishedAt":"2026-01-02T10:00:10Z"}}}]}}}` + "\n"
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	code, out, errOut := call(t, "replay", name, "--type=pod.oom_killed")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "OOM-killed")
	assert.Contains(t, errOut, name+":2: no line of a recording: invalid character")
	assert.Contains(t, errOut, "more lines like these are counted only")
	assert.Contains(t, errOut, "replay: 30 of 31 lines could not be read as they are")
	assert.NotContains(t, errOut, "\x1b")
}

func TestReplayAndRecordAreToldWhatIsWrong(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	there := filepath.Join(t.TempDir(), "there")
	require.NoError(t, os.WriteFile(there, []byte("no recording"), 0o600))
	for line, want := range map[string]struct {
		code   int
		errOut string
	}{
		"replay":                                  {2, "replay takes one file"},
		"replay a b":                              {2, "replay takes one file"},
		"replay " + there:                         {1, there + ":1: no header"},
		"replay " + there + "/x":                  {1, "x: not a directory"},
		"replay " + realNode + " -o xml":          {2, "wants table, json or yaml"},
		"replay " + realNode + " --tag=x":         {2, "--tag: wants key=value"},
		"record":                                  {2, "record takes one file"},
		"record " + there:                         {2, "is there already; --force replaces it"},
		"record --duration=-1s " + there:          {2, "--duration is -1s, wants 0 or more"},
		"record --max-mi=0 " + there:              {2, "--max-mi is 0, wants 1 or more"},
		"record --force " + there:                 {2, "kubeconfig: invalid configuration: no configuration has been provided"},
		"record " + there + "2 --kubeconfig=none": {2, "none"},
		"record " + there + "2 --context=nowhere": {2, `context "nowhere" does not exist`},
	} {
		code, _, errOut := call(t, strings.Fields(line)...)
		assert.Equal(t, want.code, code, "%s: %s", line, errOut)
		assert.Contains(t, errOut, want.errOut, line)
	}
	left, err := os.ReadFile(there)
	require.NoError(t, err)
	assert.Equal(t, "no recording", string(left), "nothing is replaced before there is something to record")
}
