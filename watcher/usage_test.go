package watcher_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	"k8s.io/utils/clock"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

const metricsOfShop = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"

// gauge is what the metrics API says of container app of each pod.
type gauge struct {
	mu          sync.Mutex
	cpu, memory string
	// age is how old it is; silent says nothing of the containers.
	age    time.Duration
	silent bool
}

func (g *gauge) set(cpu, memory string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cpu, g.memory = cpu, memory
}

func (g *gauge) pods(names ...string) func() any {
	return func() any {
		g.mu.Lock()
		defer g.mu.Unlock()
		list := &metricsv1beta1.PodMetricsList{TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1"}}
		for _, name := range names {
			pod := metricsv1beta1.PodMetrics{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
				Timestamp:  metav1.NewTime(time.Now().Add(-g.age)), Window: metav1.Duration{Duration: 15 * time.Second},
			}
			if !g.silent {
				pod.Containers = []metricsv1beta1.ContainerMetrics{{Name: "app", Usage: map[corev1.ResourceName]resource.Quantity{
					"cpu": resource.MustParse(g.cpu), "memory": resource.MustParse(g.memory),
				}}}
			}
			list.Items = append(list.Items, pod)
		}
		return list
	}
}

func (g *gauge) nodes() any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &metricsv1beta1.NodeMetricsList{
		TypeMeta: metav1.TypeMeta{Kind: "NodeMetricsList", APIVersion: "metrics.k8s.io/v1beta1"},
		Items: []metricsv1beta1.NodeMetrics{{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Timestamp: metav1.Now(),
			Usage: map[corev1.ResourceName]resource.Quantity{"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("3Gi")},
		}},
	}
}

func measuring(t *testing.T, g *gauge, names ...string) (*rig, *watchertest.Server) {
	t.Helper()
	return measuringBy(t, clock.RealClock{}, g, names...)
}

func measuringBy(t *testing.T, by clock.WithTicker, g *gauge, names ...string) (*rig, *watchertest.Server) {
	t.Helper()
	server := shop()
	for _, name := range names {
		server.Put(web(name))
	}
	server.Put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"}})
	server.Answer(metricsOfShop, g.pods(names...))
	server.Answer("/apis/metrics.k8s.io/v1beta1/nodes", g.nodes)
	r := start(t, server, func(o *watcher.Options) {
		o.Clock = by
		o.Usage = watcher.UsageOptions{Sources: []string{watcher.SourceMetricsAPI}, Interval: 10 * time.Second}
	})
	return r, server
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// types returns the events published since the last call whose type begins so.
func (r *recorder) types(prefix string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		if strings.HasPrefix(e.GetType(), prefix) {
			out = append(out, strings.TrimPrefix(e.GetPhase().String(), "PHASE_")+" "+e.GetType()+" "+e.GetSeverity().String())
		}
	}
	r.events = nil
	return out
}

func TestWhatIsUsedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1", "web-2")
		defer r.stop()
		r.pass(5 * time.Second)
		w, pods, _, ok := r.Workload("shop", "Deployment", "web")
		require.True(t, ok)
		assert.EqualValues(t, 80, w.GetUsed().GetCpuMillis())
		assert.EqualValues(t, 40<<20, w.GetUsed().GetMemoryBytes())
		assert.EqualValues(t, 20<<20, w.GetContainers()[0].GetUsed().GetMemoryBytes(), "of one container")
		assert.EqualValues(t, 40, pods[0].GetUsed().GetCpuMillis())
		assert.EqualValues(t, 80, r.Cluster().GetUsed().GetCpuMillis())
		assert.EqualValues(t, 1500, r.Nodes()[0].GetUsed().GetCpuMillis(), "as the source says of the node")
		assert.EqualValues(t, 80, r.Workloads()[0].GetUsed().GetCpuMillis())
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/metrics-api").GetState())

		// A gap is not zero: what was measured holds for a while, then nothing is known.
		g.mu.Lock()
		g.silent = true
		g.mu.Unlock()
		r.pass(time.Minute)
		assert.EqualValues(t, 80, r.Cluster().GetUsed().GetCpuMillis())
		r.pass(2 * time.Minute)
		assert.Nil(t, r.Cluster().GetUsed())
		w, _, _, _ = r.Workload("shop", "Deployment", "web")
		assert.Nil(t, w.GetUsed())
		assert.Nil(t, w.GetContainers()[0].GetUsed())
		server.Delete(web("web-1"))
		synctest.Wait()
	})
}

// setClock is a clock that can be set.
type setClock struct {
	clock.RealClock

	ahead atomic.Int64
}

func (c *setClock) Now() time.Time { return c.RealClock.Now().Add(time.Duration(c.ahead.Load())) }

func (c *setClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// A node's clock that was ahead, and ours with it, is set back: what is measured from
// then on counts at once, and what was measured before says nothing of now.
func TestAClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, by := &gauge{cpu: "40m", memory: "20Mi", age: -time.Hour}, &setClock{}
		by.ahead.Store(int64(time.Hour))
		r, _ := measuringBy(t, by, g, "web-1")
		defer r.stop()
		used := func() *rightsizerv1.Resources {
			w, _, _, _ := r.Workload("shop", "Deployment", "web")
			return w.GetUsed()
		}
		r.pass(10 * time.Second)
		g.set("40m", "60Mi") // of 64 MiB
		r.pass(18 * time.Second)
		assert.EqualValues(t, 60<<20, used().GetMemoryBytes())
		assert.Empty(t, r.out.types("resource."), "not before 30 s")

		by.ahead.Store(0)
		g.mu.Lock()
		g.age = 0
		g.mu.Unlock()
		assert.Nil(t, used(), "of a time to come")
		g.set("30m", "61Mi")
		r.pass(10 * time.Second)
		assert.EqualValues(t, 30, used().GetCpuMillis())
		assert.EqualValues(t, 61<<20, used().GetMemoryBytes())
		r.pass(40 * time.Second)
		assert.Equal(t, []string{"OPENED resource.exhaustion SEVERITY_WARNING"}, r.out.types("resource."))
	})
}

func TestExhaustionIsToldWhileItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, _ := measuring(t, g, "web-1") // its limit is 64 MiB
		defer r.stop()
		r.pass(10 * time.Second)
		g.set("40m", "60Mi")
		r.pass(15 * time.Second)
		assert.Empty(t, r.out.types("resource."), "not before 30 s")
		r.pass(35 * time.Second)
		assert.Equal(t, []string{"OPENED resource.exhaustion SEVERITY_WARNING"}, r.out.types("resource."))
		_, _, problems, _ := r.Workload("shop", "Deployment", "web")
		require.Len(t, problems, 1)
		assert.Equal(t, "memory", problems[0].GetUsage().GetResource())
		assert.EqualValues(t, 64<<20, problems[0].GetUsage().GetBound())
		g.set("40m", "63Mi")
		r.pass(10 * time.Second)
		assert.Equal(t, []string{"UPDATED resource.exhaustion SEVERITY_ERROR"}, r.out.types("resource."))
		g.set("40m", "20Mi")
		r.pass(10 * time.Second)
		assert.Equal(t, []string{"RESOLVED resource.exhaustion SEVERITY_INFO"}, r.out.types("resource."))
	})
}

func TestAnExhaustedNodeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		defer r.stop()
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"}}
		node.Status.Allocatable = corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("3100Mi")} // 3Gi are used
		server.Put(node)
		r.pass(20 * time.Second)
		assert.Equal(t, []string{"OPENED node.exhaustion SEVERITY_ERROR"}, r.out.types("node.exhaustion"))
		larger := node.DeepCopy()
		larger.Status.Allocatable["memory"] = resource.MustParse("6Gi")
		server.Put(larger)
		r.pass(20 * time.Second)
		assert.Equal(t, []string{"RESOLVED node.exhaustion SEVERITY_INFO"}, r.out.types("node.exhaustion"))
	})
}

func TestASourceThatIsDownIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		defer r.stop()
		r.pass(10 * time.Second)
		server.Answer(metricsOfShop, nil)
		server.Answer("/apis/metrics.k8s.io/v1beta1/nodes", nil)
		r.pass(time.Minute)
		assert.Equal(t, []string{"OPENED system.usage_source_down SEVERITY_WARNING"}, r.out.types("system."))
		down := r.component("usage/metrics-api")
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DOWN, down.GetState())
		assert.Contains(t, down.GetReason(), "unable to handle the request")
		server.Answer("/apis/metrics.k8s.io/v1beta1/nodes", g.nodes)
		r.pass(20 * time.Second)
		assert.Equal(t, []string{"RESOLVED system.usage_source_down SEVERITY_INFO"}, r.out.types("system."))
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, r.component("usage/metrics-api").GetState())
	})
}

// A container that restarts ends what was told of it, though no sample comes.
func TestARestartEndsExhaustion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "63Mi"}
		r, server := measuring(t, g, "web-1")
		defer r.stop()
		r.pass(10 * time.Second)
		assert.Equal(t, []string{"OPENED resource.exhaustion SEVERITY_ERROR"}, r.out.types("resource."))
		server.Put(restart(end(web("web-1"), "OOMKilled", 137, time.Minute)))
		synctest.Wait()
		assert.Equal(t, []string{"RESOLVED resource.exhaustion SEVERITY_INFO"}, r.out.types("resource."))
	})
}

func TestTheHistoryAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, _ := measuring(t, g, "web-1", "web-2")
		defer r.stop()
		r.pass(5*time.Minute + time.Second)
		res, err := r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{
			Metric: "container_cpu_usage", GroupBy: []string{"namespace", "workload"}, Step: durationpb.New(time.Minute),
		}, nil)
		require.NoError(t, err)
		require.NoError(t, protovalidate.Validate(res))
		require.Len(t, res.GetSeries(), 1)
		assert.Equal(t, map[string]string{"namespace": "shop", "workload": "web"}, res.GetSeries()[0].GetLabels())
		require.Len(t, res.GetSeries()[0].GetPoints(), 5)
		assert.InEpsilon(t, 80, res.GetSeries()[0].GetPoints()[0].GetValue(), 0.001)
		res, err = r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: "container_memory_limit", Aggregation: rightsizerv1.Aggregation_AGGREGATION_AVG}, nil)
		require.NoError(t, err)
		assert.InEpsilon(t, 64<<20, res.GetSeries()[0].GetPoints()[0].GetValue(), 0.001)
		now, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		for metric, want := range map[string]int64{
			"container_cpu_recommendation":    now.GetTargetRequests().GetCpuMillis(),
			"container_memory_recommendation": now.GetTargetRequests().GetMemoryBytes(),
		} {
			res, err = r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: metric, Aggregation: rightsizerv1.Aggregation_AGGREGATION_AVG}, nil)
			require.NoError(t, err)
			require.Len(t, res.GetSeries(), 1, metric)
			points := res.GetSeries()[0].GetPoints()
			require.Len(t, points, 5, metric)
			assert.InEpsilon(t, want, points[4].GetValue(), 0.05, metric)
		}
		res, err = r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: "container_cpu_usage"}, func(string) bool { return false })
		require.NoError(t, err)
		assert.Empty(t, res.GetSeries())
		for metric, want := range map[string]float64{
			"node_cpu_requests": 200, "node_memory_requests": 128 << 20, "node_memory_limits": 128 << 20, "node_cpu_usage": 1500,
		} {
			res, err = r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: metric, GroupBy: []string{"node"}}, nil)
			require.NoError(t, err)
			require.Len(t, res.GetSeries(), 1, metric)
			assert.InEpsilon(t, want, res.GetSeries()[0].GetPoints()[0].GetValue(), 0.001, metric)
		}
		res, err = r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: "node_cpu_limits"}, nil)
		require.NoError(t, err)
		assert.Zero(t, res.GetSeries()[0].GetPoints()[0].GetValue(), "none has a limit")
		for _, m := range r.Metrics() {
			require.NoError(t, protovalidate.Validate(m))
		}
		assert.Equal(t, 4*time.Minute, r.Metrics()[0].GetRetention().AsDuration())
		_, err = r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: "guess"}, nil)
		require.ErrorContains(t, err, "ListMetrics has those that there are")
	})
}

// What a workload requests and does not need is told once, after a while.
func TestASizeThatDoesNotFitIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "10m", memory: "1Mi"} // it asks for 100m and 64Mi
		r, server := measuring(t, g, "web-1")
		r.pass(50 * time.Minute)
		assert.Empty(t, r.out.types("resource."))
		for range 20 {
			r.pass(time.Hour)
		}
		assert.Equal(t, []string{"OPENED resource.underutilized SEVERITY_INFO", "OPENED resource.optimization_opportunity SEVERITY_INFO"}, r.out.types("resource."))
		_, _, problems, _ := r.Workload("shop", "Deployment", "web")
		require.Len(t, problems, 2)
		assert.EqualValues(t, 100, problems[0].GetSizing().GetCpuRequestMillis())
		assert.Positive(t, problems[0].GetSizing().GetCpuTargetMillis())
		assert.Equal(t, "Deployment", problems[0].GetObject().GetKind())
		server.Delete(webDeployment())
		synctest.Wait()
		assert.Equal(t, []string{"RESOLVED resource.underutilized SEVERITY_INFO", "RESOLVED resource.optimization_opportunity SEVERITY_INFO"}, r.out.types("resource."))
		r.stop()
	})
}

func TestUsageOptionsAreChecked(t *testing.T) {
	_, err := watcher.New(watcher.Options{
		Config: shop().Config(), Publisher: &recorder{t: t},
		Usage: watcher.UsageOptions{Sources: []string{"metrics-api", "metrics-api", "guess"}, Interval: time.Millisecond, SketchBytes: 5},
	})
	for _, want := range []string{`Sources has "guess"`, `Sources has "metrics-api" twice`, "Interval is 1ms", "SketchBytes is 5"} {
		require.ErrorContains(t, err, want, fmt.Sprint(err))
	}
	_, err = watcher.New(watcher.Options{
		Config: shop().Config(), Publisher: &recorder{t: t},
		Usage: watcher.UsageOptions{Sources: []string{"metrics-api"}, SketchBytes: 64 << 20, CheckpointNamespace: "rightsizer-system"},
	})
	require.ErrorContains(t, err, "SketchBytes is 67108864, must be at most 33554432")
}
