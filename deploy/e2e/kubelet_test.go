package e2e_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// kubelet counts as one on cgroup v2 for a single container: while it is busy, four of
// ten periods are throttled, and tasks wait three seconds of ten.
type kubelet struct {
	namespace, pod, uid string

	start time.Time
	busy  atomic.Int64 // nanoseconds until it was calm again; what goes on is not in it
	since atomic.Pointer[time.Time]
	kills atomic.Int64
}

func (k *kubelet) busyFor() time.Duration {
	busy := time.Duration(k.busy.Load())
	if since := k.since.Load(); since != nil {
		busy += time.Since(*since)
	}
	return busy
}

func (k *kubelet) calm() {
	k.busy.Store(int64(k.busyFor()))
	k.since.Store(nil)
}

// ServeHTTP implements http.Handler.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, busy := time.Now(), k.busyFor()
	switch r.URL.Path {
	case "/metrics/cadvisor":
		for name, value := range map[string]int64{
			"container_cpu_cfs_periods_total":           now.Sub(k.start).Milliseconds() / 100,
			"container_cpu_cfs_throttled_periods_total": busy.Milliseconds() * 4 / 1000,
			"container_oom_events_total":                k.kills.Load(),
		} {
			_, _ = fmt.Fprintf(w, "%s{container=\"app\",namespace=%q,pod=%q} %d %d\n", name, k.namespace, k.pod, value, now.UnixMilli())
		}
	case "/stats/summary":
		psi := map[string]any{"time": now, "psi": map[string]any{"some": map[string]any{"total": (busy * 3 / 10).Nanoseconds()}}}
		_ = json.NewEncoder(w).Encode(map[string]any{"pods": []any{map[string]any{
			"podRef":     map[string]any{"name": k.pod, "namespace": k.namespace, "uid": k.uid},
			"containers": []any{map[string]any{"name": "app", "startTime": k.start, "cpu": psi, "memory": psi, "io": psi}},
		}}})
	default:
		http.NotFound(w, r)
	}
}

// The operator asks a node's kubelet itself, and tells who is held back by a CPU limit,
// who waits for CPU, memory or disk, and whose processes the kernel kills. The node is a
// simulated one of the cluster; what it counts is the test's.
func TestWhatAKubeletCountsIsTold(t *testing.T) {
	const namespace, node = "counted", "counting"
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	makeNamespace(t, namespace)
	applyTo(t, "", "apiVersion: v1\nkind: Node\nmetadata: {name: "+node+", annotations: {sim.rightsizer.dev/node: \"true\"}}\nspec: {unschedulable: true}")
	t.Cleanup(func() { _ = client.CoreV1().Nodes().Delete(context.Background(), node, metav1.DeleteOptions{}) })
	applyTo(t, namespace, "apiVersion: v1\nkind: Pod\nmetadata: {name: busy}\nspec: {nodeName: "+node+
		", containers: [{name: app, image: registry.example.com/busy:1, resources: {limits: {cpu: 100m, memory: 64Mi}}}]}")
	require.Eventually(t, func() bool {
		pod, err := client.CoreV1().Pods(namespace).Get(t.Context(), "busy", metav1.GetOptions{})
		return err == nil && len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Running != nil
	}, patience, poll)
	pod, err := client.CoreV1().Pods(namespace).Get(t.Context(), "busy", metav1.GetOptions{})
	require.NoError(t, err)

	k := &kubelet{namespace: namespace, pod: "busy", uid: string(pod.UID), start: time.Now()}
	k.since.Store(&k.start)
	server := httptest.NewTLSServer(k)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "kubelets.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	_, err = client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, fmt.Appendf(nil,
		`{"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`,
		server.Listener.Addr().(*net.TCPAddr).Port), metav1.PatchOptions{}, "status")
	require.NoError(t, err)

	o := serve(t, cluster.KubeconfigPath(), "--usage-sources=kubelet-throttling,kubelet-pressure", "--usage-detail-interval=1s",
		"--pressure-after=2s", "--kubelet-ca-file="+ca).ready()
	told := func(phase rightsizerv1.Phase, kinds ...string) {
		t.Helper()
		slices.Sort(kinds)
		var found []string
		if !assert.Eventually(t, func() bool {
			resp, err := o.eventClient().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{
				Namespaces: []string{namespace}, EventTypes: []string{"pod.cpu_throttled", "pod.pressure.*", "pod.process_oom_killed"},
			}})
			if err != nil {
				return false
			}
			found = nil
			for _, e := range resp.GetEvents() {
				if e.GetPhase() == phase {
					found = append(found, e.GetType())
				}
			}
			slices.Sort(found)
			return slices.Equal(kinds, found)
		}, patience, poll) {
			t.Fatalf("%s: want %s, have %s", phase, strings.Join(kinds, ", "), strings.Join(found, ", "))
		}
	}
	lasting := []string{"pod.cpu_throttled", "pod.pressure.cpu", "pod.pressure.memory", "pod.pressure.io"}
	told(rightsizerv1.Phase_PHASE_OPENED, lasting...)
	k.kills.Add(1)
	told(rightsizerv1.Phase_PHASE_POINT, "pod.process_oom_killed")
	k.calm()
	told(rightsizerv1.Phase_PHASE_RESOLVED, lasting...)
}
