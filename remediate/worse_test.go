package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// killed shows a kill in the status of a pod.
func (w *world) killed(pod string) { w.ends(pod, "OOMKilled", 137) }

// What is killed at less memory than it had gets back what it had, however the kill is
// heard of.
func TestALoweringThatKillsIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"seen by its verification": false, "told by the watcher": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := quiet(t, 2)
				w.spec.RiskCeiling = v1alpha1.RiskCritical
				w.measured, w.samples, w.used = true, 1000, 10*mi
				w.spec.Verification.Window = v1alpha1.Of(5 * time.Minute)
				o := w.start("one", nil)
				defer o.stop()
				_, err := o.ask(inPlaceTo(50))
				require.NoError(t, err)
				w.in(v1alpha1.StateVerifying)
				time.Sleep(20 * time.Second)
				require.Equal(t, []int64{50, 50}, w.all())
				w.killed("web-0")
				if told {
					o.events <- w.kill("web-0", 50)
				}
				w.in(v1alpha1.StateRolledBack)
				assert.Equal(t, []int64{64, 64}, w.all())
				time.Sleep(5 * time.Minute)
				assert.Len(t, w.api.Remediations("shop"), 1, "that was the answer")
			})
		})
	}
}

// How much a container is throttled, or how full its memory is, is no reason to take
// back what has changed neither.
func TestWhatWasSoBeforeIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, throttled := range map[string]*int32{"throttled": new(int32(40)), "not throttled": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				w.measured, w.samples, w.used, w.throttled = true, 1000, 20*mi, throttled
				o := w.start("one", nil)
				defer o.stop()
				require.True(t, until(w.ended))
				r := w.only()
				assert.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
				assert.Equal(t, throttled, r.Status.Verification.ThrottledPercent, "it is said all the same")
			})
		})
	}
}

// A No holds for some hours, whoever said it, and so does that nobody said anything:
// the next kill asks nobody again.
func TestANoIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Mode = v1alpha1.ModeApprove
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StatePendingApproval)
		_, err := o.engine.Reject(t.Context(), somebody, remediate.Choice{Namespace: "shop", Name: w.only().Name, Reason: "leave it"})
		require.NoError(t, err)
		for range 5 * 12 {
			time.Sleep(5 * time.Minute)
			w.killed("web-0")
			o.events <- w.kill("web-0", 64)
		}
		time.Sleep(time.Minute)
		assert.Len(t, w.api.Remediations("shop"), 1)
		_, err = o.ask(inPlaceTo(80))
		require.NoError(t, err, "a person may ask")
		_, err = o.engine.Cancel(t.Context(), somebody, remediate.Choice{Namespace: "shop", Name: w.api.Remediations("shop")[1].Name})
		require.NoError(t, err)
		time.Sleep(6*time.Hour + time.Minute)
		o.events <- w.kill("web-0", 64)
		time.Sleep(time.Minute)
		assert.Len(t, w.api.Remediations("shop"), 3, "after that it is asked again")
	})
}

// A number that somebody else sets while it is verified stands, and is no success.
func TestAnotherNumberIsNoSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unasked(t, 4, false)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.asks(t, 6)
		require.NoError(t, err)
		w.in(v1alpha1.StateVerifying)
		w.api.ChangeDeployment("shop", "web", "kubectl", func(d *appsv1.Deployment) {
			d.Spec.Replicas, d.Status.ReadyReplicas, d.Status.Replicas = new(int32(5)), 5, 5
			d.Status.ObservedGeneration = d.Generation
		})
		require.True(t, until(w.ended))
		r := w.only()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State)
		assert.Contains(t, r.Status.Message, "somebody else has set")
	})
}
