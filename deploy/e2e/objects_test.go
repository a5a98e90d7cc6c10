package e2e_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

const (
	opened   = rightsizerv1.Phase_PHASE_OPENED
	resolved = rightsizerv1.Phase_PHASE_RESOLVED
	happened = rightsizerv1.Phase_PHASE_POINT
)

// Nodes, workloads and policies of a real control plane become events.
func TestNodesAndWorkloadsBecomeEvents(t *testing.T) {
	const namespace = "objects"
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	o := serve(t, cluster.KubeconfigPath(), "--pdb-blocking-after=2s", "--unavailable-after=5s").ready()
	h := hear(ctx, t, o, "node.*", "deployment.*", "daemonset.*", "quota.*", "limitrange.*", "job.*", "pdb.*", "hpa.*")
	k := objects{t, client, namespace}
	k.makeNamespace(ctx, namespace)

	// What takes long is asked for first.
	require.NoError(t, cluster.Apply(ctx, "node-pressure", namespace))
	t.Cleanup(func() { _ = cluster.Remove(context.WithoutCancel(ctx), "node-pressure", namespace) })
	k.deploy(ctx, "web", 2, nil)
	k.deploy(ctx, "hungry", 2, nil)
	k.autoscale(ctx, "hungry", 2)
	k.failingJob(ctx, "nightly")
	k.budgetOfAll(ctx, "web")

	t.Run("cordon", func(t *testing.T) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/hostname!=pressed-1"})
		require.NoError(t, err)
		name := nodes.Items[0].Name
		k.patchNode(ctx, name, `{"spec":{"unschedulable":true}}`)
		ev := h.wait(t, "node.cordoned", opened, name)
		assert.Equal(t, name, ev.GetNode())
		assert.Equal(t, string(nodes.Items[0].UID), ev.GetObject().GetUid())
		k.patchNode(ctx, name, `{"spec":{"unschedulable":false}}`)
		assert.Equal(t, ev.GetProblemId(), h.wait(t, "node.cordoned", resolved, name).GetProblemId())
	})
	t.Run("scale and roll", func(t *testing.T) {
		assert.Equal(t, "1", h.wait(t, "deployment.rollout_started", happened, "web").GetRollout().GetRevision())
		assert.EqualValues(t, 2, h.wait(t, "deployment.rolled", happened, "web").GetRollout().GetAvailable())
		k.patchDeployment(ctx, "web", `{"spec":{"replicas":3}}`)
		scaled := h.wait(t, "deployment.scaled", happened, "web").GetScale()
		assert.EqualValues(t, 2, scaled.GetFrom())
		assert.EqualValues(t, 3, scaled.GetTo())
		k.patchDeployment(ctx, "web", `{"spec":{"template":{"metadata":{"annotations":{"version":"2"}}}}}`)
		h.waitFor(t, "the second rollout", func(ev *rightsizerv1.Event) bool {
			return ev.GetType() == "deployment.rolled" && ev.GetObject().GetName() == "web" && ev.GetRollout().GetRevision() == "2"
		})
	})
	t.Run("quota", func(t *testing.T) { k.quota(ctx, t, h) })
	t.Run("limit range", func(t *testing.T) { k.limitRange(ctx, t, h) })
	t.Run("job", func(t *testing.T) {
		ev := h.wait(t, "job.failed", happened, "nightly")
		assert.Equal(t, "BackoffLimitExceeded", ev.GetReason())
		assert.EqualValues(t, 1, ev.GetJobFailed().GetFailed())
	})
	t.Run("disruption budget", func(t *testing.T) {
		assert.Zero(t, h.wait(t, "pdb.blocking", opened, "web").GetPdb().GetDisruptionsAllowed())
	})
	t.Run("node pressure", func(t *testing.T) {
		h.wait(t, "node.ready", happened, "pressed-1")
		ev := h.wait(t, "node.pressure.memory", opened, "pressed-1")
		assert.Equal(t, "MemoryPressure", ev.GetCondition().GetType())
		require.NoError(t, cluster.Remove(ctx, "node-pressure", namespace))
		h.wait(t, "node.removed", happened, "pressed-1")
		assert.Equal(t, ev.GetProblemId(), h.wait(t, "node.pressure.memory", resolved, "pressed-1").GetProblemId())
	})
	t.Run("autoscaler", func(t *testing.T) {
		assert.EqualValues(t, 2, h.wait(t, "hpa.at_maximum", opened, "hungry").GetHpa().GetMaxReplicas())
	})
}

// hearing is all that a stream of events has said so far.
type hearing struct {
	mu     sync.Mutex
	events []*rightsizerv1.Event
}

// hear opens a stream of some types and reads it to its end in the background.
func hear(ctx context.Context, t *testing.T, o *operator, types ...string) *hearing {
	t.Helper()
	s, err := streamtest.Clients(o.url, nil)[0].Open(ctx, &rightsizerv1.EventFilter{EventTypes: types}, "")
	require.NoError(t, err)
	h := &hearing{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			msg, err := s.Next()
			if err != nil {
				return
			}
			if ev := msg.GetEvent(); ev != nil {
				h.mu.Lock()
				h.events = append(h.events, ev)
				h.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
		if t.Failed() {
			for _, ev := range h.events {
				t.Logf("%s %s %s/%s: %s", ev.GetType(), ev.GetPhase(), ev.GetObject().GetKind(), ev.GetObject().GetName(), ev.GetMessage())
			}
		}
	})
	return h
}

// all is what was heard so far.
func (h *hearing) all() []*rightsizerv1.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// wait returns the first event of a type and phase about an object of that name.
func (h *hearing) wait(t *testing.T, eventType string, phase rightsizerv1.Phase, name string) *rightsizerv1.Event {
	t.Helper()
	return h.waitFor(t, eventType+" "+phase.String()+" of "+name, func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == eventType && ev.GetPhase() == phase && ev.GetObject().GetName() == name
	})
}

func (h *hearing) waitFor(t *testing.T, what string, fits func(*rightsizerv1.Event) bool) *rightsizerv1.Event {
	t.Helper()
	var found *rightsizerv1.Event
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, ev := range h.events {
			if fits(ev) {
				found = ev
				return true
			}
		}
		return false
	}, patience, poll, what)
	return found
}

// objects makes what the tests need in a namespace.
type objects struct {
	t         *testing.T
	client    kubernetes.Interface
	namespace string
}

func (k objects) makeNamespace(ctx context.Context, name string) {
	k.t.Helper()
	_, err := k.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(k.t, err)
	k.t.Cleanup(func() {
		_ = k.client.CoreV1().Namespaces().Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{})
	})
}

// template is a pod that asks for 64 Mi and uses 60 Mi, or what else the
// annotations have it do.
func template(name string, annotations map[string]string) corev1.PodTemplateSpec {
	all := map[string]string{"sim.rightsizer.dev/usage-memory": "60Mi"}
	maps.Copy(all, annotations)
	amounts := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}, Annotations: all},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "app", Image: "registry.example.com/shop/app:1",
			Resources: corev1.ResourceRequirements{Requests: amounts, Limits: amounts},
		}}},
	}
}

func (k objects) deploy(ctx context.Context, name string, replicas int32, annotations map[string]string) {
	k.t.Helper()
	_, err := k.client.AppsV1().Deployments(k.namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: template(name, annotations),
		},
	}, metav1.CreateOptions{})
	require.NoError(k.t, err)
}

func (k objects) patchDeployment(ctx context.Context, name, patch string) {
	k.t.Helper()
	_, err := k.client.AppsV1().Deployments(k.namespace).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(k.t, err)
}

func (k objects) patchNode(ctx context.Context, name, patch string) {
	k.t.Helper()
	_, err := k.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(k.t, err)
}

// autoscale wants the pods of a Deployment to use 10 Mi each.
func (k objects) autoscale(ctx context.Context, name string, most int32) {
	k.t.Helper()
	_, err := k.client.AutoscalingV2().HorizontalPodAutoscalers(k.namespace).Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MaxReplicas:    most,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceMemory, Target: autoscalingv2.MetricTarget{
					Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(10<<20, resource.BinarySI),
				}},
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(k.t, err)
}

// failingJob ends with exit code 1 and is not tried again.
func (k objects) failingJob(ctx context.Context, name string) {
	k.t.Helper()
	var none int32
	pod := template(name, map[string]string{"sim.rightsizer.dev/exit-code": "1", "sim.rightsizer.dev/after": "1"})
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := k.client.BatchV1().Jobs(k.namespace).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{BackoffLimit: &none, Template: pod},
	}, metav1.CreateOptions{})
	require.NoError(k.t, err)
}

// budgetOfAll forbids that any pod of a Deployment is missing.
func (k objects) budgetOfAll(ctx context.Context, name string) {
	k.t.Helper()
	none := intstr.FromInt32(0)
	_, err := k.client.PolicyV1().PodDisruptionBudgets(k.namespace).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &none, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
		},
	}, metav1.CreateOptions{})
	require.NoError(k.t, err)
}

// quota lets one of two pods in, and then both.
func (k objects) quota(ctx context.Context, t *testing.T, h *hearing) {
	t.Helper()
	k.namespace = "objects-quota"
	k.makeNamespace(ctx, k.namespace)
	quotas := k.client.CoreV1().ResourceQuotas(k.namespace)
	_, err := quotas.Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "tight"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"requests.memory": resource.MustParse("100Mi")}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // Before its status is there, a quota refuses everything.
		q, err := quotas.Get(ctx, "tight", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0
	}, patience, poll, "the quota's status")
	k.deploy(ctx, "refused", 2, nil)
	ev := h.wait(t, "quota.exceeded", opened, "refused")
	assert.Equal(t, "tight", ev.GetRefused().GetRefusedBy())
	assert.Equal(t, "requests.memory=64Mi", ev.GetRefused().GetRequested())
	assert.Equal(t, "requests.memory=100Mi", ev.GetRefused().GetLimited())
	h.wait(t, "deployment.unavailable", opened, "refused")
	require.NoError(t, quotas.Delete(ctx, "tight", metav1.DeleteOptions{}))
	assert.Equal(t, ev.GetProblemId(), h.wait(t, "quota.exceeded", resolved, "refused").GetProblemId())
}

// limitRange lets no container have as much as it asks for.
func (k objects) limitRange(ctx context.Context, t *testing.T, h *hearing) {
	t.Helper()
	k.namespace = "objects-limits"
	k.makeNamespace(ctx, k.namespace)
	_, err := k.client.CoreV1().LimitRanges(k.namespace).Create(ctx, &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
		}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	k.deploy(ctx, "toobig", 1, nil)
	assert.Contains(t, h.wait(t, "limitrange.refused", opened, "toobig").GetMessage(), "maximum memory usage per Container is 32Mi")
}
