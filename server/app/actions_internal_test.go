package app

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Every kind of action that the API names is there.
func TestEveryKindOfActionIsThere(t *testing.T) {
	t.Parallel()
	client, err := kube.New(&rest.Config{Host: "http://127.0.0.1:1"})
	require.NoError(t, err)
	set, err := (&App{}).actions(client, nil)
	require.NoError(t, err)
	assert.ElementsMatch(t, []v1alpha1.ActionKind{
		v1alpha1.ActionRestartPod, v1alpha1.ActionRolloutRestart, v1alpha1.ActionResizeInPlace, v1alpha1.ActionResizeTemplate,
		v1alpha1.ActionScale, v1alpha1.ActionExport, v1alpha1.ActionWebhook,
	}, set.Kinds())
}
