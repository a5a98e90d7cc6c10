package watcher_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

func TestAKillIsToldOnceInBothItsForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		healthy, other := web("web-a"), web("web-b")
		r := start(t, shop(healthy, other))
		defer r.stop()
		require.True(t, r.Synced())
		require.NoError(t, r.Ready())
		require.Empty(t, r.out.take())

		time.Sleep(3 * time.Second)
		killed := end(healthy, "OOMKilled", 137, 3*time.Second)
		r.server.Put(killed)
		synctest.Wait()
		events := r.out.take()
		require.Len(t, events, 1)
		e := events[0]
		assert.Equal(t, "pod.oom_killed", e.GetType())
		assert.Equal(t, rightsizerv1.Phase_PHASE_POINT, e.GetPhase())
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_ERROR, e.GetSeverity())
		assert.Equal(t, watchertest.ClusterUID, e.GetCluster())
		assert.Equal(t, "Container app of pod web-a was OOM-killed at its 64 MiB limit after 3 s", e.GetMessage())
		assert.Equal(t, "Deployment/web", e.GetWorkload().GetKind()+"/"+e.GetWorkload().GetName())
		assert.Equal(t, "OOMKilled", e.GetReason())
		assert.Equal(t, "node-1", e.GetNode())
		assert.False(t, e.GetFoundAtStart())
		assert.Equal(t, int64(64<<20), e.GetOomKilled().GetMemoryLimitBytes())
		assert.Equal(t, 3*time.Second, e.GetOomKilled().GetLifetime().AsDuration())
		assert.Equal(t, map[string]string{"app": "web", "qos": "Burstable", "container_kind": "app", "pod_phase": "Running"}, e.GetTags())

		r.server.Put(restart(killed))
		synctest.Wait()
		assert.Empty(t, r.out.take(), "the same kill in lastState")
		require.Len(t, r.Problems(), 1)
		assert.Equal(t, e.GetId(), r.Problems()[0].GetId())
	})
}

func TestARestartOfTheOperatorRepeatsIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		server := shop(pod)
		first := start(t, server)
		for range 3 {
			time.Sleep(5 * time.Second)
			pod = end(pod, "OOMKilled", 137, 5*time.Second)
			server.Put(pod)
			time.Sleep(10 * time.Second)
			pod = restart(pod)
			server.Put(pod)
		}
		synctest.Wait()
		before := make(map[string]*rightsizerv1.Event)
		for _, e := range first.out.take() {
			assert.NotContains(t, before, e.GetId(), "once means one id")
			before[e.GetId()] = e
		}
		first.stop()

		second := start(t, server)
		defer second.stop()
		again := second.out.take()
		require.Len(t, again, 2, "the last kill, and the crash loop")
		for _, e := range again {
			require.Contains(t, before, e.GetId())
			assert.True(t, e.GetFoundAtStart())
			assert.Equal(t, before[e.GetId()].GetProblemId(), e.GetProblemId())
			assert.Equal(t, before[e.GetId()].GetCorrelationId(), e.GetCorrelationId())
		}
		assert.Equal(t, again[0].GetCorrelationId(), again[1].GetCorrelationId())
	})
}

func TestADeletedPodsLastStatusCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		r := start(t, shop(pod))
		defer r.stop()
		r.server.Delete(end(pod, "OOMKilled", 137, time.Second))
		synctest.Wait()
		events := r.out.take()
		require.Len(t, events, 1)
		assert.Equal(t, "pod.oom_killed", events[0].GetType())
		assert.Empty(t, r.Problems(), "a pod that is gone has nothing wrong now")
		assert.Zero(t, r.Cluster().GetPods())
	})
}

// crash drives a pod into a crash loop of two restarts.
func crash(r *rig, pod *corev1.Pod) *corev1.Pod {
	for range 2 {
		time.Sleep(time.Second)
		pod = end(pod, "Error", 1, time.Second)
		r.server.Put(pod)
		time.Sleep(10 * time.Second)
		pod = restart(pod)
		r.server.Put(pod)
	}
	synctest.Wait()
	return pod
}

func TestACrashLoopHasALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		r := start(t, shop(pod, web("web-b")))
		defer r.stop()
		pod = crash(r, pod)
		events := r.out.take()
		require.Len(t, events, 1)
		opened := events[0]
		assert.Equal(t, "pod.crash_loop", opened.GetType())
		assert.Equal(t, rightsizerv1.Phase_PHASE_OPENED, opened.GetPhase())
		assert.Equal(t, int32(1), r.Cluster().GetOpenProblems())
		assert.Equal(t, int32(1), r.Workloads()[0].GetOpenProblems())

		// It fails again, and the back-off is known at once.
		time.Sleep(time.Second)
		pod = end(pod, "Error", 1, time.Second)
		r.server.Put(pod)
		synctest.Wait()
		events = r.out.take()
		require.Len(t, events, 1)
		assert.Equal(t, rightsizerv1.Phase_PHASE_UPDATED, events[0].GetPhase())
		assert.Equal(t, opened.GetProblemId(), events[0].GetProblemId())
		assert.Equal(t, 20*time.Second, events[0].GetCrashLoop().GetBackoff().AsDuration())
		assert.Equal(t, "Container app of pod web-a crash-loops: restarted twice, last end with exit code 1 (Error) after 1 s, "+
			"next start in about 20 s", events[0].GetMessage())

		// The restart that was announced is no news.
		time.Sleep(20 * time.Second)
		pod = restart(pod)
		r.server.Put(pod)
		synctest.Wait()
		assert.Empty(t, r.out.take())

		// Nothing happens for ten minutes but time.
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		assert.Empty(t, r.out.take())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		events = r.out.take()
		require.Len(t, events, 1)
		assert.Equal(t, rightsizerv1.Phase_PHASE_RESOLVED, events[0].GetPhase())
		assert.Equal(t, opened.GetProblemId(), events[0].GetProblemId())
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_INFO, events[0].GetSeverity())
		assert.Empty(t, r.Problems())

		// A later row is another problem.
		time.Sleep(time.Hour)
		pod = end(pod, "Error", 1, time.Hour+10*time.Minute)
		r.server.Put(pod)
		pod = restart(pod)
		r.server.Put(pod)
		crash(r, pod)
		events = r.out.take()
		require.NotEmpty(t, events)
		assert.Equal(t, rightsizerv1.Phase_PHASE_OPENED, events[0].GetPhase())
		assert.NotEqual(t, opened.GetProblemId(), events[0].GetProblemId())
	})
}

func TestBackOffEventsAreEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		r := start(t, shop(pod))
		defer r.stop()
		time.Sleep(time.Second)
		pod = restart(end(pod, "Error", 1, time.Second))
		r.server.Put(pod)
		time.Sleep(time.Second)
		r.server.Put(end(pod, "Error", 1, time.Second))
		synctest.Wait()
		require.Empty(t, r.out.take(), "one restart is no loop yet")

		backOff := func(name, message string) *corev1.Event {
			return &corev1.Event{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
				InvolvedObject: corev1.ObjectReference{
					Kind: "Pod", Namespace: "shop", Name: "web-a", UID: "uid-web-a", FieldPath: "spec.containers{app}",
				},
				Reason: "BackOff", Message: message, LastTimestamp: metav1.Now(),
			}
		}
		r.server.Put(backOff("pull", `Back-off pulling image "x"`))
		synctest.Wait()
		require.Empty(t, r.out.take(), "an image pull is no restart")
		r.server.Put(backOff("restart", "Back-off restarting failed container app in pod web-a_shop(uid-web-a)"))
		synctest.Wait()
		events := r.out.take()
		require.Len(t, events, 1)
		assert.Equal(t, "pod.crash_loop", events[0].GetType())
		assert.Equal(t, 10*time.Second, events[0].GetCrashLoop().GetBackoff().AsDuration())
	})
}

// A list after a lost watch is compared as a whole: pods that took the place of
// others do so at one moment, not after a time without any.
func TestAListAfterALostWatchIsOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		killed, old := web("web-a"), web("web-b")
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1", CreationTimestamp: metav1.Now()},
			Status:     corev1.NodeStatus{Allocatable: corev1.ResourceList{"cpu": resource.MustParse("200m"), "pods": resource.MustParse("2")}},
		}
		server := shop(killed, old)
		server.Put(node)
		r := start(t, server)
		defer r.stop()
		require.Len(t, r.out.told("node.full"), 1)
		r.server.SetDown(true)
		synctest.Wait()
		r.server.Delete(old)
		r.server.Put(web("web-c"), end(killed, "OOMKilled", 137, time.Second))
		r.server.Compact()
		r.server.SetDown(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		assert.Len(t, r.out.told("node.full"), 1, "full before and after")
		assert.Len(t, r.out.told("pod.terminated"), 1, "web-b")
		events := r.out.take()
		require.Len(t, events, 1)
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_ERROR, events[0].GetSeverity(), "web-c serves")
	})
}

func TestAListAfterALostWatchMakesUpForWhatWasMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looping, other := web("web-a"), web("web-b")
		r := start(t, shop(looping, other))
		defer r.stop()
		looping = crash(r, looping)
		require.Len(t, r.out.take(), 1)

		r.server.Bookmark()
		synctest.Wait()
		lastWord := time.Now()
		time.Sleep(5 * time.Second)
		r.server.SetDown(true)
		synctest.Wait()
		r.server.Delete(looping)
		r.server.Put(end(other, "OOMKilled", 137, time.Second))
		r.server.Compact()
		time.Sleep(5 * time.Second)
		r.out.mu.Lock()
		r.out.order = nil
		r.out.mu.Unlock()
		r.server.SetDown(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()

		resyncs := r.out.takeResyncs()
		assert.ElementsMatch(t, everyResource(), scopes(resyncs), "one for each watch")
		for _, m := range resyncs {
			assert.Equal(t, lastWord.Unix(), m.GetSince().AsTime().Unix())
			assert.Contains(t, m.GetReason(), "unknown")
		}
		events := r.out.take()
		require.Len(t, events, 2)
		assert.Equal(t, rightsizerv1.Phase_PHASE_RESOLVED, events[0].GetPhase(), "the deleted pod's loop")
		assert.Equal(t, "pod.oom_killed", events[1].GetType())
		assert.False(t, events[1].GetFoundAtStart())
		assert.Equal(t, int32(1), r.Cluster().GetPods())
		order := strings.Join(r.out.order, ",")
		assert.Less(t, strings.Index(order, "resync pods"), strings.Index(order, "pod.crash_loop"))
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("watch/pods").GetState())
	})
}

// everyResource names what is watched.
func everyResource() []string {
	var out []string
	for _, r := range watcher.Resources() {
		out = append(out, r.Name)
	}
	return out
}

func scopes(resyncs []*rightsizerv1.StreamResync) []string {
	var out []string
	for _, m := range resyncs {
		out = append(out, m.GetScope())
	}
	return out
}

// Whatever is watched feeds events, so that each loss may hide some.
func TestEveryWatchTellsItsLoss(t *testing.T) {
	paths := map[string]string{}
	for _, r := range watcher.Resources() {
		paths[r.Name] = r.Path
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, shop(web("web-a")))
				defer r.stop()
				r.server.Expire(path)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				resyncs := r.out.takeResyncs()
				assert.Equal(t, []string{name}, scopes(resyncs))
				assert.Regexp(t, "is unknown: [a-zA-Z].+\\.$", resyncs[0].GetReason(), "it says what")
				assert.Empty(t, r.out.take())
			})
		})
	}
}

func TestGoneInsideTheStreamIsOneResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop(web("web-a")))
		defer r.stop()
		r.server.Expire(watchertest.Pods)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		resyncs := r.out.takeResyncs()
		require.Len(t, resyncs, 1)
		assert.Equal(t, "pods", resyncs[0].GetScope())
		assert.Contains(t, resyncs[0].GetReason(), "too old resource version")
		assert.Empty(t, r.out.take())
	})
}

func TestAWatchThatIsContinuedLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		r := start(t, shop(pod))
		defer r.stop()
		time.Sleep(time.Minute)
		r.server.SetDown(true)
		synctest.Wait()
		r.server.Put(end(pod, "OOMKilled", 137, time.Second))
		time.Sleep(10 * time.Second)
		r.server.SetDown(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Len(t, r.out.take(), 1)
		assert.Empty(t, r.out.takeResyncs())
		r.server.Drop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Empty(t, r.out.takeResyncs())
	})
}
