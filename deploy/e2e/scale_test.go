package e2e_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// An autoscaler that is at its maximum and wants more is given room, as far as the
// policy says: its bound is moved, and the replicas stay its own to decide on.
func TestAnAutoscalerAtItsMaximumIsGivenRoom(t *testing.T) {
	const namespace = "roomy"
	governed(t, namespace, "auto", map[string]any{
		"modes": []any{map[string]any{"action": "scale", "mode": "Auto"}}, "bounds": map[string]any{"maxReplicas": int64(4)},
	})
	o := serve(t, cluster.KubeconfigPath()).ready()
	require.NoError(t, cluster.Apply(t.Context(), "hpa-maximum", namespace))
	t.Cleanup(func() { _ = cluster.Remove(context.Background(), "hpa-maximum", namespace) })
	r := o.waitState(namespace, "gateway", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	assert.Equal(t, "maxReplicas", r.GetAction().GetParameters()["bound"])
	assert.JSONEq(t, `[{"op":"test","path":"/spec/maxReplicas","value":2},{"op":"replace","path":"/spec/maxReplicas","value":3}]`, r.GetDiff())

	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	hpa, err := client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(t.Context(), "gateway", metav1.GetOptions{})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, hpa.Spec.MaxReplicas, int32(3))
	assert.LessOrEqual(t, hpa.Spec.MaxReplicas, int32(4), "never more than the policy says")
	assert.True(t, slices.ContainsFunc(hpa.ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
		return strings.HasPrefix(f.Manager, "rightsizer-") && strings.Contains(f.FieldsV1.GetRawString(), "f:maxReplicas")
	}), "the decision shows in the autoscaler")
	d, err := client.AppsV1().Deployments(namespace).Get(t.Context(), "gateway", metav1.GetOptions{})
	require.NoError(t, err)
	assert.False(t, slices.ContainsFunc(d.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return strings.HasPrefix(f.Manager, "rightsizer-") }))
}

// A person scales a Deployment through its scale subresource, and has it taken back.
func TestAPersonScalesAndTakesItBack(t *testing.T) {
	const namespace = "scaled"
	governed(t, namespace, "auto", map[string]any{"modes": []any{map[string]any{"action": "scale", "mode": "Auto"}}})
	o := serve(t, cluster.KubeconfigPath()).ready()
	hungry(t, namespace, "calm", 1, "64Mi", "10", "")
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		d, err := client.AppsV1().Deployments(namespace).Get(t.Context(), "calm", metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 1
	}, patience, poll)
	var r *rightsizerv1.Remediation
	require.Eventually(t, func() bool { // once it has warmed up, and where somebody else writes meanwhile once more
		resp, err := o.remediationClient().CreateRemediation(t.Context(), &rightsizerv1.CreateRemediationRequest{
			Namespace: namespace, Kind: "Deployment", Name: "calm", Action: &rightsizerv1.RemediationAction{Kind: "scale", Replicas: 3}, RequestId: "once",
		})
		r = resp.GetRemediation()
		return err == nil
	}, patience, poll)
	o.waitState(namespace, "calm", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	d, err := client.AppsV1().Deployments(namespace).Get(t.Context(), "calm", metav1.GetOptions{})
	require.NoError(t, err)
	assert.EqualValues(t, 3, *d.Spec.Replicas)
	assert.True(t, slices.ContainsFunc(d.ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
		return strings.HasPrefix(f.Manager, "rightsizer-") && f.Subresource == "scale"
	}), "the decision shows in the Deployment")
	out, err := o.cli("remediations", "rollback", r.GetName(), "-n", namespace, "--reason=too many")
	require.NoError(t, err, out)
	o.waitState(namespace, "calm", rightsizerv1.RemediationState_REMEDIATION_STATE_ROLLED_BACK)
	d, err = client.AppsV1().Deployments(namespace).Get(t.Context(), "calm", metav1.GetOptions{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, *d.Spec.Replicas)
}
