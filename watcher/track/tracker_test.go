package track_test

import (
	"fmt"
	"strconv"
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

func look(pod string, findings ...detect.Finding) *track.Observation {
	return &track.Observation{
		Cluster: "c", Now: time.Unix(1_800_000_000, 0), Findings: findings,
		Subject: detect.Subject{
			Kind: "Pod", Key: object.Key{Namespace: "ns", Name: pod}, UID: "uid-" + pod, Episode: "r",
			Workload: object.WorkloadKey{Namespace: "ns", Kind: "Deployment", Name: "web"},
		},
	}
}

func finding(cause string) detect.Finding {
	return detect.Finding{
		Problem: detect.Identify(cause), Type: "pod.test", Severity: rightsizerv1.Severity_SEVERITY_ERROR,
		Container: "app", Reason: "Test", Message: "It happened.",
	}
}

// What happened at one moment and may show again later under its id is told once,
// however often it comes and goes, and is forgotten with its object.
func TestAPointThatRecursIsToldOnce(t *testing.T) {
	tracker := track.New(10)
	evicted := finding("evicted")
	evicted.Point, evicted.Recurs = true, true
	require.Len(t, tracker.Observe(look("a", evicted), nil), 1)
	for n := range 40 {
		other := finding(strconv.Itoa(n)) // More than is remembered of what ended.
		require.Len(t, tracker.Observe(look("a", other), nil), 1)
		require.Len(t, tracker.Observe(look("a", evicted), nil), 1, "the end of the other alone")
		require.Empty(t, tracker.Observe(look("a", evicted), nil))
	}
	last := look("a")
	last.Gone = true
	require.Empty(t, tracker.Observe(last, nil))
	require.False(t, tracker.Has("uid-a"))

	once := finding("started")
	once.Point = true
	require.Len(t, tracker.Observe(look("b", once), nil), 1)
	require.Empty(t, tracker.Observe(look("b"), nil))
	require.False(t, tracker.Has("uid-b"), "nothing is remembered of what does not come again")
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
		generation, deaths := make(map[string]int), make(map[string]int)

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
			var findings []detect.Finding
			// What has a life comes back under its former id, until its object is gone.
			name := func(cause string) string {
				if cause[0] == 'o' {
					return fmt.Sprint(pod, deaths[pod], cause)
				}
				return fmt.Sprint(pod, cause, generation[pod+cause])
			}
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
			o := look(pod, findings...)
			o.Gone = gone
			for _, e := range tracker.Observe(o, nil) {
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
				deaths[pod]++
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

// What happened at one moment never keeps out what goes on, and of the points the
// latest are listed.
func TestWhatGoesOnComesFirst(t *testing.T) {
	tracker := track.New(3)
	listed := func() (out []string) {
		for _, e := range tracker.Problems(nil) {
			out = append(out, e.GetObject().GetName())
		}
		return out
	}
	for i := range 5 {
		p := finding(fmt.Sprint("evicted-", i))
		p.Point = true
		tracker.Observe(look(fmt.Sprint("evicted-", i), p), nil)
	}
	assert.ElementsMatch(t, []string{"evicted-2", "evicted-3", "evicted-4"}, listed())
	for i := range 2 {
		tracker.Observe(look(fmt.Sprint("loop-", i), finding(fmt.Sprint("loop-", i))), nil)
	}
	assert.ElementsMatch(t, []string{"evicted-4", "loop-0", "loop-1"}, listed())
	for i := 2; i < 4; i++ {
		tracker.Observe(look(fmt.Sprint("loop-", i), finding(fmt.Sprint("loop-", i))), nil)
	}
	assert.ElementsMatch(t, []string{"loop-0", "loop-1", "loop-2"}, listed())
	assert.Equal(t, 6, tracker.Unlisted())
	for i := range 4 {
		tracker.Observe(look(fmt.Sprint("loop-", i)), nil)
	}
	for i := range 5 {
		tracker.Observe(look(fmt.Sprint("evicted-", i)), nil)
	}
	assert.Zero(t, tracker.Len())
	assert.Zero(t, tracker.Unlisted())
}

func TestADetectorThatFailedEndsNothing(t *testing.T) {
	tracker := track.New(10)
	require.Len(t, tracker.Observe(look("a", finding("x")), nil), 1)
	blind := func(eventType string) bool { return eventType == "pod.test" }
	failed := look("a")
	failed.Blind = blind
	require.Empty(t, tracker.Observe(failed, nil))
	events := tracker.Observe(look("a"), nil)
	require.Len(t, events, 1)
	assert.Equal(t, resolved, events[0].GetPhase())
	require.NoError(t, protovalidate.Validate(events[0]))
}

func TestAHostileMessageIsMadeHarmless(t *testing.T) {
	f := finding("x")
	f.Message = "\x1b[31m" + string(make([]byte, 3000))
	f.Reason = "line\nbreak"
	o := look("a", f)
	o.AtStart = true
	events := track.New(10).Observe(o, nil)
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
	o := look("a", a, b, p)
	o.Subject.Node = "n1"
	tracker.Observe(o, nil)
	workloads, nodes := tracker.Counts()
	want := track.Count{Open: 2, Worst: rightsizerv1.Severity_SEVERITY_CRITICAL}
	assert.Equal(t, want, workloads[object.WorkloadKey{Namespace: "ns", Kind: "Deployment", Name: "web"}])
	assert.Equal(t, want, nodes["n1"])
}
