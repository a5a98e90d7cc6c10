package watcher_test

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

func itoa(i int) string { return strconv.Itoa(i) }

// faulty panics at one pod.
type faulty struct{ at string }

func (faulty) Docs() []detect.Doc { return []detect.Doc{{Type: "pod.faulty"}} }

func (f faulty) Detect(in *detect.PodInput, out []detect.Finding) []detect.Finding {
	if in.Cur.Name == f.at {
		panic("boom at " + f.at)
	}
	return out
}

func TestAPanicEndsAtItsObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		bad, good := web("web-bad"), web("web-good")
		r := start(t, shop(bad, good), func(o *watcher.Options) {
			o.Detectors.Pods = append([]detect.Detector[object.Pod]{faulty{at: "web-bad"}}, detect.Pods()...)
			o.Logger = slog.New(slog.NewTextHandler(&logs, nil))
		})
		defer r.stop()
		require.NoError(t, r.Ready())
		r.server.Put(end(bad, "OOMKilled", 137, time.Second), end(good, "OOMKilled", 137, time.Second))
		synctest.Wait()
		assert.Len(t, r.out.take(), 2, "the other detectors go on, for this pod, too")
		line := r.component("watch/pods")
		assert.Equal(t, healthDegraded, line.GetState())
		assert.Equal(t, "1 object is not understood: shop/web-bad", line.GetReason())
		assert.Equal(t, 1, strings.Count(logs.String(), "object quarantined"), "logged once")
		assert.Contains(t, logs.String(), "shop/web-bad")
		assert.Contains(t, logs.String(), "boom")

		r.server.Delete(bad)
		synctest.Wait()
		assert.Equal(t, healthOK, r.component("watch/pods").GetState())
	})
}

func TestAMalformedObjectIsQuarantined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		bad := web("web-bad")
		bad.UID = ""
		r := start(t, shop(bad, web("web-good")), func(o *watcher.Options) { o.Registerer = registry })
		defer r.stop()
		require.NoError(t, r.Ready())
		assert.Equal(t, int32(1), r.Cluster().GetPods())
		assert.Contains(t, r.component("watch/pods").GetReason(), "shop/web-bad")

		// Made whole, it is let go.
		whole := web("web-bad")
		r.server.Put(whole)
		synctest.Wait()
		assert.Equal(t, healthOK, r.component("watch/pods").GetState())
		assert.Equal(t, int32(2), r.Cluster().GetPods())

		// Broken again: its last readable form stands, over a relist, too.
		r.server.Put(bad)
		r.server.Compact()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, int32(2), r.Cluster().GetPods())

		got := gather(t, registry)
		assert.Equal(t, 2.0, got["rightsizer_watcher_objects{pods}"])
		assert.Equal(t, 1.0, got["rightsizer_watcher_objects{replicasets}"])
		assert.Equal(t, 1.0, got["rightsizer_watcher_resyncs_total{pods}"])
		assert.Equal(t, 1.0, got["rightsizer_watcher_resyncs_total{nodes}"])
		assert.Positive(t, got["rightsizer_watcher_quarantined_total{pods}"])
	})
}

func TestProblemsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := manyPods(5)
		r := start(t, shop(pods...), func(o *watcher.Options) { o.MaxProblems = 3 })
		defer r.stop()
		for i, p := range pods {
			time.Sleep(time.Second)
			pods[i] = end(p, "OOMKilled", 137, time.Second)
			r.server.Put(pods[i])
		}
		synctest.Wait()
		assert.Len(t, r.out.take(), 5, "published all the same")
		problems := r.Problems()
		assert.Len(t, problems, 3)
		assert.Less(t, problems[0].GetOccurredTime().GetSeconds(), problems[2].GetOccurredTime().GetSeconds(), "oldest first")
		assert.Equal(t, healthDegraded, r.component("problems").GetState())
		assert.Contains(t, r.component("problems").GetReason(), "2 problems")
		for _, p := range pods {
			r.server.Delete(p)
		}
		synctest.Wait()
		assert.Empty(t, r.Problems())
		assert.Equal(t, healthOK, r.component("problems").GetState())
	})
}

func TestReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node", Labels: map[string]string{
				corev1.LabelInstanceTypeStable: "m7i.large", corev1.LabelTopologyZone: "eu-west-1a",
			}},
			Spec: corev1.NodeSpec{ProviderID: "aws:///eu-west-1a/i-0abc"},
			Status: corev1.NodeStatus{
				Allocatable: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("8Gi")},
				Conditions: []corev1.NodeCondition{
					{Type: corev1.NodeReady, Status: corev1.ConditionTrue},
					{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue},
				},
				NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.37.2"},
			},
		}
		killed := restart(end(web("web-a"), "OOMKilled", 137, time.Second))
		bare := web("bare")
		bare.OwnerReferences, bare.Labels = nil, nil
		server := shop(killed, web("web-b"), bare)
		server.Put(node)
		r := start(t, server, func(o *watcher.Options) { o.Environment = "production" })
		defer r.stop()

		cluster := r.Cluster()
		require.NoError(t, protovalidate.Validate(cluster))
		assert.Equal(t, "test", cluster.GetName())
		assert.Equal(t, "production", cluster.GetEnvironment())
		assert.Equal(t, "aws", cluster.GetProvider())
		assert.Equal(t, int32(3), cluster.GetRunningPods())
		assert.Equal(t, int64(300), cluster.GetRequested().GetCpuMillis())
		assert.Equal(t, int64(8<<30), cluster.GetCapacity().GetMemoryBytes())

		nodes := r.Nodes()
		require.Len(t, nodes, 1)
		require.NoError(t, protovalidate.Validate(nodes[0]))
		assert.Equal(t, []string{"MemoryPressure"}, nodes[0].GetPressures())
		assert.Equal(t, int32(3), nodes[0].GetPods())

		workloads := r.Workloads()
		require.Len(t, workloads, 2)
		for _, w := range workloads {
			require.NoError(t, protovalidate.Validate(w))
		}
		assert.Equal(t, "Deployment", workloads[0].GetRef().GetKind())
		assert.Equal(t, int32(2), workloads[0].GetDesiredReplicas())
		assert.Equal(t, int32(2), workloads[0].GetReadyReplicas())
		assert.Equal(t, "uid-web", workloads[0].GetUid())
		assert.Equal(t, int32(1), workloads[0].GetContainers()[0].GetOomKills())
		assert.Equal(t, int64(128<<20), workloads[0].GetLimits().GetMemoryBytes())
		assert.Equal(t, "Pod", workloads[1].GetRef().GetKind())

		one, pods, problems, ok := r.Workload("shop", "Deployment", "web")
		require.True(t, ok)
		assert.Equal(t, int32(1), one.GetRestarts())
		require.Len(t, pods, 2)
		assert.Equal(t, "web-a", pods[0].GetName())
		require.Len(t, problems, 1)
		assert.True(t, problems[0].GetFoundAtStart())
		_, _, _, ok = r.Workload("shop", "Deployment", "none")
		assert.False(t, ok)
	})
}

func TestOptions(t *testing.T) {
	_, err := watcher.New(watcher.Options{})
	require.ErrorContains(t, err, "Config is required")
	require.ErrorContains(t, err, "Publisher is required")
	_, err = watcher.New(watcher.Options{
		Config: &rest.Config{Host: "http://x"}, Publisher: &recorder{t: t},
		Thresholds: detect.Thresholds{CrashLoopRestarts: 2, CrashLoopReset: time.Millisecond, CrashLoopCriticalRestarts: 1},
	})
	require.ErrorContains(t, err, "CrashLoopReset is 1ms, must be 1s to 24h")
	require.ErrorContains(t, err, "CrashLoopCriticalRestarts is 1")
	registry := prometheus.NewRegistry()
	opts := watcher.Options{Config: &rest.Config{Host: "http://x"}, Publisher: &recorder{t: t}, Registerer: registry}
	_, err = watcher.New(opts)
	require.NoError(t, err)
	_, err = watcher.New(opts)
	require.Error(t, err, "one watcher per registry")
}

// gather reads the sum of each metric by the value of its first label.
func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	require.NoError(t, err)
	out := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				if l.GetName() != "phase" {
					label = l.GetValue()
				}
			}
			out[f.GetName()+"{"+label+"}"] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}
