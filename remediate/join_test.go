package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// escalations counts the audit's records of them.
func (w *world) escalations() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.audit {
		if r.GetAction() == "remediation.escalated" {
			n++
		}
	}
	return n
}

// A pod that is killed at what it was given, while the others wait for theirs, needs
// more: that waits for the same as they do, and no record tells of what did not happen.
func TestAKillWhileTheOthersWaitIsAnsweredAfterThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.spec.Cooldowns.Raise = v1alpha1.Of(time.Second)
		freeze := func(why string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.frozen = why
		}
		once := false
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			if write.Resource == "pods/resize" && !once {
				once = true
				freeze("an incident")
			}
		})
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool { return len(w.api.Effects()) == 1 && w.only().Status.Message != "" }))
		time.Sleep(10 * time.Second)
		require.Equal(t, v1alpha1.StateExecuting, w.only().Status.State)
		require.Equal(t, v1alpha1.TargetApplied, w.only().Status.Targets[0].Result)

		o.events <- w.kill("web-0", 103)
		time.Sleep(5 * time.Minute)
		assert.Equal(t, v1alpha1.StateExecuting, w.only().Status.State)
		assert.Zero(t, w.escalations())

		freeze("")
		time.Sleep(15 * time.Second)
		assert.Equal(t, []int64{206, 206}, w.all(), w.story())
		assert.Equal(t, 1, w.escalations())
		w.kept()
	})
}
