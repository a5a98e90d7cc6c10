package watcher_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

// owned is a pod like those of web that belongs to something else.
func owned(name, kind, owner string) *corev1.Pod {
	pod, yes := web(name), true
	pod.Labels = nil
	pod.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, UID: types.UID("uid-" + owner), Controller: &yes}}
	return pod
}

// job is a Job of CronJob nightly.
func job(name string) *batchv1.Job {
	yes, meta := true, inShop(name)
	meta.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "nightly", UID: "uid-nightly", Controller: &yes}}
	return &batchv1.Job{ObjectMeta: meta}
}

func completed(pod *corev1.Pod) *corev1.Pod {
	pod = end(pod, "Completed", 0, time.Hour)
	pod.Status.Phase = corev1.PodSucceeded
	return pod
}

// runsNightly has a CronJob run for an hour on each of three nights, and returns the
// last of its pods, which runs. What ran before is deleted.
func runsNightly(t *testing.T, g *gauge) (*rig, *watchertest.Server, *corev1.Pod) {
	t.Helper()
	r, server := measuring(t, g)
	server.Put(&batchv1.CronJob{ObjectMeta: inShop("nightly")})
	var pod *corev1.Pod
	for _, night := range []string{"nightly-1", "nightly-2", "nightly-3"} {
		if pod != nil {
			ended := completed(pod)
			server.Put(ended)
			r.pass(time.Second)
			server.Delete(ended)
			server.Delete(job(pod.Name[:len(pod.Name)-2]))
			server.Answer(metricsOfShop, g.pods())
			r.pass(23 * time.Hour)
		}
		server.Put(job(night))
		pod = owned(night+"-a", "Job", night)
		server.Put(pod)
		server.Answer(metricsOfShop, g.pods(pod.Name))
		r.pass(time.Hour)
	}
	return r, server, pod
}

func (r *rig) nightly(t *testing.T) *rightsizerv1.Recommendation {
	t.Helper()
	synctest.Wait()
	got, ok := r.Recommendation("shop", "CronJob", "nightly", "app")
	require.True(t, ok)
	return got
}

// Between its runs a CronJob has a recommendation for the next, with or without pods,
// and costs nothing.
func TestACronJobIsSizedForItsNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "10m", memory: "1Mi"} // it asks for 100m and 64Mi
		r, server, pod := runsNightly(t, g)
		defer r.stop()
		sized := func(of string) {
			got := r.nightly(t)
			assert.Equal(t, rightsizerv1.RecommendationState_RECOMMENDATION_STATE_READY, got.GetState(), of)
			assert.True(t, got.GetMemoryChangeDue() && got.GetCpuChangeDue(), of)
			assert.EqualValues(t, 64<<20, got.GetCurrentRequests().GetMemoryBytes(), of)
		}
		sized("a run")
		assert.Positive(t, r.nightly(t).GetCurrentMonthlyCost())
		ended := completed(pod)
		server.Put(ended)
		server.Answer(metricsOfShop, g.pods())
		r.pass(20 * time.Hour)
		sized("the time after it")
		got := r.nightly(t)
		assert.Zero(t, got.GetReplicas())
		assert.Zero(t, got.GetCurrentMonthlyCost())
		assert.GreaterOrEqual(t, got.GetDataAge().AsDuration(), 20*time.Hour-time.Minute)
		server.Delete(ended)
		server.Delete(job("nightly-3"))
		r.pass(time.Minute)
		sized("the time without pods")
		assert.Len(t, r.Recommendations(nil), 1)
		assert.Empty(t, r.Recommendations([]string{"bank"}))
		server.Delete(&batchv1.CronJob{ObjectMeta: inShop("nightly")})
		r.pass(time.Second)
		assert.Empty(t, r.Recommendations(nil))
	})
}

// What killed a run is answered until the next has ended.
func TestAKillOfARunCountsInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server, pod := runsNightly(t, g)
		defer r.stop()
		killed := end(pod, "OOMKilled", 137, time.Hour)
		killed.Status.Phase = corev1.PodFailed
		server.Put(killed)
		server.Answer(metricsOfShop, g.pods())
		r.pass(20 * time.Hour)
		got := r.nightly(t)
		assert.EqualValues(t, 1, got.GetOomKills())
		assert.GreaterOrEqual(t, got.GetTargetLimits().GetMemoryBytes(), int64(128<<20))
		assert.True(t, got.GetMemoryChangeDue())

		next := owned("nightly-4-a", "Job", "nightly-4")
		server.Put(job("nightly-4"))
		server.Put(next)
		server.Answer(metricsOfShop, g.pods(next.Name))
		r.pass(time.Hour)
		assert.GreaterOrEqual(t, r.nightly(t).GetTargetLimits().GetMemoryBytes(), int64(128<<20), "it goes on")
		server.Put(completed(next))
		r.pass(time.Second)
		assert.Less(t, r.nightly(t).GetTargetLimits().GetMemoryBytes(), int64(128<<20), "it came to its end")
	})
}

// One autoscaler that does not scale by a resource does not hide another that does.
func TestAllAutoscalersOfAWorkloadCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := measuring(t, &gauge{cpu: "40m", memory: "20Mi"}, "web-1")
		defer r.stop()
		r.pass(5 * time.Minute)
		half := int32(50)
		for name, by := range map[string]corev1.ResourceName{"a": corev1.ResourceCPU, "b": corev1.ResourceMemory} {
			server.Put(&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: inShop(name), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "web"}, MaxReplicas: 4,
				Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
					Name: by, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &half},
				}}},
			}})
		}
		bounds, _ := r.bounds(t)
		assert.Contains(t, bounds, "cpu: HorizontalPodAutoscaler on cpu, the request stays 100m")
		assert.Contains(t, bounds, "memory: HorizontalPodAutoscaler on memory, the request stays 64.0 MiB")
	})
}

// Containers of a pod share the node, a quota and a bound on pods.
func TestContainersOfAPodShareWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "900m", memory: "63Mi"}
		r, server := measuring(t, g)
		defer r.stop()
		pod := web("web-1")
		beside := pod.Spec.Containers[0].DeepCopy()
		beside.Name = "beside"
		beside.Resources.Limits["cpu"] = amounts("cpu", "100m")["cpu"]
		pod.Spec.Containers = append(pod.Spec.Containers, *beside)
		server.Put(pod)
		server.Answer(metricsOfShop, g.pods("web-1"))
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid-node-1"}}
		node.Status.Allocatable = amounts("cpu", "600m", "memory", "8Gi")
		server.Put(node)
		r.pass(5 * time.Minute)
		bounds, got := r.bounds(t)
		assert.Contains(t, bounds, "cpu: node allocatable, less what else the pod requests, 500m")
		assert.EqualValues(t, 500, got.GetTargetRequests().GetCpuMillis())
		server.Put(&corev1.LimitRange{ObjectMeta: inShop("pods"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
			{Type: corev1.LimitTypePod, Max: amounts("cpu", "350m")},
		}}})
		_, got = r.bounds(t)
		assert.EqualValues(t, 250, got.GetTargetRequests().GetCpuMillis())
		server.Put(&corev1.ResourceQuota{ObjectMeta: inShop("tight"), Status: corev1.ResourceQuotaStatus{
			Hard: amounts("requests.cpu", "1"), Used: amounts("requests.cpu", "960m"),
		}})
		_, got = r.bounds(t)
		assert.EqualValues(t, 120, got.GetTargetRequests().GetCpuMillis(), "half of what is left")
	})
}

// What a LimitRange wants of a pod at least, and of its limits to its requests, bounds
// each of its containers.
func TestAPodHasItsLeastAndItsRatio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "20m", memory: "20Mi"}
		r, server := measuring(t, g)
		defer r.stop()
		pod := web("web-1")
		pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: amounts("memory", "64Mi"), Limits: amounts("memory", "512Mi")}
		beside := pod.Spec.Containers[0].DeepCopy()
		beside.Name = "beside"
		pod.Spec.Containers = append(pod.Spec.Containers, *beside)
		server.Put(pod)
		server.Answer(metricsOfShop, g.pods("web-1"))
		r.pass(5 * time.Minute)
		_, free := r.bounds(t)
		require.Less(t, free.GetTargetRequests().GetMemoryBytes(), int64(236<<20))
		server.Put(&corev1.LimitRange{ObjectMeta: inShop("pods"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
			{Type: corev1.LimitTypePod, Min: amounts("memory", "300Mi"), MaxLimitRequestRatio: amounts("memory", "1")},
		}}})
		bounds, got := r.bounds(t)
		assert.EqualValues(t, (300-64)<<20, got.GetTargetRequests().GetMemoryBytes(), "beside what the other one requests")
		assert.Contains(t, strings.Join(bounds, " "), "memory: LimitRange min")
		assert.Equal(t, got.GetTargetRequests().GetMemoryBytes(), got.GetTargetLimits().GetMemoryBytes())
	})
}

// A DaemonSet that is measured by group of nodes has one template: it is sized for the
// group that needs most, whichever has the newest pod, and also where that group is
// scaled to zero: it may come back.
func TestADaemonSetIsSizedForTheNeediestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := watchertest.New()
		server.Put(&appsv1.DaemonSet{ObjectMeta: inShop("agent")})
		large, small := &gauge{cpu: "10m", memory: "500Mi"}, &gauge{cpu: "700m", memory: "5Mi"}
		for group, g := range map[string]*gauge{"large": large, "small": small} {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: group, UID: types.UID("uid-" + group), Labels: map[string]string{"pool": group}}}
			pod := owned("agent-"+group, "DaemonSet", "agent")
			pod.Spec.NodeName = group
			if g == small {
				pod.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Minute))
			}
			server.Put(node, pod)
		}
		server.Answer(metricsOfShop, func() any {
			list := large.pods("agent-large")().(*metricsv1beta1.PodMetricsList)
			list.Items = append(list.Items, small.pods("agent-small")().(*metricsv1beta1.PodMetricsList).Items...)
			return list
		})
		r := start(t, server, func(o *watcher.Options) {
			o.Usage = watcher.UsageOptions{Sources: []string{watcher.SourceMetricsAPI}, Interval: 10 * time.Second, DaemonSetNodeLabel: "pool"}
		})
		defer r.stop()
		r.pass(6 * time.Hour)
		got, ok := r.Recommendation("shop", "DaemonSet", "agent", "app")
		require.True(t, ok)
		assert.Greater(t, got.GetTargetRequests().GetMemoryBytes(), int64(500<<20))
		assert.Greater(t, got.GetTargetRequests().GetCpuMillis(), int64(700))
		assert.Contains(t, got.GetExplanation(), "in 2 groups of nodes")

		server.Delete(owned("agent-large", "DaemonSet", "agent"))
		server.Delete(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "large", UID: "uid-large"}})
		r.pass(10 * time.Minute)
		require.Len(t, r.Nodes(), 1)
		got, ok = r.Recommendation("shop", "DaemonSet", "agent", "app")
		require.True(t, ok)
		assert.Greater(t, got.GetTargetRequests().GetMemoryBytes(), int64(500<<20))
		assert.Contains(t, got.GetExplanation(), "in 2 groups of nodes")
	})
}
