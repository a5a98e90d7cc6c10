package watcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
)

// blind has things happen while nothing is watched, and the history of them gone
// when the watch comes back.
func (r *rig) blind(during func()) {
	r.t.Helper()
	time.Sleep(time.Minute)
	r.server.SetDown(true)
	synctest.Wait()
	during()
	r.server.Compact()
	time.Sleep(5 * time.Second)
	r.server.SetDown(false)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	require.ElementsMatch(r.t, everyResource(), scopes(r.out.takeResyncs()))
}

// A kill that was told in `state` is in `lastState` after a lost watch, beside the
// next one: that alone is new.
func TestAKillInItsOtherFormAfterALostWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		r := start(t, shop(pod, web("web-b")))
		defer r.stop()
		pod = end(pod, "OOMKilled", 137, time.Second)
		r.server.Put(pod)
		synctest.Wait()
		first := r.out.take()
		require.Len(t, first, 1)
		r.blind(func() {
			pod = restart(pod)
			r.server.Put(pod)
		})
		assert.Empty(t, r.out.take(), "the same kill")
		r.blind(func() {
			time.Sleep(20 * time.Minute) // No crash loop.
			pod = end(pod, "OOMKilled", 137, 20*time.Minute)
			r.server.Put(pod)
		})
		second := r.out.take()
		require.Len(t, second, 1)
		assert.NotEqual(t, first[0].GetProblemId(), second[0].GetProblemId())
		assert.False(t, second[0].GetFoundAtStart())
		time.Sleep(time.Minute) // A watch that is dropped as soon as it is open is listed again.
		r.server.Drop()
		r.blind(func() {})
		assert.Empty(t, r.out.take(), "a list that shows what is known")
	})
}

// A pod that was replaced under its name while nobody watched: the former one's
// problems end, and the new one's are its own.
func TestAPodReplacedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop(web("web-a")))
		defer r.stop()
		looping := crash(r, web("web-a"))
		require.Len(t, r.out.take(), 1)
		r.blind(func() {
			r.server.Delete(looping)
			successor := web("web-a")
			successor.UID = "uid-another"
			r.server.Put(end(successor, "OOMKilled", 137, time.Second))
		})
		events := r.out.take()
		require.Len(t, events, 2)
		assert.Equal(t, rightsizerv1.Phase_PHASE_RESOLVED, events[0].GetPhase())
		assert.Equal(t, "uid-web-a", events[0].GetObject().GetUid())
		assert.Equal(t, "pod.oom_killed", events[1].GetType())
		assert.Equal(t, "uid-another", events[1].GetObject().GetUid())
		assert.Len(t, r.Problems(), 1)
	})
}

// A controller that cannot be understood is still there: a list after a lost
// watch must not end its problems.
func TestAMalformedControllerIsNotADeletedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop())
		defer r.stop()
		stuck := webDeployment()
		stuck.Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", LastUpdateTime: metav1.Now(),
			LastTransitionTime: metav1.Now(),
		}}
		r.server.Put(stuck)
		synctest.Wait()
		open := func() (out []string) {
			for _, e := range r.Problems() {
				out = append(out, e.GetType())
			}
			return out
		}
		require.Equal(t, []string{"deployment.stuck"}, open())
		r.blind(func() {
			bad := stuck.DeepCopy()
			bad.UID = ""
			r.server.Put(bad)
		})
		assert.Equal(t, []string{"deployment.stuck"}, open(), "its last readable form stands")
		assert.Equal(t, healthDegraded, r.component("watch/deployments").GetState())
		r.blind(func() { r.server.Delete(stuck) })
		assert.Empty(t, open())
		assert.Equal(t, healthOK, r.component("watch/deployments").GetState())
	})
}

// The end of a pod that comes after its successor leaves that alone.
func TestALateDeletionLeavesTheSuccessor(t *testing.T) {
	out := &recorder{t: t}
	w, err := watcher.New(watcher.Options{Config: shop().Config(), Publisher: out, ClusterID: "c"})
	require.NoError(t, err)
	feed, err := w.Feed()
	require.NoError(t, err)
	successor := web("web-a")
	successor.UID = "uid-another"
	require.NoError(t, feed.List("pods", []runtime.Object{end(successor, "OOMKilled", 137, time.Second)}))
	require.Len(t, out.take(), 1)
	require.NoError(t, feed.Change("pods", watch.Deleted, web("web-a")))
	assert.Equal(t, int32(1), w.Cluster().GetPods())
	assert.Len(t, w.Problems(), 1)
	require.NoError(t, feed.Change("pods", watch.Deleted, successor))
	assert.Zero(t, w.Cluster().GetPods())
	assert.Empty(t, w.Problems())
}
