package watcher_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/rightsizer/rightsizer/watcher"
)

// Replicas whose clocks differ, or one of which hears late, give what they see under
// way one id: that of the moment at which the API says that it was written.
func TestReplicasWhoseClocksDiffer(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	wrote := func(at time.Time, fields string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &metav1.Time{Time: at}, FieldsV1: metav1.NewFieldsV1(fields)}}
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	tainted := node.DeepCopy()
	tainted.Spec.Taints = []corev1.Taint{{Key: "drain", Effect: corev1.TaintEffectNoSchedule}}
	tainted.ManagedFields = wrote(now.Add(time.Minute), `{"f:spec":{"f:taints":{}}}`)
	one, two := int32(1), int32(2)
	db := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db", UID: "uid-db", Generation: 1},
		Spec:       appsv1.StatefulSetSpec{Replicas: &one},
		Status:     appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1, UpdatedReplicas: 1},
	}
	scaled := db.DeepCopy()
	scaled.Spec.Replicas, scaled.Generation = &two, 2
	scaled.ManagedFields = wrote(now.Add(time.Minute), `{"f:spec":{"f:replicas":{}}}`)

	problems := func(late time.Duration) map[string]string {
		clock := clocktesting.NewFakeClock(now.Add(late))
		out := &recorder{t: t}
		w, err := watcher.New(watcher.Options{Config: watcherConfig, Publisher: out, ClusterID: "c", Clock: clock})
		require.NoError(t, err)
		f, err := w.Feed()
		require.NoError(t, err)
		require.NoError(t, f.List("nodes", []runtime.Object{node}))
		require.NoError(t, f.List("statefulsets", []runtime.Object{db}))
		clock.Step(time.Minute)
		require.NoError(t, f.Change("nodes", watch.Modified, tainted))
		require.NoError(t, f.Change("statefulsets", watch.Modified, scaled))
		clock.Step(5 * time.Minute)
		f.PassTime()
		ids := map[string]string{}
		for _, e := range w.Problems() {
			ids[e.GetType()] = e.GetProblemId()
		}
		return ids
	}
	first := problems(0)
	assert.Contains(t, first, "node.tainted")
	assert.Contains(t, first, "statefulset.unavailable")
	assert.Equal(t, first, problems(3*time.Second))
}
