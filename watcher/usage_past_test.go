package watcher_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/source"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

// memory of what was, in Prometheus' words: each pod used 60 millicores and 30 MiB.
type memory struct {
	mu      sync.Mutex
	pods    []string
	down    bool
	takes   time.Duration // an answer
	queries []url.Values
}

func (m *memory) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(m.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queries = append(m.queries, form)
	if m.down {
		return nil, errors.New("connection refused")
	}
	value := "60"
	if strings.Contains(form.Get("query"), "working_set") {
		value = strconv.Itoa(30 << 20)
	}
	start, _ := strconv.Atoi(form.Get("start"))
	end, _ := strconv.Atoi(form.Get("end"))
	var series []string
	for _, pod := range m.pods {
		var values []string
		for at := start; at <= end; at += 300 {
			values = append(values, fmt.Sprintf(`[%d,"%s"]`, at, value))
		}
		for _, container := range []string{"app", "unknown"} {
			series = append(series, fmt.Sprintf(`{"metric":{"pod":%q,"container":%q},"values":[%s]}`, pod, container, strings.Join(values, ",")))
		}
	}
	body := `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func remembering(t *testing.T, m *memory, change ...func(*watcher.Options)) (*rig, *watchertest.Server) {
	t.Helper()
	g := &gauge{cpu: "40m", memory: "20Mi"}
	server := shop(web("web-1"))
	server.Put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"}})
	server.Answer(metricsOfShop, g.pods("web-1"))
	server.Answer("/apis/metrics.k8s.io/v1beta1/nodes", g.nodes)
	return start(t, server, append([]func(*watcher.Options){func(o *watcher.Options) {
		o.Usage = watcher.UsageOptions{
			Sources: []string{watcher.SourceMetricsAPI}, Interval: 10 * time.Second,
			Prometheus: &source.PrometheusOptions{URL: "http://prometheus.test:9090", Transport: m},
		}
	}}, change...)...), server
}

func TestThePastIsThereAfterTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The second pod is gone, by its name it was one of web; the others are nobody's.
		m := &memory{pods: []string{"web-1", "web-7d9c6b5f4-x2v9k", "web-7d9c6b5f4-aeiou", "other-5f4-x2v9k"}}
		r, _ := remembering(t, m)
		defer r.stop()
		r.pass(2*time.Minute + 10*time.Second)
		now := time.Now()
		res, err := r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: "container_memory_usage", StartTime: timestamppb.New(now.Add(-5 * time.Hour)), EndTime: timestamppb.New(now.Add(-30 * time.Minute))}, nil)
		require.NoError(t, err)
		require.Len(t, res.GetSeries(), 1)
		points := res.GetSeries()[0].GetPoints()
		assert.GreaterOrEqual(t, len(points), 26)
		assert.InEpsilon(t, 60<<20, points[0].GetValue(), 0.001, "of both pods")
		res, err = r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: "container_cpu_usage", StartTime: timestamppb.New(now.Add(-2 * time.Minute))}, nil)
		require.NoError(t, err)
		assert.InEpsilon(t, 40, last(res).GetValue(), 0.001, "what is measured goes on from there")
		got, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.Equal(t, rightsizerv1.RecommendationState_RECOMMENDATION_STATE_READY, got.GetState())
		assert.Greater(t, got.GetTargetRequests().GetMemoryBytes(), int64(30<<20))
		assert.GreaterOrEqual(t, got.GetTargetRequests().GetCpuMillis(), int64(60))
		assert.Len(t, m.queries, 2*3+2*8)
		for _, q := range m.queries {
			begin, _ := strconv.ParseInt(q.Get("start"), 10, 64)
			end, _ := strconv.ParseInt(q.Get("end"), 10, 64)
			assert.LessOrEqual(t, end-begin, int64(24*3600))
			assert.LessOrEqual(t, end, now.Unix())
			assert.Contains(t, q.Get("query"), `namespace="shop"`)
		}
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/prometheus").GetState())
	})
}

// Where there is no time for all hours of all namespaces, the newest are there, and a
// Prometheus that answers is not called down.
func TestThePastIsTheNewestThatThereIsTimeFor(t *testing.T) {
	for name, c := range map[string]struct {
		options source.PrometheusOptions
		takes   time.Duration
	}{
		"few queries":  {options: source.PrometheusOptions{PerSecond: 0.01}},
		"slow answers": {options: source.PrometheusOptions{Timeout: time.Minute}, takes: 35 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{pods: []string{"web-1"}, takes: c.takes}
				c.options.URL, c.options.Transport = "http://prometheus.test:9090", m
				r, server := remembering(t, m, func(o *watcher.Options) { o.Usage.Prometheus = &c.options })
				defer r.stop()
				tail := web("web-1")
				tail.Namespace, tail.UID = "tail", "uid-tail-1" // asked after the shop
				server.Put(tail)
				r.pass(6 * time.Minute)
				end := time.Now().Add(-10 * time.Minute)
				res, err := r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{
					Metric: "container_cpu_usage", Filter: map[string]string{"namespace": "shop"}, StartTime: timestamppb.New(end.Add(-90 * time.Minute)), EndTime: timestamppb.New(end),
				}, nil)
				require.NoError(t, err)
				require.Len(t, res.GetSeries(), 1)
				assert.GreaterOrEqual(t, len(res.GetSeries()[0].GetPoints()), 8)
				assert.Empty(t, r.out.types("system."))
				assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/prometheus").GetState())
			})
		})
	}
}

// A Prometheus that is down holds nothing up, is told, and asked again.
func TestAPastThatCannotBeReadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{pods: []string{"web-1"}, down: true}
		r, _ := remembering(t, m)
		defer r.stop()
		r.pass(3 * time.Minute)
		assert.Equal(t, []string{"OPENED system.usage_source_down SEVERITY_WARNING"}, r.out.types("system."))
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DOWN, r.component("usage/prometheus").GetState())
		assert.Contains(t, r.component("usage/prometheus").GetReason(), "connection refused")
		assert.LessOrEqual(t, len(m.queries), 6)
		res, err := r.QueryMetrics(&rightsizerv1.QueryMetricsRequest{Metric: "container_cpu_usage"}, nil)
		require.NoError(t, err)
		assert.NotEmpty(t, res.GetSeries(), "what is measured is recorded")
		m.setDown(false)
		r.pass(6 * time.Minute)
		assert.Equal(t, []string{"RESOLVED system.usage_source_down SEVERITY_INFO"}, r.out.types("system."))
		got, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.Equal(t, rightsizerv1.RecommendationState_RECOMMENDATION_STATE_READY, got.GetState())
	})
}

// That Prometheus is down is no longer told by whoever does not ask it any more.
func TestADownPrometheusEndsWithTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{pods: []string{"web-1"}, down: true}
		var leads atomic.Bool
		leads.Store(true)
		r, _ := remembering(t, m, func(o *watcher.Options) { o.Usage.Leading = leads.Load })
		defer r.stop()
		r.pass(3 * time.Minute)
		require.Equal(t, []string{"OPENED system.usage_source_down SEVERITY_WARNING"}, r.out.types("system."))
		leads.Store(false)
		r.pass(10 * time.Minute)
		assert.Equal(t, []string{"RESOLVED system.usage_source_down SEVERITY_INFO"}, r.out.types("system."))
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/prometheus").GetState())
	})
}

// What a checkpoint restored is not counted a second time.
func TestARestoredPastIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		keep := func(o *watcher.Options) { o.Usage.CheckpointNamespace = "rightsizer-system" }
		r, server := remembering(t, m, keep)
		r.pass(2 * time.Hour)
		r.stop()
		m.pods = []string{"web-1"}
		again := start(t, server, func(o *watcher.Options) {
			o.Usage = watcher.UsageOptions{
				Sources: []string{watcher.SourceMetricsAPI}, Interval: 10 * time.Second, CheckpointNamespace: "rightsizer-system",
				Prometheus: &source.PrometheusOptions{URL: "http://prometheus.test:9090", Transport: m},
			}
		})
		defer again.stop()
		again.pass(time.Minute)
		got, ok := again.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.Less(t, got.GetDataSpan().AsDuration(), 3*time.Hour)
	})
}

// A past that a checkpoint may still restore is not asked for: what is restored later
// would be counted a second time.
func TestThePastWaitsForWhatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		r, server := remembering(t, m, func(o *watcher.Options) { o.Usage.CheckpointNamespace = "ops" })
		r.pass(2 * time.Hour)
		r.stop()
		m.pods, m.queries = []string{"web-1"}, nil
		const last = "/api/v1/namespaces/ops/configmaps/rightsizer-usage-31"
		server.Forbid(last, true)
		r = start(t, server, func(o *watcher.Options) {
			keeping(o)
			o.Usage.Prometheus = &source.PrometheusOptions{URL: "http://prometheus.test:9090", Transport: m}
		})
		defer r.stop()
		r.pass(10 * time.Minute)
		assert.Len(t, m.queries, 2*3, "the history alone")
		server.Forbid(last, false)
		r.pass(10 * time.Minute)
		assert.Len(t, m.queries, 2*3+2*8)
		got, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.Less(t, got.GetDataSpan().AsDuration(), 3*time.Hour)
	})
}

// Only who leads asks, and stops when another does.
func TestOneReplicaAsksForThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{pods: []string{"web-1"}}
		var leads atomic.Bool
		r, _ := remembering(t, m, func(o *watcher.Options) { o.Usage.Leading = leads.Load })
		defer r.stop()
		r.pass(5 * time.Minute)
		assert.Empty(t, m.queries)
		leads.Store(true)
		r.pass(7500 * time.Millisecond) // 5 s to settle, and two looks a second apart; between two ticks
		leads.Store(false)
		r.pass(5 * time.Minute)
		assert.NotEmpty(t, m.queries)
		assert.Less(t, len(m.queries), 2*3+2*8)
	})
}

func last(res *rightsizerv1.QueryMetricsResponse) *rightsizerv1.Point {
	points := res.GetSeries()[0].GetPoints()
	return points[len(points)-1]
}
