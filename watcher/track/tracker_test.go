package track_test

import (
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/track"
)

const (
	opened   = rightsizerv1.Phase_PHASE_OPENED
	updated  = rightsizerv1.Phase_PHASE_UPDATED
	resolved = rightsizerv1.Phase_PHASE_RESOLVED
	point    = rightsizerv1.Phase_PHASE_POINT
)

func input(pod string) *detect.Input {
	return &detect.Input{
		Cluster: "c", Now: time.Unix(1_800_000_000, 0), Thresholds: detect.DefaultThresholds(),
		Cur:      &object.Pod{Key: object.Key{Namespace: "ns", Name: pod}, UID: "uid-" + pod, Revision: "r"},
		Workload: detect.Workload{Kind: "Deployment", Name: "web"},
	}
}

func finding(cause string) detect.Finding {
	return detect.Finding{
		Problem: detect.Identify(cause), Type: "pod.test", Severity: rightsizerv1.Severity_SEVERITY_ERROR,
		Container: "app", Reason: "Test", Message: "It happened.",
	}
}

// The whole life of any problem: POINT once, or OPENED, then UPDATED with rising
// ordinals, then RESOLVED, never twice the same id, and the list of what is
// wrong now is what was said last.
func TestAnyLifeIsWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(1, 6).Draw(t, "bound")
		tracker := track.New(bound)
		ids := make(map[string]bool)
		lives := make(map[string]*rightsizerv1.Event) // by problem id, the latest of what is visible
		// What is visible, by pod and cause: the ordinal.
		visible := make(map[string]map[string]int32)
		generation := make(map[string]int)

		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			pod := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "pod")
			if visible[pod] == nil {
				visible[pod] = make(map[string]int32)
			}
			now := visible[pod]
			gone := false
			var over []string
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				cause := rapid.SampledFrom([]string{"p1", "p2", "o1", "o2"}).Draw(t, "cause")
				now[cause]++
			case 2: // Ends without a word.
				for cause := range now {
					delete(now, cause)
					generation[pod+cause]++
					break
				}
			case 3: // Ends and says so.
				for cause := range now {
					if cause[0] == 'o' {
						delete(now, cause)
						over = append(over, cause)
						break
					}
				}
			case 4: // Nothing changed.
			case 5:
				gone = true
			}
			in := input(pod)
			in.Gone = gone
			var findings []detect.Finding
			name := func(cause string) string { return pod + cause + string(rune('0'+generation[pod+cause])) }
			for cause, ordinal := range now {
				f := finding(name(cause))
				f.Point, f.Ordinal = cause[0] == 'p', ordinal
				findings = append(findings, f)
			}
			for _, cause := range over {
				f := finding(name(cause))
				f.Over, f.Ordinal = true, 1000
				findings = append(findings, f)
				generation[pod+cause]++
			}
			for _, e := range tracker.Observe(&track.Observation{Input: in, Findings: findings}, nil) {
				require.False(t, ids[e.GetId()], "an id twice")
				ids[e.GetId()] = true
				before := lives[e.GetProblemId()]
				switch e.GetPhase() {
				case opened, point:
					require.Nil(t, before)
					lives[e.GetProblemId()] = e
				case updated:
					require.NotNil(t, before)
					require.NotEqual(t, point, before.GetPhase())
					lives[e.GetProblemId()] = e
				case resolved:
					require.NotNil(t, before)
					delete(lives, e.GetProblemId())
				default:
					t.Fatalf("phase %v", e.GetPhase())
				}
			}
			if gone {
				for cause := range now {
					generation[pod+cause]++
				}
				delete(visible, pod)
			}
			// Points that left without a word.
			count := 0
			for _, causes := range visible {
				count += len(causes)
			}
			require.Equal(t, count, tracker.Len())
			listed := tracker.Problems(nil)
			require.LessOrEqual(t, len(listed), bound)
			require.Equal(t, count, len(listed)+tracker.Unlisted())
			for _, e := range listed {
				require.Same(t, lives[e.GetProblemId()], e, "the latest of each")
			}
		}
	})
}

func TestADetectorThatFailedEndsNothing(t *testing.T) {
	tracker := track.New(10)
	in := input("a")
	require.Len(t, tracker.Observe(&track.Observation{Input: in, Findings: []detect.Finding{finding("x")}}, nil), 1)
	blind := func(eventType string) bool { return eventType == "pod.test" }
	require.Empty(t, tracker.Observe(&track.Observation{Input: in, Blind: blind}, nil))
	events := tracker.Observe(&track.Observation{Input: in}, nil)
	require.Len(t, events, 1)
	assert.Equal(t, resolved, events[0].GetPhase())
	require.NoError(t, protovalidate.Validate(events[0]))
}

func TestAHostileMessageIsMadeHarmless(t *testing.T) {
	f := finding("x")
	f.Message = "\x1b[31m" + string(make([]byte, 3000))
	f.Reason = "line\nbreak"
	events := track.New(10).Observe(&track.Observation{Input: input("a"), Findings: []detect.Finding{f}, AtStart: true}, nil)
	require.Len(t, events, 1)
	require.NoError(t, protovalidate.Validate(events[0]))
	assert.True(t, events[0].GetFoundAtStart())
	assert.Equal(t, "line break", events[0].GetReason())
	assert.NotContains(t, events[0].GetMessage(), "\x1b")
}

func TestCounts(t *testing.T) {
	tracker := track.New(1)
	a, b := finding("a"), finding("b")
	b.Severity = rightsizerv1.Severity_SEVERITY_CRITICAL
	p := finding("p")
	p.Point = true
	in := input("a")
	in.Cur.Node = "n1"
	tracker.Observe(&track.Observation{Input: in, Findings: []detect.Finding{a, b, p}}, nil)
	workloads, nodes := tracker.Counts()
	want := track.Count{Open: 2, Worst: rightsizerv1.Severity_SEVERITY_CRITICAL}
	assert.Equal(t, want, workloads[object.WorkloadKey{Namespace: "ns", Kind: "Deployment", Name: "web"}])
	assert.Equal(t, want, nodes["n1"])
}
