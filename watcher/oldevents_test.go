package watcher_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

// unready is a pod that runs and is not ready.
func unready(name string) *corev1.Pod {
	pod := web(name)
	pod.Status.ContainerStatuses[0].Ready = false
	pod.Status.Conditions[0].Status = corev1.ConditionFalse
	return pod
}

func warned(name, about, reason, message string, count int32, first, last time.Time) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Type: corev1.EventTypeWarning,
		InvolvedObject: corev1.ObjectReference{
			Kind: "Pod", Namespace: "shop", Name: about, UID: types.UID("uid-" + about), FieldPath: "spec.containers{app}",
		},
		Reason: reason, Message: message, Count: count,
		FirstTimestamp: metav1.NewTime(first), LastTimestamp: metav1.NewTime(last),
	}
}

// told are the events of some types, as "PHASE type id found_at_start count".
func (r *recorder) told(types string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if strings.HasPrefix(e.GetType(), types) {
			out = append(out, fmt.Sprint(strings.TrimPrefix(e.GetPhase().String(), "PHASE_"), " ", e.GetType(), " ", e.GetId(), " ",
				e.GetFoundAtStart(), " ", e.GetProbe().GetCount()))
		}
	}
	return out
}

// What Events warned of before the start is found at start, under the ids of
// those who heard it as it was said.
func TestEventsFromBeforeTheStartAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop(unready("web-a"))
		witness := start(t, server)
		defer witness.stop()
		for i, words := range []string{"refused", "timeout"} {
			time.Sleep(10 * time.Second)
			first := time.Now()
			for n := range int32(2) {
				time.Sleep(time.Duration(n) * 10 * time.Second)
				server.Put(warned(fmt.Sprint("probe-", 9-i), "web-a", "Unhealthy", "Readiness probe failed: "+words, n+1, first, time.Now()))
				synctest.Wait()
			}
		}
		for i := range 250 { // More than a page, most of them no evidence.
			e := warned(fmt.Sprintf("other-%03d", i), "web-b", "FailedToUpdateEndpoint", "whatever", 1, time.Now(), time.Now())
			server.Put(e)
		}
		normal := warned("normal", "web-a", "Unhealthy", "Liveness probe failed: no warning", 5, time.Now(), time.Now())
		normal.Type = corev1.EventTypeNormal
		server.Put(normal)
		synctest.Wait()
		live := witness.out.told("pod.probe_failed.readiness")
		require.Len(t, live, 1)

		pages := func() (n int) {
			for _, r := range server.Requests() {
				if r == "list "+watchertest.Events {
					n++
				}
			}
			return n
		}
		before := pages()
		late := start(t, server)
		defer late.stop()
		assert.Equal(t, 13, pages()-before, "252 of them, each up to 1 MiB, in pages of 20")
		found := late.out.told("pod.probe_failed")
		require.Len(t, found, 1)
		assert.Contains(t, found[0], " true 3")
		assert.Equal(t, strings.Fields(live[0])[:3], strings.Fields(found[0])[:3], "the same id")

		// The next is news, and counted once.
		time.Sleep(10 * time.Second)
		server.Put(warned("probe-7", "web-a", "Unhealthy", "Liveness probe failed: gone", 3, time.Now().Add(-time.Second), time.Now()))
		synctest.Wait()
		assert.Contains(t, late.out.told("pod.probe_failed.liveness")[0], " false 3")
	})
}

// What was said while the watch of Events was lost is told after it, once, and
// what was heard before is not counted again.
func TestEventsOfALostWatchAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop(unready("web-a")))
		defer r.stop()
		began := time.Now()
		for n := range int32(2) {
			r.server.Put(warned("probe", "web-a", "Unhealthy", "Readiness probe failed: refused", n+1, began, time.Now()))
			synctest.Wait()
			time.Sleep(time.Second)
		}
		r.server.Expire(watchertest.Events)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"events"}, scopes(r.out.takeResyncs()))
		require.Empty(t, r.out.told("pod.probe_failed"), "two are two")

		r.server.SetDown(true)
		synctest.Wait()
		r.server.Put(warned("probe", "web-a", "Unhealthy", "Readiness probe failed: refused", 4, began, time.Now()))
		r.server.Compact()
		r.server.SetDown(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		told := r.out.told("pod.probe_failed")
		require.Len(t, told, 1)
		assert.Contains(t, told[0], " false 4")
	})
}

// What a kubelet says of its node before the node is known waits for it; what it
// said of a former one of that name does not.
func TestANodesEventsMayComeBeforeTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop())
		defer r.stop()
		oom := func(name, process string, pid int) *corev1.Event {
			e := warned(name, "node-1", "SystemOOM", fmt.Sprintf("System OOM encountered, victim process: %s, pid: %d", process, pid), 1, time.Now(), time.Now())
			e.Namespace, e.InvolvedObject = "default", corev1.ObjectReference{Kind: "Node", Name: "node-1", UID: "node-1"}
			return e
		}
		r.server.Put(oom("former", "old", 1))
		time.Sleep(time.Minute)
		made := metav1.Now()
		time.Sleep(time.Second)
		r.server.Put(oom("early", "java", 4711))
		synctest.Wait()
		require.Empty(t, r.out.told("node.system_oom"))
		r.server.Put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1", CreationTimestamp: made}})
		synctest.Wait()
		require.Len(t, r.out.told("node.system_oom"), 1)
		assert.Equal(t, int64(4711), r.out.events[len(r.out.events)-1].GetSystemOom().GetPid())
	})
}

// interrupted does something at the first event.
type interrupted struct {
	*recorder
	first sync.Once
	by    func()
}

func (i *interrupted) Publish(e *rightsizerv1.Event) {
	i.first.Do(i.by)
	i.recorder.Publish(e)
}

// What an Event is about in the middle of the first list of pods is found at start
// all the same.
func TestAnEventInTheMiddleOfTheFirstList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		const pods = 300
		name := func(i int) string { return fmt.Sprintf("web-%03d", i) }
		for i := range pods {
			server.Put(end(web(name(i)), "OOMKilled", 137, time.Second))
		}
		out := &interrupted{recorder: &recorder{t: t}, by: func() {
			for i := range 20 {
				last := name(pods - 1 - i)
				server.Put(warned(last, last, "Unhealthy", "Readiness probe failed: refused", 1, time.Now(), time.Now()))
			}
		}}
		r := start(t, server, func(o *watcher.Options) { o.Publisher = out })
		defer r.stop()
		kills := out.take()
		require.Len(t, kills, pods)
		for _, e := range kills {
			assert.True(t, e.GetFoundAtStart(), e.GetObject().GetName())
		}
	})
}
