package replay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/replay"
)

const header = `{"format":"rightsizer.dev/recording","version":1,"time":"2026-01-02T10:00:00Z","cluster_id":"c","server_version":"v1.37.2","source":"a test"}` + "\n"

// pod is a pod of one container that was restarted n times; status is the rest
// of its container's status.
func pod(n, status string) string {
	return `{"metadata":{"name":"p","namespace":"ns","uid":"u1"},"spec":{"restartPolicy":"Always","containers":[{"name":"app"}]},` +
		`"status":{"phase":"Running","containerStatuses":[{"name":"app","restartCount":` + n + `,` + status + `}]}}`
}

func line(at, resource, kind, object string) string {
	if object != "" {
		object = `,"object":` + object
	}
	return `{"time":"2026-01-02T` + at + `Z","resource":"` + resource + `","type":"` + kind + `"` + object + "}\n"
}

const (
	running = `"state":{"running":{"startedAt":"2026-01-02T10:00:20Z"}},"lastState":{"terminated":{"exitCode":1,"reason":"Error","finishedAt":"2026-01-02T10:00:10Z","startedAt":"2026-01-02T10:00:09Z","containerID":"x"}}`
	killed  = `"state":{"terminated":{"exitCode":137,"reason":"OOMKilled","finishedAt":"2026-01-02T10:00:10Z","startedAt":"2026-01-02T10:00:09Z","containerID":"y"}}`
)

// faulty replays a recording and returns what was told of its lines.
func faulty(t *testing.T, text string, change ...func(*replay.Options)) (*published, *replay.Result, []string, error) {
	t.Helper()
	in, err := replay.NewReader("f.jsonl", strings.NewReader(text))
	require.NoError(t, err)
	out := &published{}
	var told []string
	opts := replay.Options{Publisher: out, Told: func(e *replay.LineError) { told = append(told, e.Error()) }}
	for _, f := range change {
		f(&opts)
	}
	result, err := replay.Replay(t.Context(), in, opts)
	return out, result, told, err
}

// Nothing but time passes between the last change and the end of the crash loop.
func TestDeadlinesComeAtTheirTime(t *testing.T) {
	out, _ := play(t, "f", []byte(header+
		line("10:00:01", "pods", "RELIST", "")+line("10:00:01", "pods", "SYNCED", "")+
		line("10:00:21", "pods", "ADDED", pod("2", running))+
		line("10:30:00", "pods", "BOOKMARK", "")))
	loop := out.only("pod.crash_loop")
	require.Len(t, loop, 2)
	assert.Equal(t, rightsizerv1.Phase_PHASE_OPENED, loop[0].GetPhase())
	assert.Equal(t, rightsizerv1.Phase_PHASE_RESOLVED, loop[1].GetPhase())
	assert.Equal(t, "2026-01-02T10:10:20Z", clock(loop[1].GetObservedTime().AsTime()), "ten minutes after its start")

	out, result := play(t, "f", []byte(header+line("10:00:21", "pods", "ADDED", pod("2", running))+line("10:10:19", "nodes", "BOOKMARK", "")))
	assert.Len(t, out.only("pod.crash_loop"), 1, "what comes after the recording is not known")
	assert.NotEmpty(t, result.Watcher.Problems())
}

func TestFirstListIsFoundAtStart(t *testing.T) {
	out, _ := play(t, "f", []byte(header+
		line("10:00:11", "pods", "RELIST", "")+line("10:00:11", "pods", "ADDED", pod("0", killed))+line("10:00:11", "pods", "SYNCED", "")))
	require.Len(t, out.only("pod.oom_killed"), 1)
	for _, e := range out.events {
		assert.True(t, e.GetFoundAtStart(), eventLine(e))
	}
}

// A lost watch is told ahead of what the new list shows, and a deletion that was
// missed is made up for. A list that breaks off leaves nothing behind.
func TestRelist(t *testing.T) {
	out, result := play(t, "f", []byte(header+
		line("10:00:01", "pods", "RELIST", "")+line("10:00:01", "pods", "SYNCED", "")+
		line("10:00:21", "pods", "ADDED", pod("2", running))+
		line("10:00:30", "pods", "BOOKMARK", "")+
		line("10:01:00", "pods", "ERROR", `{"code":410,"reason":"Expired","message":"too old"}`)+
		line("10:01:01", "pods", "RELIST", "")+line("10:01:01", "pods", "ADDED", pod("2", running))+
		line("10:01:02", "pods", "RELIST", "")+line("10:01:03", "pods", "SYNCED", "")))
	require.Len(t, out.resyncs, 1)
	assert.Equal(t, "2026-01-02T10:00:30Z", clock(out.resyncs[0].GetSince().AsTime()), "when the watch said something last")
	assert.Contains(t, out.resyncs[0].GetReason(), "too old")
	all := strings.Join(out.lines, "\n")
	assert.Less(t, strings.Index(all, "OPENED pod.crash_loop"), strings.Index(all, "RESYNC"))
	assert.Less(t, strings.Index(all, "RESYNC"), strings.Index(all, "RESOLVED pod.crash_loop"))
	assert.Contains(t, all, "the pod was deleted")
	assert.Empty(t, result.Watcher.Problems())
}

// Each line that cannot be read is named with what would be right; all others
// are played.
func TestLinesThatCannotBeRead(t *testing.T) {
	out, result, told, err := faulty(t, header+
		"no json\n"+
		`["x"]`+"\n"+
		`{"resource":"pods","type":"ADDED","object":{}}`+"\n"+
		line("10:00:01", "", "ADDED", "{}")+
		line("10:00:01", "pods", "CHANGED", "{}")+
		line("10:00:01", "pods", "ADDED", "")+
		line("10:00:01", "pods", "ADDED", `"p"`)+
		line("10:00:01", "pods", "ADDED", pod(`"many"`, killed))+
		line("10:00:01", "pods", "SYNCED", "")+
		line("10:00:01", "pods", "ERROR", `{"code":"x"}`)+
		line("10:00:01", "gizmos", "ADDED", "{}")+
		line("10:00:01", "gizmos", "ADDED", "{}")+
		"\n"+
		strings.Repeat("x", replay.MaxLine+1)+"\n"+
		line("10:00:11", "pods", "ADDED", pod("0", killed))+
		line("10:00:05", "pods", "DELETED", pod("0", killed))+
		`{"time":"2026-01-02T10:00:12Z","resour`)
	require.NoError(t, err)
	for i, want := range []string{
		`f.jsonl:2: no line of a recording: invalid character`,
		`f.jsonl:3: no line of a recording: json: cannot unmarshal array`,
		`f.jsonl:4: time is missing, wants when the line arrived`,
		`f.jsonl:5: resource is missing, wants the plural of a kind, such as pods`,
		`f.jsonl:6: type is "CHANGED", wants one of RELIST, SYNCED, ADDED, MODIFIED, DELETED, BOOKMARK, ERROR`,
		`f.jsonl:7: object is missing, ADDED wants one`,
		`f.jsonl:8: object is no JSON object`,
		`f.jsonl:9: object of pods: json: cannot unmarshal string`,
		`f.jsonl:10: SYNCED ends no list, wants RELIST before it`,
		`f.jsonl:11: object of ERROR: json: cannot unmarshal string`,
		`f.jsonl:12: no such resource is watched: "gizmos"; its lines are left out`,
		`f.jsonl:15: the line is longer than 8 MiB`,
		`f.jsonl:17: time 2026-01-02T10:00:05Z is before that of an earlier line, 2026-01-02T10:00:11Z`,
		`f.jsonl:18: no line of a recording: unexpected end`,
	} {
		if assert.Greater(t, len(told), i) {
			assert.Contains(t, told[i], want)
		}
	}
	assert.Len(t, told, 14)
	assert.Equal(t, 14, result.Wrong)
	assert.Len(t, out.only("pod.oom_killed"), 1)
	assert.Empty(t, result.Watcher.Problems(), "the late deletion was played")
}

// An object that cannot be understood is quarantined: counted, and named in the
// log and in the health of its watch. The next form of it may be whole.
func TestQuarantine(t *testing.T) {
	var log bytes.Buffer
	metrics := prometheus.NewRegistry()
	bad := strings.Replace(pod("0", killed), `"containers":[{"name":"app"}]`, `"containers":[{"name":""}]`, 1)
	text := header + line("10:00:01", "pods", "RELIST", "") + line("10:00:01", "pods", "ADDED", bad) + line("10:00:01", "pods", "SYNCED", "")
	change := func(o *replay.Options) { o.Logger, o.Registerer = slog.New(slog.NewTextHandler(&log, nil)), metrics }
	_, result, told, err := faulty(t, text, change)
	require.NoError(t, err)
	assert.Empty(t, told, "the line itself is good")
	assert.Contains(t, reasons(result.Watcher), "watch/pods: 1 object is not understood: ns/p")
	assert.Contains(t, log.String(), "object=ns/p")
	families, err := metrics.Gather()
	require.NoError(t, err)
	count := 0.0
	for _, f := range families {
		if strings.Contains(f.GetName(), "quarantined") {
			for _, m := range f.GetMetric() {
				count += m.GetCounter().GetValue()
			}
		}
	}
	assert.InDelta(t, 1, count, 0)

	out, result, _, err := faulty(t, text+line("10:00:11", "pods", "MODIFIED", pod("0", killed)))
	require.NoError(t, err)
	assert.Len(t, out.only("pod.oom_killed"), 1)
	assert.NotContains(t, reasons(result.Watcher), "understood")
}

func reasons(w *watcher.Watcher) string {
	var out strings.Builder
	for _, h := range w.Health() {
		out.WriteString(h.GetComponent() + ": " + h.GetReason() + "\n")
	}
	return out.String()
}

func TestFilesThatAreNoRecordings(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "f.jsonl:1: the file is empty, wants a recording",
		"\n\n":             "f.jsonl:1: the file is empty, wants a recording",
		"a,b\n":            "f.jsonl:1: no header: invalid character",
		`{"kind":"Pod"}`:   `f.jsonl:1: format is "", wants "rightsizer.dev/recording": is this a recording?`,
		"\x1f\x8bnot gzip": "f.jsonl:1: gzip: ",
		strings.Replace(header, `"version":1`, `"version":2`, 1):                "f.jsonl:1: version is 2, this program reads 1 to 1",
		strings.Replace(header, `"cluster_id":"c"`, `"cluster_id":""`, 1):       "cluster_id has 0 bytes, wants 1 to 128",
		strings.Replace(header, `"time":"2026-01-02T10:00:00Z",`, "", 1):        "time is missing",
		strings.Replace(header, `"2026-01-02T10:00:00Z"`, `"yesterday"`, 1):     "no header",
		strings.Replace(header, `rightsizer.dev`, strings.Repeat("x", 1000), 1): "…",
	} {
		_, err := replay.NewReader("f.jsonl", strings.NewReader(text))
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), want)
			assert.Less(t, len(err.Error()), 300)
		}
	}
}

// A recorder that was killed leaves a file that ends in the middle: what is
// whole is played, and the end is told.
func TestFileThatEndsInTheMiddle(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := io.WriteString(w, header+line("10:00:11", "pods", "ADDED", pod("0", killed)))
	require.NoError(t, err)
	require.NoError(t, w.Flush()) // And no Close.
	out, result, told, err := faulty(t, zipped.String())
	require.ErrorContains(t, err, "f.jsonl:3: the file ends in the middle; the lines before this one are whole")
	assert.Empty(t, told)
	assert.Len(t, out.only("pod.oom_killed"), 1)
	assert.Equal(t, 1, result.Lines)
}

func TestReplayEndsWithItsContext(t *testing.T) {
	in, err := replay.NewReader("f", strings.NewReader(header+line("10:00:11", "pods", "ADDED", pod("0", killed))))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = replay.Replay(ctx, in, replay.Options{Publisher: &published{}})
	require.ErrorIs(t, err, context.Canceled)
}

// A Watcher is run or fed, once.
func TestFedWatcherCannotBeRun(t *testing.T) {
	_, result := play(t, "f", []byte(header))
	require.ErrorIs(t, result.Watcher.Run(t.Context()), watcher.ErrRunning)
	_, err := result.Watcher.Feed()
	require.ErrorIs(t, err, watcher.ErrRunning)
}

// The same recording gives the same, however often.
func TestReplayIsDeterministic(t *testing.T) {
	each(t, func(t *testing.T, name string, raw []byte) {
		first, _ := play(t, name, raw)
		for range 3 {
			again, _ := play(t, name, raw)
			require.Equal(t, first.lines, again.lines)
		}
	})
}

// Lines round-trip.
func TestLineIsWhatIsWritten(t *testing.T) {
	want := replay.Line{Time: time.Unix(1, 5).UTC(), Resource: "pods", Type: replay.Added, Object: json.RawMessage(`{"a":1}`)}
	raw, err := json.Marshal(want)
	require.NoError(t, err)
	in, err := replay.NewReader("f", strings.NewReader(header+string(raw)))
	require.NoError(t, err)
	assert.Equal(t, "a test", in.Header().Source)
	got, err := in.Next()
	require.NoError(t, err)
	assert.Equal(t, want, got)
	_, err = in.Next()
	require.ErrorIs(t, err, io.EOF)
}
