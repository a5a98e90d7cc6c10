package watcher_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
)

// ledger keeps the ids that were published.
type ledger struct {
	t      *rapid.T
	events map[string]*rightsizerv1.Event
}

func (l *ledger) Publish(e *rightsizerv1.Event) {
	require.NotContains(l.t, l.events, e.GetId(), "twice: %v", e)
	l.events[e.GetId()] = e
}
func (l *ledger) PublishIncident(*rightsizerv1.Incident) {}
func (l *ledger) Resync(*rightsizerv1.StreamResync)      {}

// observer is a watcher that is handed what it sees.
type observer struct {
	*watcher.Watcher
	feed   *watcher.Feeder
	ledger *ledger
}

func newObserver(t *rapid.T, clock *clocktesting.FakeClock) *observer {
	o := &observer{ledger: &ledger{t: t, events: map[string]*rightsizerv1.Event{}}}
	var err error
	o.Watcher, err = watcher.New(watcher.Options{Config: watcherConfig, Publisher: o.ledger, ClusterID: "c", Clock: clock})
	require.NoError(t, err)
	o.feed, err = o.Feed()
	require.NoError(t, err)
	require.NoError(t, o.feed.List("pods", nil))
	return o
}

// kinds are the types and objects of what is wrong now, of some types alone or
// of all.
func (o *observer) kinds(types ...string) []string {
	var out []string
	for _, e := range o.Problems() {
		if len(types) > 0 && !slices.Contains(types, e.GetType()) {
			continue
		}
		out = append(out, e.GetType()+" "+e.GetObject().GetUid())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var watcherConfig = shop().Config()

// fate is one pod's, whose container is ended and started again.
type fate struct {
	clock *clocktesting.FakeClock
	pod   *corev1.Pod
	lives int
}

func (f *fate) now() metav1.Time { return metav1.NewTime(f.clock.Now()) }

// next changes the pod; it returns how.
func (f *fate) next(t *rapid.T, name string) (watch.EventType, *corev1.Pod) {
	if f.pod == nil {
		f.lives++
		f.pod = web(name)
		f.pod.UID = types.UID(name + "-" + itoa(f.lives))
		f.pod.CreationTimestamp = f.now()
		f.pod.Status.ContainerStatuses[0].State.Running.StartedAt = f.now()
		return watch.Added, f.pod
	}
	if rapid.IntRange(0, 11).Draw(t, "fate") == 0 {
		last := f.pod
		f.pod = nil
		return watch.Deleted, last
	}
	f.pod = f.pod.DeepCopy()
	s := &f.pod.Status.ContainerStatuses[0]
	if s.State.Terminated == nil {
		reason, code := "OOMKilled", int32(137)
		if rapid.Bool().Draw(t, "fails") {
			reason, code = "Error", 1
		}
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: reason, ExitCode: code, ContainerID: s.ContainerID, StartedAt: s.State.Running.StartedAt, FinishedAt: f.now(),
		}}
		s.Ready = false
		return watch.Modified, f.pod
	}
	s.LastTerminationState = s.State
	s.RestartCount++
	s.ContainerID = string(f.pod.UID) + "-" + itoa(int(s.RestartCount))
	s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: f.now()}}
	s.Ready = true
	return watch.Modified, f.pod
}

// One who sees all and one who is blind now and then and reads lists again tell
// no id twice, kills by the same ids, and nothing wrong that is not.
func TestBlindnessAddsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
		sees, blind := newObserver(t, clock), newObserver(t, clock)
		names := []string{"web-a", "web-b"}
		fates := map[string]*fate{}
		for _, n := range names {
			fates[n] = &fate{clock: clock}
		}
		lost := false
		list := func() {
			var now []runtime.Object
			for _, n := range names {
				if p := fates[n].pod; p != nil {
					now = append(now, p)
				}
			}
			require.NoError(t, blind.feed.List("pods", now))
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			clock.Step(time.Duration(rapid.SampledFrom([]int{1, 10, 40, 700}).Draw(t, "seconds")) * time.Second)
			for _, o := range []*observer{sees, blind} {
				o.feed.PassTime()
			}
			name := rapid.SampledFrom(names).Draw(t, "name")
			change, pod := fates[name].next(t, name)
			require.NoError(t, sees.feed.Change("pods", change, pod))
			switch {
			case lost && rapid.Bool().Draw(t, "back"):
				lost = false
				list()
			case lost:
			case rapid.IntRange(0, 3).Draw(t, "lose") == 0:
				lost = true
			default:
				require.NoError(t, blind.feed.Change("pods", change, pod))
			}
		}
		if lost || rapid.Bool().Draw(t, "again") {
			list()
		}
		for id, e := range blind.ledger.events {
			if e.GetType() == "pod.oom_killed" {
				require.Contains(t, sees.ledger.events, id, "a kill under another id: %v", e)
			}
		}
		// How long a run was that nobody saw is not known, so that a row of short
		// ones may be told later, and until then a restart in its place, but neither
		// where there is none.
		for _, kind := range blind.kinds() {
			if !slices.Contains(sees.kinds(), strings.Replace(kind, "pod.restarted", "pod.crash_loop", 1)) {
				require.Contains(t, sees.kinds(), kind)
			}
		}
		require.Equal(t, sees.kinds("pod.oom_killed", "pod.failed"), blind.kinds("pod.oom_killed", "pod.failed"))
	})
}
