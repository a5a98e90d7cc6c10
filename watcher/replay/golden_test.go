package replay_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/replay"
)

var update = flag.Bool("update", false, "write the golden files anew")

const recordings = "../testdata/recordings"

// published is a Publisher that keeps what it is given.
type published struct {
	events  []*rightsizerv1.Event
	resyncs []*rightsizerv1.StreamResync
	// incidents in every state that was published.
	incidents []*rightsizerv1.Incident
	lines     []string
}

func (p *published) Publish(e *rightsizerv1.Event) {
	p.events = append(p.events, e)
	p.lines = append(p.lines, eventLine(e))
}

func (p *published) PublishIncident(in *rightsizerv1.Incident) {
	p.incidents = append(p.incidents, in)
	p.lines = append(p.lines, fmt.Sprintf("%s INCIDENT %s %s %s confidence=%.2f members=%d %q id=%s root=%s",
		clock(in.GetUpdatedTime().AsTime()), strings.TrimPrefix(in.GetState().String(), "INCIDENT_STATE_"),
		strings.ToLower(strings.TrimPrefix(in.GetSeverity().String(), "SEVERITY_")), in.GetRule(), in.GetConfidence(),
		len(in.GetMembers()), in.GetSummary(), in.GetId(), in.GetRootProblemId()))
}

func (p *published) Resync(r *rightsizerv1.StreamResync) {
	p.resyncs = append(p.resyncs, r)
	p.lines = append(p.lines, fmt.Sprintf("RESYNC %s since=%s %q", r.GetScope(), clock(r.GetSince().AsTime()), r.GetReason()))
}

// only returns the events of a type.
func (p *published) only(eventType string) []*rightsizerv1.Event {
	var out []*rightsizerv1.Event
	for _, e := range p.events {
		if e.GetType() == eventType {
			out = append(out, e)
		}
	}
	return out
}

func (p *published) ids() map[string]bool {
	out := make(map[string]bool, len(p.events))
	for _, e := range p.events {
		out[e.GetId()] = true
	}
	return out
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func eventLine(e *rightsizerv1.Event) string {
	start := ""
	if e.GetFoundAtStart() {
		start = " found_at_start"
	}
	return fmt.Sprintf("%s occurred=%s %s%s %s %s %s/%s/%s container=%q reason=%q %q id=%s problem=%s incident=%s",
		clock(e.GetObservedTime().AsTime()), clock(e.GetOccurredTime().AsTime()),
		strings.TrimPrefix(e.GetPhase().String(), "PHASE_"), start, e.GetType(),
		strings.ToLower(strings.TrimPrefix(e.GetSeverity().String(), "SEVERITY_")),
		e.GetNamespace(), e.GetObject().GetKind(), e.GetObject().GetName(),
		e.GetContainer(), e.GetReason(), e.GetMessage(), e.GetId(), e.GetProblemId(),
		e.GetIncidentId())
}

// impatient are recordings that are shorter than a threshold of which they are to
// tell.
var impatient = map[string]detect.Thresholds{"policies": impatience()}

func impatience() detect.Thresholds {
	t := detect.DefaultThresholds()
	t.PDBBlockingAfter = time.Minute
	return t
}

// play replays what must have no fault in it.
func play(t testing.TB, name string, raw []byte) (*published, *replay.Result) {
	t.Helper()
	in, err := replay.NewReader(name, bytes.NewReader(raw))
	require.NoError(t, err)
	out := &published{}
	result, err := replay.Replay(t.Context(), in, replay.Options{
		Publisher: out, Thresholds: impatient[name],
		Told: func(e *replay.LineError) { assert.NoError(t, e) },
	})
	require.NoError(t, err)
	return out, result
}

// each calls f for every recording in testdata.
func each(t *testing.T, f func(t *testing.T, name string, raw []byte)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordings, "*.jsonl.gz"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl.gz")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			f(t, name, raw)
		})
	}
}

// What a recording gives is what is written down beside it, down to ids and
// times. After a change that is meant: go test ./watcher/replay -update, and
// read the difference.
func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, name string, raw []byte) {
		out, result := play(t, name, raw)
		got := fmt.Sprintf("# %s\n", result.Header.Source) + strings.Join(out.lines, "\n") + "\n"
		file := filepath.Join(recordings, name+".golden")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			return
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err, "write it with -update")
		for _, difference := range differences(string(want), got) {
			t.Error(difference)
		}
	})
}

// differences names the lines that came and went, not all of both files.
func differences(want, got string) []string {
	if want == got {
		return nil
	}
	const most = 20
	wanted, given := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for _, l := range wanted {
		if !slices.Contains(given, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range given {
		if !slices.Contains(wanted, l) {
			out = append(out, "+ "+l)
		}
	}
	if len(out) == 0 {
		out = []string{"the same lines in another order"}
	}
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more lines", len(out)-most))
	}
	return append(out, "where this is meant: go test ./watcher/replay -run TestGolden -update")
}

// Each event obeys the schema, no id comes twice within one life, and nothing
// that a real server sent is beyond the watcher.
func TestEventsOfRecordings(t *testing.T) {
	each(t, func(t *testing.T, name string, raw []byte) {
		out, result := play(t, name, raw)
		seen := map[string]bool{}
		last := time.Time{}
		for _, e := range out.events {
			assert.NoError(t, protovalidate.Validate(e), eventLine(e))
			assert.Falsef(t, seen[e.GetId()], "twice: %s", eventLine(e))
			seen[e.GetId()] = true
			assert.False(t, e.GetObservedTime().AsTime().Before(last), "in the order of their times")
			last = e.GetObservedTime().AsTime()
		}
		of := map[string]string{} // problem → incident that listed it last
		for _, in := range out.incidents {
			assert.NoError(t, protovalidate.Validate(in))
			for _, m := range in.GetMembers() {
				if of[m.GetProblemId()] = in.GetId(); in.GetMergedInto() != "" {
					of[m.GetProblemId()] = in.GetMergedInto()
				}
			}
		}
		for _, e := range out.events {
			if e.GetSeverity() >= rightsizerv1.Severity_SEVERITY_WARNING {
				assert.NotEmptyf(t, e.GetIncidentId(), "in no incident: %s", eventLine(e))
				assert.NotEmptyf(t, of[e.GetProblemId()], "listed by no incident: %s", eventLine(e))
			}
		}
		for _, e := range out.resyncs {
			assert.NoError(t, protovalidate.Validate(e))
		}
		for _, h := range result.Watcher.Health() {
			assert.NotContains(t, h.GetReason(), "not understood", "nothing of a real server is quarantined")
			if c := h.GetComponent(); c == "watch/pods" || c == "watch/nodes" {
				assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, h.GetState(), c)
			}
		}
		assert.NotEmpty(t, result.Watcher.Nodes())
		assert.Less(t, len(raw), 200<<10, "recordings are small")
	})
}

// polled says that a type is made of usage, which is polled and no part of a
// recording.
func polled(eventType string) bool {
	for _, prefix := range []string{"resource.", "pod.cpu_throttled", "pod.process_oom_killed", "pod.pressure.", "node.exhaustion", "system."} {
		if strings.HasPrefix(eventType, prefix) {
			return true
		}
	}
	return false
}

// Every type that watches tell shows in a recording of the devcluster or of a real
// node.
func TestRecordingsShowTheTypes(t *testing.T) {
	seen := map[string]bool{}
	each(t, func(t *testing.T, name string, raw []byte) {
		out, _ := play(t, name, raw)
		for _, e := range out.events {
			seen[e.GetType()] = true
		}
	})
	for _, doc := range detect.All() {
		assert.NotEqual(t, polled(doc.Type), seen[doc.Type], "%s is in a recording: %t", doc.Type, seen[doc.Type])
	}
}

// A process that starts at the end of a recording and sees nothing but its last
// state gives only ids that were given before, all marked as found at start,
// one for each problem that is visible then.
func TestFreshStartRepeatsIds(t *testing.T) {
	each(t, func(t *testing.T, name string, raw []byte) {
		full, before := play(t, name, raw)
		fresh, after := play(t, name, lastState(t, raw))
		known := full.ids()
		for _, e := range fresh.events {
			assert.Truef(t, e.GetFoundAtStart(), "not marked: %s", eventLine(e))
			assert.Truef(t, known[e.GetId()], "never given before: %s", eventLine(e))
		}
		// What Kubernetes Events alone tell is not visible to a process that
		// starts; what statuses tell is.
		assert.Subset(t, problems(before.Watcher, ""), problems(after.Watcher, ""), "what is wrong now")
		for _, lasting := range []string{"pod.oom_killed", "pod.crash_loop", "pod.evicted", "pod.unschedulable", "job.failed"} {
			assert.Equal(t, problems(before.Watcher, lasting), problems(after.Watcher, lasting), "what is wrong now")
		}
	})
}

// problems are those of the types that begin with prefix.
func problems(w *watcher.Watcher, prefix string) []string {
	var out []string
	for _, e := range w.Problems() {
		if strings.HasPrefix(e.GetType(), prefix) {
			out = append(out, e.GetType()+" "+e.GetObject().GetName()+" "+e.GetContainer()+" "+e.GetProblemId())
		}
	}
	slices.Sort(out)
	return out
}

// lastState makes of a recording one with a list of each resource, at its end.
func lastState(t *testing.T, raw []byte) []byte {
	t.Helper()
	in, err := replay.NewReader("full", bytes.NewReader(raw))
	require.NoError(t, err)
	state := map[string]map[string]replay.Line{}
	var end time.Time
	for {
		line, err := in.Next()
		if err != nil {
			break
		}
		end = line.Time
		switch line.Type {
		case replay.Relist:
			state[line.Resource] = map[string]replay.Line{}
		case replay.Added, replay.Modified:
			state[line.Resource][nameOf(t, line)] = line
		case replay.Deleted:
			delete(state[line.Resource], nameOf(t, line))
		default:
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	require.NoError(t, enc.Encode(in.Header()))
	// In the watcher's order: pods after the controllers and Kubernetes Events.
	const last = "pods"
	order := slices.DeleteFunc(watcher.Resources(), func(r watcher.Resource) bool { return r.Name == last })
	for _, r := range append(order, watcher.Resource{Name: last}) {
		require.NoError(t, enc.Encode(replay.Line{Time: end, Resource: r.Name, Type: replay.Relist}))
		for _, name := range slices.Sorted(maps.Keys(state[r.Name])) {
			line := state[r.Name][name]
			line.Time, line.Type = end, replay.Added
			require.NoError(t, enc.Encode(line))
		}
		require.NoError(t, enc.Encode(replay.Line{Time: end, Resource: r.Name, Type: replay.Synced}))
	}
	return out.Bytes()
}

func nameOf(t *testing.T, line replay.Line) string {
	t.Helper()
	var obj struct {
		Metadata struct{ Namespace, Name string }
	}
	require.NoError(t, json.Unmarshal(line.Object, &obj))
	return obj.Metadata.Namespace + "/" + obj.Metadata.Name
}
