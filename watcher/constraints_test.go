package watcher_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

func inShop(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name)}
}

func amounts(pairs ...string) corev1.ResourceList {
	out := make(corev1.ResourceList)
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func limitRange(name string, least, most corev1.ResourceList) *corev1.LimitRange {
	return &corev1.LimitRange{ObjectMeta: inShop(name), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
		{Type: corev1.LimitTypePod, Max: amounts("memory", "1Gi")},
		{Type: corev1.LimitTypeContainer, Min: least, Max: most},
	}}}
}

func vpa(mode string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"kind": "VerticalPodAutoscaler", "apiVersion": "autoscaling.k8s.io/v1",
		"metadata": map[string]any{"namespace": "shop", "name": "web-vpa", "uid": "uid-vpa"},
		"spec": map[string]any{
			"targetRef":    map[string]any{"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
			"updatePolicy": map[string]any{"updateMode": mode},
		},
	}}
}

// bounds of the recommendation for the app of web, of which `of` is the memory.
func (r *rig) bounds(t *testing.T) (bounds []string, of *rightsizerv1.Recommendation) {
	t.Helper()
	synctest.Wait()
	got, ok := r.Recommendation("shop", "Deployment", "web", "app")
	require.True(t, ok)
	return got.GetBoundBy(), got
}

// What bounds a recommendation is followed as it changes, without a poll.
func TestWhatBoundsRecommendationsIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := measuring(t, &gauge{cpu: "40m", memory: "20Mi"}, "web-1", "web-2")
		defer r.stop()
		r.pass(5 * time.Minute)
		before, free := r.bounds(t)
		for _, b := range before {
			assert.NotRegexp(t, "LimitRange|Quota|Autoscaler", b)
		}
		high, low := limitRange("high", amounts("memory", "200Mi"), nil), limitRange("low", amounts("memory", "100Mi"), nil)
		server.Put(low, high)
		bounds, got := r.bounds(t)
		assert.Contains(t, strings.Join(bounds, " "), "LimitRange")
		assert.EqualValues(t, 200<<20, got.GetTargetRequests().GetMemoryBytes(), "the strictest of them")
		server.Delete(high)
		_, got = r.bounds(t)
		assert.EqualValues(t, 100<<20, got.GetTargetRequests().GetMemoryBytes())
		server.Put(limitRange("low", nil, amounts("cpu", "15m")))
		_, got = r.bounds(t)
		assert.EqualValues(t, 15, got.GetTargetRequests().GetCpuMillis())
		server.Delete(low)
		bounds, got = r.bounds(t)
		assert.Equal(t, before, bounds)
		assert.Equal(t, free.GetTargetRequests().GetMemoryBytes(), got.GetTargetRequests().GetMemoryBytes())

		server.Put(vpa("Auto")) // The first: a CRD that was not there is asked for every 5 minutes.
		r.pass(7 * time.Minute)
		bounds, _ = r.bounds(t)
		assert.Contains(t, strings.Join(bounds, " "), "VerticalPodAutoscaler")
		server.Put(vpa("Off"))
		bounds, _ = r.bounds(t)
		assert.Equal(t, before, bounds, "it only looks")
		lists := 0
		for _, request := range server.Requests() {
			if request == "list "+watchertest.LimitRanges || request == "list "+watchertest.Quotas {
				lists++
			}
		}
		assert.Zero(t, lists, "a watch begins with its list")
	})
}

func TestAQuotaLeavesNoMoreThanItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := measuring(t, &gauge{cpu: "900m", memory: "63Mi"}, "web-1", "web-2")
		defer r.stop()
		r.pass(5 * time.Minute)
		_, free := r.bounds(t)
		require.Greater(t, free.GetTargetRequests().GetMemoryBytes(), free.GetCurrentRequests().GetMemoryBytes()+(2<<20))
		quota := func(name, used string, scopes ...corev1.ResourceQuotaScope) *corev1.ResourceQuota {
			return &corev1.ResourceQuota{
				ObjectMeta: inShop(name), Spec: corev1.ResourceQuotaSpec{Scopes: scopes},
				Status: corev1.ResourceQuotaStatus{Hard: amounts("requests.memory", "1Gi"), Used: amounts("requests.memory", used)},
			}
		}
		server.Put(quota("for-some", "1Gi", corev1.ResourceQuotaScopeBestEffort))
		bounds, _ := r.bounds(t)
		assert.NotContains(t, strings.Join(bounds, " "), "ResourceQuota", "it is of other pods")
		server.Put(quota("plenty", "0"), quota("tight", "1022Mi"))
		bounds, got := r.bounds(t)
		assert.Contains(t, strings.Join(bounds, " "), "ResourceQuota")
		assert.Equal(t, got.GetCurrentRequests().GetMemoryBytes()+(1<<20), got.GetTargetRequests().GetMemoryBytes(), "2 MiB for two pods")
	})
}

func TestAnAutoscalerKeepsItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := measuring(t, &gauge{cpu: "40m", memory: "20Mi"}, "web-1")
		defer r.stop()
		r.pass(5 * time.Minute)
		half := int32(50)
		server.Put(&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: inShop("web"), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "web"}, MaxReplicas: 4,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceMemory, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &half},
			}}},
		}})
		bounds, got := r.bounds(t)
		assert.Contains(t, strings.Join(bounds, " "), "HorizontalPodAutoscaler")
		assert.Equal(t, got.GetCurrentRequests().GetMemoryBytes(), got.GetTargetRequests().GetMemoryBytes())
	})
}

// A role without them is a shortcoming that health tells; a cluster without VPAs
// is none.
func TestConstraintsThatMayNotBeReadAreAShortcoming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := measuring(t, &gauge{cpu: "40m", memory: "20Mi"}, "web-1")
		defer r.stop()
		server.Forbid(watchertest.Quotas, true)
		server.Drop()
		r.pass(5 * time.Minute)
		server.Bookmark()
		synctest.Wait()
		require.NoError(t, r.Ready())
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, r.component("watch/resourcequotas").GetState())
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("watch/limitranges").GetState())
		for _, c := range r.Health() {
			assert.NotEqual(t, "watch/verticalpodautoscalers", c.GetComponent())
		}
		server.Forbid(watchertest.Quotas, false)
		server.Put(vpa("Auto"))
		r.pass(7 * time.Minute)
		server.Bookmark()
		synctest.Wait()
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("watch/resourcequotas").GetState())
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("watch/verticalpodautoscalers").GetState())
	})
}
