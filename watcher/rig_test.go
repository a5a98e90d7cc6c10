package watcher_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

// recorder takes what the watcher publishes, and holds each event against the
// schema.
type recorder struct {
	t       *testing.T
	mu      sync.Mutex
	events  []*rightsizerv1.Event
	resyncs []*rightsizerv1.StreamResync
	order   []string
	// incidents are told apart from the order of events, which they follow.
	incidents []*rightsizerv1.Incident
}

func (r *recorder) Publish(e *rightsizerv1.Event) {
	assert.NoError(r.t, protovalidate.Validate(e))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.order = append(r.order, e.GetType())
}

func (r *recorder) Resync(m *rightsizerv1.StreamResync) {
	assert.NoError(r.t, protovalidate.Validate(m))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resyncs = append(r.resyncs, m)
	r.order = append(r.order, "resync "+m.GetScope())
}

// take returns the OOM kills and crash loops that were published since the last
// call. Other types, which come with them, have tests of their own in detect.
func (r *recorder) take() []*rightsizerv1.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.DeleteFunc(r.events, func(e *rightsizerv1.Event) bool {
		return e.GetType() != "pod.oom_killed" && e.GetType() != "pod.crash_loop"
	})
	r.events = nil
	return out
}

func (r *recorder) takeResyncs() []*rightsizerv1.StreamResync {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.resyncs
	r.resyncs = nil
	return out
}

// rig is a watcher at work on a server, in a synctest bubble.
type rig struct {
	t      *testing.T
	server *watchertest.Server
	out    *recorder
	*watcher.Watcher
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, server *watchertest.Server, change ...func(*watcher.Options)) *rig {
	t.Helper()
	r := &rig{t: t, server: server, out: &recorder{t: t}, done: make(chan error, 1)}
	opts := watcher.Options{Config: server.Config(), Publisher: r.out, ClusterName: "test"}
	for _, f := range change {
		f(&opts)
	}
	w, err := watcher.New(opts)
	require.NoError(t, err)
	r.Watcher = w
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() { r.done <- w.Run(ctx) }()
	synctest.Wait()
	return r
}

func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	require.NoError(r.t, <-r.done)
	synctest.Wait()
}

// component is the health of one part.
func (r *rig) component(name string) *rightsizerv1.ComponentHealth {
	r.t.Helper()
	for _, h := range r.Health() {
		require.NoError(r.t, protovalidate.Validate(h))
		if h.GetComponent() == name {
			return h
		}
	}
	require.Failf(r.t, "no such component", "%s", name)
	return nil
}

// web is a pod of Deployment shop/web.
func web(name string) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID("uid-" + name),
			Labels:            map[string]string{"app": "web", "pod-template-hash": "5d4f"},
			CreationTimestamp: metav1.Now(),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-5d4f", UID: "uid-rs", Controller: &yes,
			}},
		},
		Spec: corev1.PodSpec{
			NodeName:      "node-1",
			RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{
				Name: "app", Image: "registry.test/web:1",
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")},
					Limits:   corev1.ResourceList{"memory": resource.MustParse("64Mi")},
				},
			}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, QOSClass: corev1.PodQOSBurstable,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", Ready: true, ContainerID: "containerd://run-0",
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
			}},
		},
	}
}

// end ends the running container of a pod; lived is how long it ran.
func end(pod *corev1.Pod, reason string, code int32, lived time.Duration) *corev1.Pod {
	pod = pod.DeepCopy()
	s := &pod.Status.ContainerStatuses[0]
	s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: reason, ExitCode: code, ContainerID: s.ContainerID,
		StartedAt: metav1.NewTime(time.Now().Add(-lived)), FinishedAt: metav1.Now(),
	}}
	s.Ready = false
	pod.Status.Conditions[0].Status = corev1.ConditionFalse
	return pod
}

// restart starts an ended container again.
func restart(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	s := &pod.Status.ContainerStatuses[0]
	s.LastTerminationState = s.State
	s.RestartCount++
	s.ContainerID = fmt.Sprintf("containerd://run-%d", s.RestartCount)
	s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	s.Ready = true
	pod.Status.Conditions[0].Status = corev1.ConditionTrue
	return pod
}

func webReplicaSet() *appsv1.ReplicaSet {
	yes := true
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web-5d4f", UID: "uid-rs",
		OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", Name: "web", UID: "uid-web", Controller: &yes}},
	}}
}

func webDeployment() *appsv1.Deployment {
	two := int32(2)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "uid-web"},
		Spec:       appsv1.DeploymentSpec{Replicas: &two},
		Status:     appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2},
	}
}

func shop(pods ...*corev1.Pod) *watchertest.Server {
	server := watchertest.New()
	server.Put(webDeployment(), webReplicaSet())
	for _, p := range pods {
		server.Put(p)
	}
	return server
}
