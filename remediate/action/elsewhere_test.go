package action_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Of a large cluster every node is looked at, also where it is only the last one that
// has room.
func TestEveryNodeOfALargeClusterIsLookedAt(t *testing.T) {
	t.Parallel()
	nodes := make([]corev1.Node, 2100)
	for i := range nodes {
		nodes[i] = corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d", i)}, Status: corev1.NodeStatus{Allocatable: memory("64Mi")}}
	}
	nodes[len(nodes)-1].Status.Allocatable = memory("1Gi")
	api := kubetest.New()
	api.PutNodes(nodes...)
	api.Put(deployment(nil))
	client := connect(t, api)
	s := subject(t, client, "Deployment", 256)
	pods, err := client.Pods(t.Context(), s.Workload)
	require.NoError(t, err)
	size := policy.Size{Requests: policy.Amounts{MemoryBytes: 256 * mi}}
	target := &v1alpha1.Target{Pod: pods[0].Name, UID: string(pods[0].UID), Desired: &v1alpha1.TargetValues{Requests: size.Requests.Resources()}}
	could, why, err := (&action.ResizeInPlace{Client: client}).Elsewhere(t.Context(), s, target)
	require.NoError(t, err)
	assert.True(t, could, why)
}
