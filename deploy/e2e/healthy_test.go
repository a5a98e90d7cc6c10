package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// healthy watches as administrator while body attacks and a container is killed all the
// while, and fails where the stream ended, lost anything, or had one of these kills not
// exactly once.
func healthy(t *testing.T, o *operator, token string, body func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	stream, err := o.eventsAs(token).StreamEvents(ctx, &rightsizerv1.StreamEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{theirs}}})
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	pod := objects{t, client, theirs}.nobodysPod(ctx, t, "killed-all-the-while")
	var (
		mu    sync.Mutex
		kills = map[string]int{} // by id, how often each came
		lost  int64
	)
	ended := make(chan error, 1)
	go func() {
		for stream.Receive() {
			mu.Lock()
			if ev := stream.Msg().GetEvent(); ev.GetType() == "pod.oom_killed" && ev.GetObject().GetUid() == string(pod.UID) {
				kills[ev.GetId()]++
			}
			lost += stream.Msg().GetLost().GetCount()
			mu.Unlock()
		}
		ended <- stream.Err()
	}()
	attacked, done := context.WithCancel(ctx)
	made := make(chan int, 1)
	go func() { made <- kill(attacked, t, client, pod) }()
	body()
	done()
	n := <-made
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		mu.Lock()
		defer mu.Unlock()
		assert.Len(t, kills, n)
	}, patience, poll, "events come as ever")
	t.Logf("%d kills meanwhile", n)
	assert.Greater(t, n, 10)
	mu.Lock()
	for id, times := range kills {
		assert.Equal(t, 1, times, id)
	}
	assert.Zero(t, lost)
	mu.Unlock()
	select {
	case err := <-ended:
		assert.Failf(t, "the stream of who does nothing wrong ended", "%v", err)
	default:
	}
	require.NoError(t, cluster.Apply(ctx, "oom", theirs))
	cancel()
}

// kill has a pod's container OOM-killed four times a second until ctx ends, and returns
// how often it was.
func kill(ctx context.Context, t *testing.T, client kubernetes.Interface, pod *corev1.Pod) (n int) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
		}
		now := metav1.Now()
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Image: "app", RestartCount: int32(n + 1), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "OOMKilled", ExitCode: 137, StartedAt: now, FinishedAt: now, ContainerID: fmt.Sprintf("containerd://%064x", n),
			}},
		}}}
		after, err := client.CoreV1().Pods(pod.Namespace).UpdateStatus(context.WithoutCancel(ctx), pod, metav1.UpdateOptions{FieldManager: "kubelet"})
		if !assert.NoError(t, err) {
			return n
		}
		pod, n = after, n+1
	}
}
