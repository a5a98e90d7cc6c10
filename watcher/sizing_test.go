package watcher_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/source"
)

func TestRecommendationsFollowFromUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, _ := measuring(t, g, "web-1", "web-2")
		defer r.stop()
		r.pass(5 * time.Minute)
		require.NoError(t, r.SizingReady())
		all := r.Recommendations(nil)
		require.Len(t, all, 1)
		got, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		require.NoError(t, protovalidate.Validate(got))
		assert.NotEqual(t, rightsizerv1.RecommendationState_RECOMMENDATION_STATE_NO_DATA, got.GetState())
		assert.GreaterOrEqual(t, got.GetTargetRequests().GetMemoryBytes(), int64(20<<20))
		assert.EqualValues(t, 64<<20, got.GetCurrentLimits().GetMemoryBytes())
		assert.EqualValues(t, 2, got.GetReplicas())
		assert.Empty(t, r.Recommendations([]string{"bank"}))
		_, ok = r.Recommendation("shop", "Deployment", "web", "none")
		assert.False(t, ok)
	})
}

// An OOM kill counts in a recommendation by the time that its event is there, and
// once, in whatever form it shows again.
func TestAKillCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		defer r.stop()
		r.pass(time.Minute)
		killed := end(web("web-1"), "OOMKilled", 137, time.Minute)
		server.Put(killed)
		synctest.Wait()
		kills := func() int32 {
			got, ok := r.Recommendation("shop", "Deployment", "web", "app")
			require.True(t, ok)
			return got.GetOomKills()
		}
		assert.EqualValues(t, 1, kills())
		server.Put(restart(killed))
		synctest.Wait()
		assert.EqualValues(t, 1, kills())
	})
}

// What was changed is left alone for a while, whoever changed it and whatever owns it.
func TestAChangeStandsForAWhile(t *testing.T) {
	for kind, name := range map[string]string{"Deployment": "web", "Rollout": "rolled", "Pod": "web-1"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { changeStands(t, kind, name) })
		})
	}
}

func changeStands(t *testing.T, kind, name string) {
	t.Helper()
	g := &gauge{cpu: "10m", memory: "1Mi"} // it asks for 100m and 64Mi
	r, server := measuring(t, g)
	defer r.stop()
	server.Answer(metricsOfShop, g.pods("web-1"))
	pod := web("web-1")
	if kind != "Deployment" { // a kind that is not watched, or none
		pod = owned("web-1", kind, name)
	}
	if kind == "Pod" {
		pod.OwnerReferences = nil
	}
	server.Put(pod)
	due := func() (cpu, memory bool) {
		got, ok := r.Recommendation("shop", kind, name, "app")
		require.True(t, ok)
		return got.GetCpuChangeDue(), got.GetMemoryChangeDue()
	}
	for range 10 {
		r.pass(time.Hour)
	}
	cpu, memory := due()
	require.True(t, cpu && memory)
	resized := pod.DeepCopy()
	resized.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("80m")
	resized.Spec.Containers[0].Resources.Requests["memory"] = resource.MustParse("50Mi")
	resized.Spec.Containers[0].Resources.Limits["memory"] = resource.MustParse("50Mi")
	server.Put(resized)
	r.pass(10 * time.Minute)
	cpu, memory = due()
	assert.False(t, cpu || memory)
	for range 7 {
		r.pass(time.Hour)
	}
	cpu, memory = due()
	assert.False(t, cpu, "for 24 h")
	assert.True(t, memory, "after 6 h")
}

// While nothing is measured any more, nothing shrinks.
func TestNothingShrinksWhileASourceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "10m", memory: "1Mi"} // it asks for 100m and 64Mi
		r, server := measuring(t, g, "web-1")
		defer r.stop()
		for range 10 {
			r.pass(time.Hour)
		}
		got, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		require.True(t, got.GetMemoryChangeDue())
		server.Answer(metricsOfShop, nil)
		r.pass(2 * time.Hour)
		require.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, r.component("usage/metrics-api").GetState())
		got, ok = r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.Equal(t, rightsizerv1.RecommendationState_RECOMMENDATION_STATE_STALE, got.GetState())
		assert.Equal(t, got.GetCurrentRequests().GetMemoryBytes(), got.GetTargetRequests().GetMemoryBytes())
		assert.Equal(t, got.GetCurrentRequests().GetCpuMillis(), got.GetTargetRequests().GetCpuMillis())
		assert.False(t, got.GetMemoryChangeDue() || got.GetCpuChangeDue())
		assert.Contains(t, got.GetBoundBy(), "cpu: stale data, not below 100m")
		assert.Contains(t, got.GetBoundBy(), "memory: stale data, not below 64.0 MiB")
		assert.GreaterOrEqual(t, got.GetDataAge().AsDuration(), 2*time.Hour-time.Minute)
		server.Answer(metricsOfShop, g.pods("web-1"))
		r.pass(10 * time.Minute)
		got, ok = r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.True(t, got.GetMemoryChangeDue(), "it is back")
	})
}

// Nor while nothing is heard of one replica: it may be the busy one. What is heard of
// the others still raises.
func TestNothingShrinksWhileAReplicaIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "10m", memory: "1Mi"} // it asks for 100m and 64Mi
		r, server := measuring(t, g, "web-1", "web-2")
		defer r.stop()
		recommended := func(after time.Duration) *rightsizerv1.Recommendation {
			r.pass(after)
			got, ok := r.Recommendation("shop", "Deployment", "web", "app")
			require.True(t, ok)
			require.Equal(t, rightsizerv1.RecommendationState_RECOMMENDATION_STATE_READY, got.GetState())
			return got
		}
		got := recommended(10 * time.Hour)
		require.True(t, got.GetCpuChangeDue() && got.GetMemoryChangeDue())
		server.Answer(metricsOfShop, g.pods("web-1"))
		got = recommended(50 * time.Minute)
		assert.True(t, got.GetCpuChangeDue(), "not yet")
		got = recommended(20 * time.Minute)
		assert.False(t, got.GetCpuChangeDue() || got.GetMemoryChangeDue())
		assert.Contains(t, got.GetBoundBy(), "cpu: stale data, not below 100m")
		assert.Contains(t, got.GetBoundBy(), "memory: stale data, not below 64.0 MiB")
		g.set("300m", "1Mi")
		got = recommended(5 * time.Hour)
		assert.True(t, got.GetCpuChangeDue())
		assert.Greater(t, got.GetTargetRequests().GetCpuMillis(), int64(300))
		server.Delete(web("web-2"))
		got = recommended(2 * time.Minute)
		assert.True(t, got.GetMemoryChangeDue(), "it is gone")
	})
}

// Nor before it is known which replicas are silent, after a start or with the lead of
// another; it is known within three minutes, however long the past takes.
func TestNothingShrinksBeforeTheSilentAreKnown(t *testing.T) {
	slow := &memory{takes: 20 * time.Second}
	for name, past := range map[string]*source.PrometheusOptions{
		"alone": nil, "with a slow Prometheus": {URL: "http://prometheus.test:9090", Transport: slow, Timeout: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { silentAfterStart(t, past) })
		})
	}
}

func silentAfterStart(t *testing.T, past *source.PrometheusOptions) {
	t.Helper()
	g := &gauge{cpu: "10m", memory: "1Mi"} // it asks for 100m and 64Mi
	server := shop(web("web-1"), web("web-2"))
	server.Answer(metricsOfShop, g.pods("web-1", "web-2"))
	var leads atomic.Bool
	leads.Store(true)
	leading := func(o *watcher.Options) { keeping(o); o.Usage.Leading = leads.Load }
	remembering := func(o *watcher.Options) { leading(o); o.Usage.Prometheus = past }
	r := start(t, server, leading)
	due := func() bool {
		got, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		return got.GetCpuChangeDue() || got.GetMemoryChangeDue() || got.GetTargetRequests().GetMemoryBytes() < 64<<20
	}
	never := func(why string) {
		t.Helper()
		for range 7 * 60 {
			r.pass(time.Second)
			require.False(t, due(), why)
		}
	}
	r.pass(10 * time.Hour)
	require.True(t, due())
	server.Answer(metricsOfShop, g.pods("web-1"))
	r.pass(3 * time.Hour)
	require.False(t, due())
	r.stop()

	r = start(t, server, remembering)
	never("after a start")
	leads.Store(false)
	r.pass(time.Minute)
	leads.Store(true)
	never("with the lead")
	r.stop()

	server.Answer(metricsOfShop, g.pods("web-1", "web-2"))
	r = start(t, server, remembering)
	r.pass(3 * time.Minute)
	assert.True(t, due(), "all are measured")
	r.stop()
}

func TestWhyThereIsNoRecommendation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop(web("web-1")))
		require.ErrorIs(t, r.SizingReady(), watcher.ErrNothingMeasured)
		r.stop()
		leads := false
		r = start(t, shop(web("web-1")), func(o *watcher.Options) {
			o.Usage = watcher.UsageOptions{Sources: []string{"metrics-api"}, Leading: func() bool { return leads }}
		})
		defer r.stop()
		r.pass(time.Minute)
		require.ErrorIs(t, r.SizingReady(), watcher.ErrNotLeading)
		leads = true
		require.ErrorIs(t, r.SizingReady(), watcher.ErrNoUsageYet)
		got, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		require.NoError(t, protovalidate.Validate(got))
		assert.Equal(t, rightsizerv1.RecommendationState_RECOMMENDATION_STATE_NO_DATA, got.GetState())
		assert.Nil(t, got.GetTargetRequests())
	})
}
