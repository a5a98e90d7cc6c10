package watcher

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

type discard struct{ events int }

func (d *discard) Publish(*rightsizerv1.Event)            { d.events++ }
func (d *discard) PublishIncident(*rightsizerv1.Incident) {}
func (d *discard) Resync(*rightsizerv1.StreamResync)      {}

// BenchmarkPath is the way of one pod from the reflector to the publisher, with
// 10,000 pods in the store: a change that means nothing, and a kill.
func BenchmarkPath(b *testing.B) {
	out := &discard{}
	w, err := New(Options{Config: &rest.Config{Host: "http://unused"}, Publisher: out, ClusterID: "c"})
	require.NoError(b, err)
	h := w.watches[len(w.watches)-2]
	require.Equal(b, podsResource, h.resource.name)
	f := &feed{w: w, res: h.resource, health: h, sink: podSink{w}}
	for i := range 10_000 {
		require.NoError(b, f.Update(benchPod(i, "")))
	}
	b.Run("healthy", func(b *testing.B) {
		b.ReportAllocs()
		pod := benchPod(1, "")
		for b.Loop() {
			_ = f.Update(pod)
		}
	})
	b.Run("killed", func(b *testing.B) {
		b.ReportAllocs()
		pod := benchPod(1, "x")
		for i := 0; b.Loop(); i++ {
			pod.Status.ContainerStatuses[0].State.Terminated.ContainerID = fmt.Sprint("containerd://", i)
			_ = f.Update(pod)
		}
	})
	b.Logf("%d events", out.events)
}

func benchPod(i int, killed string) *corev1.Pod {
	yes := true
	limits := corev1.ResourceList{"cpu": quantity.MustParse("500m"), "memory": quantity.MustParse("256Mi")}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("web-%d", i), UID: types.UID(fmt.Sprintf("uid-%d", i)),
			Labels:          map[string]string{"app": "web", "pod-template-hash": "5d4f"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web-5d4f", UID: "rs", Controller: &yes}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "app", Image: "web:1", Resources: corev1.ResourceRequirements{Requests: limits, Limits: limits},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
		}}},
	}
	if killed != "" {
		pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: metav1.Now()},
		}
	}
	return pod
}
