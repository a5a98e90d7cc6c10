package watcher_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/track"
)

// fed is a watcher that is handed what it sees, from a list of pods on.
func fed(t *testing.T, clock *clocktesting.FakeClock, pods ...runtime.Object) (*watcher.Feeder, *recorder, prometheus.Gatherer) {
	t.Helper()
	out, registry := &recorder{t: t}, prometheus.NewRegistry()
	w, err := watcher.New(watcher.Options{Config: watcherConfig, Publisher: out, ClusterID: "c", Clock: clock, Registerer: registry})
	require.NoError(t, err)
	f, err := w.Feed()
	require.NoError(t, err)
	require.NoError(t, f.List("pods", pods))
	return f, out, registry
}

// What goes on is not over since much else was said meanwhile, be it of pods that
// are gone or were never there.
func TestWhatGoesOnOutlastsWhatElseIsSaid(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	clock := clocktesting.NewFakeClock(began)
	f, out, metrics := fed(t, clock, unready("web-a"))
	say := func(pod string, count int32) {
		now := clock.Now()
		require.NoError(t, f.Change("events", watch.Modified,
			warned("probe", pod, "Unhealthy", "Readiness probe failed: refused", count, began, now)))
	}
	say("web-a", 3)
	require.Len(t, out.told("pod.probe_failed"), 1)
	for i := range track.MaxNotes {
		name := fmt.Sprint("brief-", i)
		require.NoError(t, f.Change("pods", watch.Added, unready(name)))
		say(name, 1)
		require.NoError(t, f.Change("pods", watch.Deleted, unready(name)))
	}
	for i := range track.MaxNotes {
		say(fmt.Sprint("never-", i), 1)
	}
	clock.Step(9 * time.Minute)
	require.NoError(t, f.Change("pods", watch.Modified, unready("web-a")))
	say("web-a", 4)
	told := out.told("pod.probe_failed")
	require.Len(t, told, 1, "the end was not seen: %v", told)
	got := gather(t, metrics)
	assert.InDelta(t, track.MaxNotes, got["rightsizer_watcher_notes{}"], 0)
	assert.InDelta(t, 1, got["rightsizer_watcher_notes_dropped_total{all}"], 0)
	assert.Contains(t, got, "rightsizer_watcher_notes_dropped_total{object}")
}

// A kubelet knows a static pod by another UID than the API's mirror of it has, which
// says so; what it says is told of the mirror, be it heard before or after that is known.
func TestWhatIsSaidOfAStaticPodIsToldOfItsMirror(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	mirror := unready("etcd-n1")
	mirror.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "0123abcd"}
	said := warned("probe", "etcd-n1", "Unhealthy", "Liveness probe failed: refused", 5, began, began)
	said.InvolvedObject.UID = "0123abcd"
	for name, hear := range map[string]func(f *watcher.Feeder) error{
		"before it is known": func(f *watcher.Feeder) error {
			return errors.Join(f.Change("events", watch.Added, said), f.Change("pods", watch.Added, mirror))
		},
		"after it is known": func(f *watcher.Feeder) error {
			return errors.Join(f.Change("pods", watch.Added, mirror), f.Change("events", watch.Added, said))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, out, _ := fed(t, clocktesting.NewFakeClock(began))
			require.NoError(t, hear(f))
			assert.Len(t, out.told("pod.probe_failed"), 1)
			other := unready("etcd-n1") // one that is no mirror
			f, out, _ = fed(t, clocktesting.NewFakeClock(began), other)
			require.NoError(t, f.Change("events", watch.Added, said))
			assert.Empty(t, out.told("pod.probe_failed"))
		})
	}
}

// about is an Event that its writer puts into a namespace of his, about whatever
// he likes: of one with an eventTime the API server does not compare the namespaces.
func about(name, namespace string, object corev1.ObjectReference, reason, message string) *corev1.Event {
	e := warned(name, "", reason, message, 5, time.Unix(1_800_000_000, 0), time.Unix(1_800_000_000, 0))
	e.Namespace, e.EventTime = namespace, metav1.NewMicroTime(e.LastTimestamp.Time)
	e.InvolvedObject = object
	return e
}

// Who may write Events in one namespace says nothing of pods in another, though he
// knows their UIDs, be it before or after they are known.
func TestAnEventSpeaksForItsNamespaceAlone(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	f, out, _ := fed(t, clock, unready("web-a"))
	for _, pod := range []string{"web-a", "web-b"} {
		uid := types.UID("uid-" + pod)
		for i, object := range []corev1.ObjectReference{
			{Kind: "Pod", Name: pod, UID: uid}, {Kind: "Pod", Name: "nobody", UID: uid}, {Kind: "Job", Name: "nobody", UID: uid},
		} {
			for _, namespace := range []string{"elsewhere", "shop"} {
				object.Namespace = namespace
				require.NoError(t, f.Change("events", watch.Added,
					about(fmt.Sprint(pod, namespace, i), "elsewhere", object, "NetworkNotReady", "made up")))
			}
		}
		require.NoError(t, f.Change("pods", watch.Modified, unready(pod)))
	}
	require.Empty(t, out.told("pod."))
	known := about("true", "shop", corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "web-c", UID: "uid-web-c"}, "NetworkNotReady", "true")
	require.NoError(t, f.Change("events", watch.Added, known))
	require.NoError(t, f.Change("pods", watch.Added, unready("web-c")))
	require.Len(t, out.told("pod.network_failed"), 1, "the Event came before the pod")
}

// Of nodes those are heard alone who write where kubelets and the node problem
// detector do.
func TestWhoSpeaksOfNodes(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	f, out, _ := fed(t, clock)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"}}
	say := func(namespace, named string, pid int) {
		require.NoError(t, f.Change("events", watch.Added, about(fmt.Sprint(namespace, pid), namespace,
			corev1.ObjectReference{Kind: "Node", Namespace: named, Name: "node-1", UID: "node-1"}, "OOMKilling",
			fmt.Sprintf("Killed process %d (java)", pid))))
	}
	say("elsewhere", "elsewhere", 1)
	say("elsewhere", "kube-system", 2)
	say("kube-system", "kube-system", 3)
	require.NoError(t, f.Change("nodes", watch.Added, node))
	require.Len(t, out.told("node.system_oom"), 1)
	say("elsewhere", "elsewhere", 4)
	say("elsewhere", "default", 5)
	say("elsewhere", "", 6)
	require.Len(t, out.told("node.system_oom"), 1)
	say("default", "", 7) // As kubelets do.
	require.Len(t, out.told("node.system_oom"), 2)
}

// What a kubelet says of its node waits for the node where it names no UID, as the
// OOM watcher of late kubelets.
func TestOfANodeWithoutAUID(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	f, out, _ := fed(t, clock)
	say := func(pid int) {
		require.NoError(t, f.Change("events", watch.Added, about(fmt.Sprint("oom-", pid), "default",
			corev1.ObjectReference{Kind: "Node", Name: "node-1"}, "SystemOOM", fmt.Sprintf("victim process: java, pid: %d", pid))))
	}
	say(1)
	require.Empty(t, out.told("node.system_oom"))
	require.NoError(t, f.Change("nodes", watch.Added, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"}}))
	require.Len(t, out.told("node.system_oom"), 1)
	say(2)
	require.Len(t, out.told("node.system_oom"), 2)
}

// What was said of a former node of a name is nothing of the one that has it now,
// though it is read only then.
func TestOfAFormerNode(t *testing.T) {
	said := time.Unix(1_800_000_000, 0) // See about.
	for name, tt := range map[string]struct {
		made time.Time
		want int
	}{"before": {said.Add(time.Second), 0}, "since": {said, 1}} {
		t.Run(name, func(t *testing.T) {
			f, out, _ := fed(t, clocktesting.NewFakeClock(said.Add(time.Minute)))
			require.NoError(t, f.Change("nodes", watch.Added, &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1", CreationTimestamp: metav1.NewTime(tt.made)},
			}))
			require.NoError(t, f.Change("events", watch.Added, about("oom", "default",
				corev1.ObjectReference{Kind: "Node", Name: "node-1", UID: "node-1"}, "SystemOOM", "victim process: java, pid: 1")))
			require.Len(t, out.told("node.system_oom"), tt.want)
		})
	}
}

// A list of Events is more than can be remembered by the fault of one namespace,
// which says that all of its own are of the future: those of others are remembered,
// and what is not is counted.
func TestOneNamespaceDoesNotFillTheListOfEvents(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	f, out, metrics := fed(t, clocktesting.NewFakeClock(now), unready("web-a"))
	events := []runtime.Object{warned("probe", "web-a", "Unhealthy", "Readiness probe failed: refused", 3, now, now)}
	for i := range 3 * track.MaxNotes {
		e := warned(fmt.Sprint("made-up-", i), fmt.Sprint("p", i), "FailedMount", "made up", 1, now, now.AddDate(70, 0, 0))
		e.Namespace, e.InvolvedObject.Namespace = "elsewhere", "elsewhere"
		events = append(events, e)
	}
	require.NoError(t, f.List("events", events))
	assert.Len(t, out.told("pod.probe_failed"), 1)
	got := gather(t, metrics)
	assert.InDelta(t, track.MaxNotes, got["rightsizer_watcher_notes{}"], 0)
	assert.InDelta(t, 2*track.MaxNotes+1, got["rightsizer_watcher_notes_dropped_total{all}"], 0)
}

// What is made up neither takes the time of anything else away nor the room of
// what goes on.
func TestMadeUpEventsDisturbNobody(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	clock := clocktesting.NewFakeClock(began)
	f, out, _ := fed(t, clock, unready("web-a"))
	require.NoError(t, f.Change("events", watch.Added, warned("probe", "web-a", "Unhealthy", "Readiness probe failed: refused", 3, began, began)))
	require.Len(t, out.told("pod.probe_failed"), 1)
	stuck := web("web-b")
	stuck.Spec.NodeName, stuck.Status = "", corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/1 nodes are available: 1 Insufficient cpu.", LastTransitionTime: metav1.NewTime(began),
	}}}
	require.NoError(t, f.Change("pods", watch.Added, stuck))
	first, some := f.Deadline()
	require.True(t, some)
	for i := range 2 * track.MaxNotes {
		uid := types.UID("uid-web-a") // Something goes on there.
		if i < 2 {
			uid = []types.UID{"uid-web-b", "incidents"}[i]
		}
		require.NoError(t, f.Change("events", watch.Added,
			about("made-up", "elsewhere", corev1.ObjectReference{Kind: "Pod", Namespace: "elsewhere", Name: fmt.Sprint("p", i), UID: uid}, "FailedMount", "made up")))
	}
	still, _ := f.Deadline()
	assert.Equal(t, first, still)
	clock.Step(10 * time.Second)
	f.PassTime()
	assert.Len(t, out.told("pod.unschedulable"), 1)
	require.NoError(t, f.Change("pods", watch.Modified, unready("web-a")))
	assert.Len(t, out.told("pod.probe_failed"), 1)
}
