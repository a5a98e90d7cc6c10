package watcher_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

// episode is something that goes wrong, ends, and goes wrong again.
type episode struct {
	types string
	// wrong and right say so to the server.
	wrong, right func(*watchertest.Server)
	// agrees says that processes that meet it at different times agree on its id.
	agrees bool
}

func statusWritten() []metav1.ManagedFieldsEntry {
	now := metav1.Now()
	return []metav1.ManagedFieldsEntry{{
		Manager: "a-controller", Subresource: "status", Time: &now, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(`{"f:status":{"f:conditions":{"k:{\"type\":\"PodScheduled\"}":{".":{},"f:message":{}}}}}`),
	}}
}

func episodes() map[string]episode {
	stateful := func(available int32) *appsv1.StatefulSet {
		one := int32(1)
		return &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db", UID: "uid-db", ManagedFields: statusWritten()},
			Spec:       appsv1.StatefulSetSpec{Replicas: &one},
			Status:     appsv1.StatefulSetStatus{Replicas: available, AvailableReplicas: available, UpdatedReplicas: available},
		}
	}
	deployment := func(available int32) *appsv1.Deployment {
		d := webDeployment()
		status := corev1.ConditionTrue
		if available == 0 {
			status = corev1.ConditionFalse
		}
		d.Status.AvailableReplicas = available
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: status, LastTransitionTime: metav1.Now()}}
		return d
	}
	node := func(cpu string, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1", CreationTimestamp: metav1.NewTime(time.Unix(1, 0))},
			Spec:       corev1.NodeSpec{Taints: taints},
			Status: corev1.NodeStatus{
				Allocatable: corev1.ResourceList{"cpu": resource.MustParse(cpu)},
				Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			},
		}
	}
	pending := func(message string) *corev1.Pod {
		pod := web("web-a")
		pod.Spec.NodeName, pod.ManagedFields = "", statusWritten()
		pod.CreationTimestamp = metav1.NewTime(time.Unix(1, 0))
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message,
			LastTransitionTime: metav1.NewTime(time.Unix(1, 0)),
		}}}
		return pod
	}
	waiting := func(restarts int32) *corev1.Pod {
		pod := web("web-a")
		s := &pod.Status.ContainerStatuses[0]
		s.RestartCount, s.Ready = restarts, false
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "manifest unknown"}}
		return pod
	}
	bound := func() *corev1.Pod {
		pod := pending("")
		pod.Spec.NodeName, pod.CreationTimestamp = "node-1", metav1.Now()
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		return pod
	}
	mounts := 0
	var restarts int32
	refused := 0
	about := func(reason, kind string) *corev1.Event {
		refused++
		e := warned(fmt.Sprint("refused-", refused), "db", reason, `pods "db-0" is forbidden: exceeded quota: q`, 1, time.Now(), time.Now())
		e.Type = kind
		e.InvolvedObject = corev1.ObjectReference{Kind: "StatefulSet", Namespace: "shop", Name: "db", UID: "uid-db"}
		return e
	}
	failures, failing := int32(0), time.Now()
	return map[string]episode{
		"a probe fails in the same words, of which the kubelet keeps one Event": {
			"pod.probe_failed.readiness", func(s *watchertest.Server) {
				s.Put(unready("web-a"))
				for range 3 {
					failures++
					s.Put(warned("probe", "web-a", "Unhealthy", "Readiness probe failed: refused", failures, failing, time.Now()))
					time.Sleep(10 * time.Second)
				}
			}, func(s *watchertest.Server) {
				s.Put(web("web-a"))
				time.Sleep(15 * time.Minute) // Longer than the silence that ends a row.
			}, false,
		},
		"a StatefulSet falls short": {
			"statefulset.unavailable", func(s *watchertest.Server) { s.Put(stateful(0)) }, func(s *watchertest.Server) { s.Put(stateful(1)) }, true,
		},
		"a Deployment is not available": {
			"deployment.unavailable", func(s *watchertest.Server) { s.Put(deployment(0)) }, func(s *watchertest.Server) { s.Put(deployment(2)) }, true,
		},
		"a node is full": {
			"node.full", func(s *watchertest.Server) { s.Put(node("100m"), web("web-a")) }, func(s *watchertest.Server) { s.Put(node("9")) }, false,
		},
		"a node is tainted": {
			"node.tainted", func(s *watchertest.Server) {
				now := metav1.Now()
				s.Put(node("9", corev1.Taint{Key: "k", Effect: corev1.TaintEffectNoSchedule, TimeAdded: &now}))
			}, func(s *watchertest.Server) { s.Put(node("9")) }, true,
		},
		"a pod finds no node for one cause, then another": {
			"pod.unschedulable.resources",
			func(s *watchertest.Server) {
				s.Put(pending("0/3 nodes are available: 3 Insufficient cpu."))
			}, func(s *watchertest.Server) {
				s.Put(pending("0/3 nodes are available: 3 node(s) had untolerated taint {a: }."))
			}, true,
		},
		"a pod waits to start, then for a volume, then again": {
			"pod.pending", func(s *watchertest.Server) {
				if mounts == 0 {
					s.Put(bound())
				}
				time.Sleep(15 * time.Minute) // What Events told falls silent, then nothing happens.
			}, func(s *watchertest.Server) {
				mounts++
				s.Put(warned("mount", "web-a", "FailedMount", `MountVolume.SetUp failed for volume "data"`, 1, time.Now(), time.Now()))
			}, true,
		},
		"an image cannot be pulled for a second attempt": {
			"pod.image_pull", func(s *watchertest.Server) { s.Put(waiting(restarts)) }, func(s *watchertest.Server) {
				restarts++
				pod := web("web-a")
				pod.Status.ContainerStatuses[0].RestartCount = restarts
				s.Put(pod)
			}, true,
		},
		"a StatefulSet may not create its pods": {
			"quota.exceeded", func(s *watchertest.Server) {
				s.Put(stateful(0))
				s.Put(about("FailedCreate", corev1.EventTypeWarning))
			}, func(s *watchertest.Server) {
				s.Put(about("SuccessfulCreate", corev1.EventTypeNormal))
			}, true,
		},
	}
}

// No id of one episode comes again in a later one, also where another process
// has taken over meanwhile; and wherever the API tells when it began, both
// processes give it the same id.
func TestNoEpisodeHasTheIdsOfAnother(t *testing.T) {
	for name := range episodes() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := episodes()[name]
				server := shop()
				first := start(t, server)
				defer first.stop()
				wrong := func() {
					e.wrong(server)
					time.Sleep(5 * time.Minute)
					synctest.Wait()
				}
				wrong()
				require.Len(t, first.out.told(e.types), 1)
				e.right(server)
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Len(t, first.out.told(e.types), 2)
				wrong()
				told := first.out.told(e.types)
				require.Len(t, told, 3)

				second := start(t, server)
				defer second.stop()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				found := second.out.told(e.types)
				require.Len(t, found, 1)
				id := func(told string) string { return strings.Fields(told)[2] }
				assert.NotEqual(t, id(told[0]), id(found[0]), "a loss: whoever knows the id takes it for the first")
				if e.agrees {
					assert.Equal(t, id(told[2]), id(found[0]))
				}
			})
		})
	}
}
