package watcher_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

// counters is what a kubelet counts of container app of pod web-1.
type counters struct {
	mu                        sync.Mutex
	periods, throttled, kills int
	waited                    time.Duration // for CPU, memory and disk, each
}

// metrics is /metrics/cadvisor.
func (c *counters) metrics() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	for name, value := range map[string]int{
		"container_cpu_cfs_periods_total": c.periods, "container_cpu_cfs_throttled_periods_total": c.throttled, "container_oom_events_total": c.kills,
	} {
		fmt.Fprintf(&text, "%s{container=\"app\",namespace=\"shop\",pod=\"web-1\"} %d %d\n", name, value, time.Now().UnixMilli())
	}
	return text.String()
}

// summary is /stats/summary of a kubelet on cgroup v2.
func (c *counters) summary() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	psi := map[string]any{"time": time.Now(), "psi": map[string]any{"some": map[string]any{"total": c.waited.Nanoseconds()}}}
	return map[string]any{"pods": []any{map[string]any{
		"podRef":     map[string]any{"name": "web-1", "namespace": "shop", "uid": "uid-web-1"},
		"containers": []any{map[string]any{"name": "app", "startTime": time.Unix(1, 0), "cpu": psi, "memory": psi, "io": psi}},
	}}}
}

// A kubelet's counters tell who is held back, who waits, and whose processes are
// killed.
func TestWhatKubeletsCountIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counters
		server := shop()
		server.Put(web("web-1"), &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"},
			Status: corev1.NodeStatus{
				Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}},
				DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
			},
		})
		server.Answer("/metrics/cadvisor", c.metrics)
		server.Answer("/stats/summary", c.summary)
		r := start(t, server, func(o *watcher.Options) {
			o.Usage = watcher.UsageOptions{Sources: []string{watcher.SourceThrottling, watcher.SourcePressure}, DetailInterval: 10 * time.Second}
		})
		defer r.stop()
		count := func(rounds int, of func()) {
			for range rounds {
				c.mu.Lock()
				of()
				c.mu.Unlock()
				r.pass(10 * time.Second)
			}
		}
		told := func() (out []string) {
			for _, line := range r.out.types("pod.") {
				if kind := strings.Fields(line)[1]; measuredType(kind) {
					out = append(out, strings.Join(strings.Fields(line)[:2], " "))
				}
			}
			return out
		}
		count(3, func() { c.periods += 100 })
		assert.Empty(t, told())
		count(8, func() { c.periods, c.throttled, c.waited = c.periods+100, c.throttled+40, c.waited+3*time.Second })
		assert.ElementsMatch(t, []string{
			"OPENED pod.cpu_throttled", "OPENED pod.pressure.memory", "OPENED pod.pressure.cpu", "OPENED pod.pressure.io",
		}, told())
		measured, _ := r.Measured("shop", "Deployment", "web", "app")
		assert.InDelta(t, 0.4, measured.Throttled, 0.001)
		assert.WithinDuration(t, time.Now(), measured.ThrottledTime, 11*time.Second)
		count(1, func() { c.kills++ })
		count(3, func() { c.periods += 100 })
		assert.ElementsMatch(t, []string{
			"RESOLVED pod.cpu_throttled", "RESOLVED pod.pressure.memory", "RESOLVED pod.pressure.cpu", "RESOLVED pod.pressure.io",
			"POINT pod.process_oom_killed",
		}, told())
	})
}

// More than there is room for is said so; what has its place keeps it.
func TestTooManyToMeasureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g)
		r.stop()
		var names []string
		for i := range 90 {
			pod := web(fmt.Sprintf("bare-%d", i))
			pod.OwnerReferences = nil
			server.Put(pod)
			names = append(names, pod.Name)
		}
		server.Answer(metricsOfShop, g.pods(names...))
		r = start(t, server, func(o *watcher.Options) {
			o.Usage = watcher.UsageOptions{Sources: []string{watcher.SourceMetricsAPI}, Interval: 10 * time.Second, SketchBytes: 64 << 10}
		})
		defer r.stop()
		r.pass(10 * time.Minute)
		health := r.component("usage/sketches")
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, health.GetState())
		assert.Contains(t, health.GetReason(), "raise --usage-sketch-bytes")
		measured := 0
		for _, got := range r.Recommendations(nil) {
			if got.GetDataSpan().AsDuration() > 9*time.Minute {
				measured++
			}
		}
		assert.Greater(t, measured, 50)
		for _, name := range names[60:] {
			server.Delete(web(name))
		}
		server.Answer(metricsOfShop, g.pods(names[:60]...))
		r.pass(10 * time.Minute)
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/sketches").GetState())
	})
}

// toldElsewhere are the measured types and who shows them of a whole watcher.
var toldElsewhere = map[string]func(*testing.T){
	"resource.exhaustion":               TestExhaustionIsToldWhileItLasts,
	"node.exhaustion":                   TestAnExhaustedNodeIsTold,
	"system.usage_source_down":          TestASourceThatIsDownIsToldOnce,
	"resource.underutilized":            TestASizeThatDoesNotFitIsTold,
	"resource.optimization_opportunity": TestASizeThatDoesNotFitIsTold,
	"pod.cpu_throttled":                 TestWhatKubeletsCountIsTold,
	"pod.process_oom_killed":            TestWhatKubeletsCountIsTold,
	"pod.pressure.memory":               TestWhatKubeletsCountIsTold,
	"pod.pressure.cpu":                  TestWhatKubeletsCountIsTold,
	"pod.pressure.io":                   TestWhatKubeletsCountIsTold,
}

// No measured type is without a test of a whole watcher that tells it.
func TestEveryMeasuredTypeIsTold(t *testing.T) {
	var measured []string
	for _, doc := range detect.All() {
		if measuredType(doc.Type) {
			measured = append(measured, doc.Type)
			assert.NotNil(t, toldElsewhere[doc.Type], doc.Type)
		}
	}
	assert.Len(t, toldElsewhere, len(measured))
}
