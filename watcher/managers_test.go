package watcher_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

func scaler(name, target string, by ...corev1.ResourceName) *autoscalingv2.HorizontalPodAutoscaler {
	half, least := int32(50), int32(2)
	out := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: inShop(name), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: target}, MinReplicas: &least, MaxReplicas: 10,
	}}
	for _, resource := range by {
		out.Spec.Metrics = append(out.Spec.Metrics, autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: resource, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &half},
		}})
	}
	return out
}

// Whatever else decides on a workload is told with it.
func TestWhatElseDecidesOnAWorkload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := measuring(t, &gauge{cpu: "40m", memory: "20Mi"}, "web-1")
		defer r.stop()
		r.pass(time.Minute)
		says := func() (out []string) {
			synctest.Wait()
			workload, _, _, ok := r.Workload("shop", "Deployment", "web")
			require.True(t, ok)
			for _, m := range r.Managers(workload) {
				out = append(out, m.GetKind()+" "+m.GetName()+": "+m.GetDecides())
			}
			return out
		}
		assert.Empty(t, says())
		server.Put(scaler("web", "web", corev1.ResourceCPU, corev1.ResourceMemory), scaler("of-another", "other"), vpa("Auto"))
		r.pass(7 * time.Minute) // A CRD that was not there is asked for every 5 minutes.
		assert.Equal(t, []string{
			"HorizontalPodAutoscaler web: replicas, 2 to 10, by CPU and memory",
			"VerticalPodAutoscaler web-vpa: the sizes of its pods",
		}, says())
		server.Put(vpa("Off"))
		server.Delete(scaler("web", "web"))
		assert.Empty(t, says())
	})
}

// Who owns the manifest is told in any case, beyond the cap on autoscalers too.
func TestTheToolIsAmongManyManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, server := measuring(t, &gauge{cpu: "40m", memory: "20Mi"}, "web-1")
		defer r.stop()
		owned := webDeployment()
		owned.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}
		server.Put(owned)
		for i := range 20 {
			server.Put(scaler(fmt.Sprintf("web-%02d", i), "web", corev1.ResourceCPU))
		}
		r.pass(time.Minute)
		workload, _, _, ok := r.Workload("shop", "Deployment", "web")
		require.True(t, ok)
		managers := r.Managers(workload)
		require.Len(t, managers, 16)
		assert.Equal(t, "HorizontalPodAutoscaler web-14", managers[14].GetKind()+" "+managers[14].GetName())
		assert.Equal(t, "Argo CD shop: the manifest", managers[15].GetKind()+" "+managers[15].GetName()+": "+managers[15].GetDecides())
	})
}
