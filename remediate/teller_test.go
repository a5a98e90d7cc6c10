package remediate_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate/announce"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Each change of state is told on the workload and on the policy, once.
func TestKubernetesEventsTellOfTheWorkloadAndThePolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		made := w.api.Remediations("shop")[0]
		told := map[announce.Object][]string{}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, n := range w.notices {
			told[n.Regarding] = append(told[n.Regarding], n.Reason)
			assert.Equal(t, "ResizeInPlace", n.Action)
			assert.Contains(t, n.Note, made.Name)
			assert.Equal(t, made.Name, n.Related.Name)
		}
		require.Greater(t, len(made.Status.Transitions), 3, "proposed and approved in the write that says executing")
		want := []string{"RemediationExecuting", "RemediationVerifying", "RemediationSucceeded"}
		assert.Equal(t, map[announce.Object][]string{
			{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", UID: "uid-web"}:                              want,
			{APIVersion: "rightsizer.dev/v1alpha1", Kind: "RightSizerPolicy", Namespace: "shop", Name: "default", UID: "uid-policy"}: want,
		}, told)
	})
}

// An Event on a policy of the cluster would be in another namespace than what it
// tells of, where others read it.
func TestKubernetesEventsStayInTheirNamespace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.wide = true
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		w.mu.Lock()
		defer w.mu.Unlock()
		require.NotEmpty(t, w.notices)
		require.Equal(t, "ClusterRightSizerPolicy", w.api.Remediations("shop")[0].Spec.Policy.Kind)
		for _, n := range w.notices {
			assert.Equal(t, "shop", n.Regarding.Namespace, "%s on a %s", n.Reason, n.Regarding.Kind)
		}
	})
}

// What is not done is told on the workload, as a warning.
func TestKubernetesEventsTellWhatIsNotDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Mode = v1alpha1.ModeRecommend
		w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionScale, Mode: v1alpha1.ModeAuto}}
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.notices) > 0
		}))
		w.mu.Lock()
		defer w.mu.Unlock()
		assert.Equal(t, "RemediationRefused", w.notices[0].Reason)
		assert.True(t, w.notices[0].Warning)
		assert.Equal(t, "apps/v1", w.notices[0].Regarding.APIVersion)
	})
}
