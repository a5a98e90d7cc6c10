package remediate_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/plain"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// What people give as reasons is kept as one line of text that is what it looks
// like, in the status, in the audit and where it is told.
func TestAReasonIsKeptAsPlainText(t *testing.T) {
	t.Parallel()
	const hostile = "fine\r\nall is well\x1b[2J\u009b31m\u202egnp.exe\u2066\u200b\u2028end"
	synctest.Test(t, func(t *testing.T) {
		w := unapproved(t, 1)
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StatePendingApproval)
		_, err := o.engine.Approve(t.Context(), another, remediate.Choice{Namespace: "shop", Name: w.only().Name, Reason: hostile})
		require.NoError(t, err)
		w.in(v1alpha1.StateSucceeded)
		r := w.only()
		clean := plain.Line(hostile, 1024)
		require.NotEqual(t, hostile, clean)
		assert.Equal(t, clean, r.Status.Approval.Reason)
		found := 0
		for _, step := range r.Status.Transitions {
			assert.Equal(t, plain.Line(string(step.Reason), 1024), string(step.Reason))
			if string(step.Reason) == "approved by bob: "+clean {
				found++
			}
		}
		assert.Equal(t, 1, found)
		for name, m := range map[string]any{"status": r.Status, "notices": w.notices} {
			raw, err := yaml.Marshal(m)
			require.NoError(t, err)
			assert.NotContains(t, string(raw), "\u202e", name)
		}
		for _, record := range w.audit {
			raw, err := protojson.Marshal(record)
			require.NoError(t, err)
			assert.NotContains(t, string(raw), "\u202e")
		}
	})
}
