package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// What the devcluster can show becomes events, and resolutions where it ends.
// Words are `PHASE type`.
func TestScenariosBecomeEvents(t *testing.T) {
	o := serve(t, cluster.KubeconfigPath(), "--pdb-blocking-after=1s", "--hpa-failing-after=5s", "--pending-after=5s").ready()
	for _, tt := range []struct {
		scenario string
		want     []string
		removed  []string // what comes as the scenario is taken away
	}{
		{
			scenario: "image-pull",
			want:     []string{"OPENED pod.image_pull.not_found"},
			removed:  []string{"RESOLVED pod.image_pull.not_found", "POINT pod.terminated"},
		},
		{
			scenario: "unschedulable",
			want:     []string{"OPENED pod.unschedulable.resources", "OPENED pod.unschedulable.affinity"},
			removed:  []string{"RESOLVED pod.unschedulable.resources", "RESOLVED pod.unschedulable.affinity"},
		},
		{
			scenario: "crash-loop",
			want:     []string{"POINT pod.started", "POINT pod.restarted", "OPENED pod.crash_loop", "UPDATED pod.crash_loop"},
			removed:  []string{"RESOLVED pod.crash_loop"},
		},
		{
			scenario: "node-pressure",
			want:     []string{"POINT pod.evicted", "OPENED pod.unschedulable.affinity"},
			removed:  []string{"RESOLVED pod.unschedulable.affinity"},
		},
		{
			scenario: "init-oom",
			want:     []string{"POINT pod.oom_killed", "OPENED pod.crash_loop"},
			removed:  []string{"RESOLVED pod.crash_loop"},
		},
		{
			scenario: "sidecar-oom",
			want:     []string{"POINT pod.oom_killed", "OPENED pod.crash_loop"},
			removed:  []string{"RESOLVED pod.crash_loop"},
		},
		{
			scenario: "job-oom",
			want:     []string{"POINT pod.oom_killed", "POINT job.failed"},
		},
		{
			scenario: "quota",
			want:     []string{"OPENED quota.exceeded"},
			removed:  []string{"RESOLVED quota.exceeded"},
		},
		{
			scenario: "limit-range",
			want:     []string{"OPENED limitrange.refused", "OPENED limitrange.refused"},
			removed:  []string{"RESOLVED limitrange.refused", "RESOLVED limitrange.refused"},
		},
		{
			scenario: "pdb-blocking",
			want:     []string{"OPENED pdb.blocking"},
			removed:  []string{"RESOLVED pdb.blocking"},
		},
		{
			scenario: "hpa-maximum",
			want:     []string{"POINT deployment.scaled", "OPENED hpa.at_maximum", "OPENED hpa.failing"},
			removed:  []string{"RESOLVED hpa.at_maximum", "RESOLVED hpa.failing"},
		},
		{
			scenario: "placement",
			want:     []string{"OPENED pod.unschedulable.port", "OPENED pod.unschedulable.topology"},
			removed:  []string{"RESOLVED pod.unschedulable.port", "RESOLVED pod.unschedulable.topology"},
		},
		{
			scenario: "workloads",
			want: []string{
				"POINT statefulset.rollout_started", "POINT statefulset.rolled", "POINT daemonset.rollout_started", "POINT daemonset.rolled",
				"OPENED replicaset.failed_create", "OPENED admission.refused",
			},
			removed: []string{"RESOLVED replicaset.failed_create"},
		},
		{
			scenario: "troubles",
			want: []string{
				"OPENED pod.sandbox_failed", "OPENED pod.network_failed", "POINT pod.dns_failed", "OPENED pod.image_pull.unauthorized",
				"OPENED pod.unschedulable.other", "OPENED pod.pending", "POINT cronjob.missed", "OPENED pod.probe_failed.startup",
			},
			removed: []string{
				"RESOLVED pod.sandbox_failed", "RESOLVED pod.network_failed", "RESOLVED pod.image_pull.unauthorized",
				"RESOLVED pod.unschedulable.other", "RESOLVED pod.pending", "RESOLVED pod.probe_failed.startup",
			},
		},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			namespace := "become-" + tt.scenario
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // Autoscalers look every 15 s.
			defer cancel()
			heard := listen(ctx, t, o, namespace)
			require.NoError(t, cluster.Apply(ctx, tt.scenario, namespace))
			heard.all(t, tt.want)
			require.NoError(t, cluster.Remove(ctx, tt.scenario, namespace))
			heard.all(t, tt.removed)
		})
	}
}

// A resize through pods/resize leaves a trail; one that the node refuses, or fails to
// carry out, says so.
func TestScenariosOfResizes(t *testing.T) {
	const namespace = "become-resizes"
	o := serve(t, cluster.KubeconfigPath()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	heard := listen(ctx, t, o, namespace)
	require.NoError(t, cluster.Apply(ctx, "over-provisioned", namespace))
	defer cluster.Remove(context.Background(), "over-provisioned", namespace) //nolint:errcheck // the cluster goes anyway
	heard.all(t, []string{"POINT pod.started", "POINT pod.started", "POINT pod.started"})

	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 3)
	patch := func(pod int, raw string, subresource ...string) {
		_, err := client.CoreV1().Pods(namespace).Patch(ctx, pods.Items[pod].Name, types.StrategicMergePatchType, []byte(raw),
			metav1.PatchOptions{}, subresource...)
		require.NoError(t, err)
	}
	container, err := json.Marshal(pods.Items[0].Spec.Containers[0].Name)
	require.NoError(t, err)
	shrink := fmt.Sprintf(`{"spec":{"containers":[{"name":%s,"resources":{"requests":{"cpu":"500m"}}}]}}`, container)

	patch(0, shrink, "resize")
	heard.all(t, []string{"POINT pod.resize.started", "POINT pod.resize.completed"})

	for n, end := range [][2]string{{"resize-infeasible", "pod.resize.infeasible"}, {"resize-fails", "pod.resize.failed"}} {
		patch(n+1, fmt.Sprintf(`{"metadata":{"annotations":{"sim.rightsizer.dev/%s":"true"}}}`, end[0]))
		patch(n+1, shrink, "resize")
		heard.all(t, []string{"OPENED " + end[1]})
		require.NoError(t, client.CoreV1().Pods(namespace).Delete(ctx, pods.Items[n+1].Name, metav1.DeleteOptions{}))
		heard.all(t, []string{"RESOLVED " + end[1]})
	}
}

// heardEvents reads the events of a namespace as they come.
type heardEvents struct {
	stream streamtest.Stream
	count  map[string]int
	log    []string
}

func listen(ctx context.Context, t *testing.T, o *operator, namespace string) *heardEvents {
	t.Helper()
	s, err := streamtest.Clients(o.url, nil)[0].Open(ctx, &rightsizerv1.EventFilter{
		Namespaces: []string{namespace},
	}, "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &heardEvents{stream: s, count: map[string]int{}}
}

// all waits until each word was heard as often as it stands in words, and takes
// these away.
func (h *heardEvents) all(t *testing.T, words []string) {
	t.Helper()
	missing := func() []string {
		left := maps.Clone(h.count)
		var out []string
		for _, w := range words {
			if left[w]--; left[w] < 0 {
				out = append(out, w)
			}
		}
		return out
	}
	for len(missing()) > 0 {
		msg, err := h.stream.Next()
		require.NoError(t, err, "waiting for %v; heard:\n%s", missing(), strings.Join(h.log, "\n"))
		if ev := msg.GetEvent(); ev != nil {
			word := strings.TrimPrefix(ev.GetPhase().String(), "PHASE_") + " " + ev.GetType()
			h.count[word]++
			h.log = append(h.log, word+": "+ev.GetMessage())
		}
	}
	for _, w := range words {
		h.count[w]--
	}
}
