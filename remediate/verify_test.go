package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// What was written a moment ago is not looked at at once: it would be under way, and
// other containers that were killed wait for the worker.
func TestTheFirstLookLeavesTheKubeletTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.api.Settle(false)
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		before := o.client.Asked()
		time.Sleep(150 * time.Millisecond)
		assert.Equal(t, before, o.client.Asked())
		assert.Empty(t, w.only().Status.Targets[0].Message)
		time.Sleep(time.Second)
		require.NotEmpty(t, w.only().Status.Targets[0].Message)
	})
}
