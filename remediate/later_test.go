package remediate_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// govern changes the policy while operators run.
func (w *world) govern(change func(*v1alpha1.PolicySpec)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.spec)
}

// grow scales web up.
func (w *world) grow(replicas int32) {
	w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = &replicas })
}

// accounted holds that each effect is one of a pod that its decision knows to have
// been changed: it is verified, and can be taken back.
func (w *world) accounted(when string) {
	w.t.Helper()
	for _, effect := range w.api.Effects() {
		assert.True(w.t, slices.ContainsFunc(w.only().Status.Targets, func(t v1alpha1.Target) bool {
			return t.Pod == effect.Name && t.Result == v1alpha1.TargetConfirmed
		}), "%s: %s: %s", when, effect.Name, w.story())
	}
}

// Pods that come while a decision is verified are given its cure; a kill at any write
// of that neither loses what was done to them nor does it twice.
func TestLaterPodsAreAccountedForThroughAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world {
			w := newWorld(t, 1)
			w.spec.Verification.Window = v1alpha1.Of(5 * time.Minute)
			go func() {
				if until(func() bool {
					return slices.Equal(w.states(v1alpha1.ActionResizeInPlace), []v1alpha1.RemediationState{v1alpha1.StateVerifying})
				}) {
					w.grow(3)
				}
			}()
			return w
		},
		check: func(w *world, when string) {
			assert.Equal(w.t, v1alpha1.StateSucceeded, w.only().Status.State, "%s: %s", when, w.story())
			assert.Equal(w.t, []int64{103, 103, 103}, w.all(), when)
			assert.Len(w.t, w.api.Effects(), 3, when)
			w.accounted(when)
		},
	})
	assert.GreaterOrEqual(t, kills, 14)
}

// Where one of several later pods cannot be changed now, nobody knows why, what was
// done to those before it is kept.
func TestWhatWasDoneBeforeAFailureIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Verification.Window = v1alpha1.Of(5 * time.Minute)
		o := w.start("one", nil)
		w.in(v1alpha1.StateVerifying)
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			if write.Resource == "pods/resize" && write.Name == "web-2" {
				o.cancel() // it hears no answer
			}
		})
		w.grow(3)
		o.events <- w.started()
		require.True(t, until(func() bool { return o.ctx.Err() != nil }))
		o.stop()
		w.api.Hook(w.watch)
		second := w.start("second", nil)
		defer second.stop()
		require.True(t, until(w.ended), w.story())
		assert.Equal(t, []int64{103, 103, 103}, w.all())
		w.accounted("in the end")
		w.kept()
	})
}

// What was intended for a later pod and interrupted is taken back with all else,
// where it was made.
func TestALaterEffectIsTakenBackThoughNobodyNotedIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unapproved(t, 1)
		w.spec.Mode = v1alpha1.ModeAuto
		w.spec.Verification.Window = v1alpha1.Of(5 * time.Minute)
		w.problems = nil
		o := w.start("one", nil)
		_, err := o.ask(inPlaceTo(80))
		require.NoError(t, err)
		w.in(v1alpha1.StateVerifying)
		o.client.CutAt(2, true, o.cancel) // intent, effect
		w.grow(2)
		o.events <- w.started()
		require.True(t, until(func() bool { return o.ctx.Err() != nil }))
		o.stop()
		require.Equal(t, []int64{80, 80}, w.all())
		w.govern(func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeObserve }) // nothing more is done
		second := w.start("second", nil)
		defer second.stop()
		require.True(t, until(func() bool {
			_, err = second.engine.Rollback(t.Context(), somebody, remediate.Choice{Namespace: "shop", Name: w.only().Name})
			return err == nil
		}))
		w.in(v1alpha1.StateRolledBack)
		assert.Equal(t, []int64{64, 64}, w.all())
	})
}

// The guards are asked about pods that come later as about any other: what they would
// not let be done now is not done because it was begun before.
func TestTheGuardsAreAskedAboutLaterPods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ shut, open func(*v1alpha1.PolicySpec) }{
		"mode": {
			func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeObserve },
			func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeAuto },
		},
		"mode Approve": {
			func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeApprove },
			func(s *v1alpha1.PolicySpec) { s.Mode = v1alpha1.ModeAuto },
		},
		"window": {
			func(s *v1alpha1.PolicySpec) {
				s.Windows = []v1alpha1.Window{{Name: "day", Type: v1alpha1.WindowDeny, TimeZone: "UTC", Start: "00:00", End: "23:59"}}
			},
			func(s *v1alpha1.PolicySpec) { s.Windows = nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.spec.Verification.Window = v1alpha1.Of(20 * time.Minute)
				o := w.start("one", nil)
				defer o.stop()
				w.in(v1alpha1.StateVerifying)
				w.govern(c.shut)
				w.grow(2)
				o.events <- w.started()
				time.Sleep(5 * time.Minute)
				assert.Equal(t, []int64{103, 64}, w.all())
				w.govern(c.open)
				time.Sleep(2 * time.Minute)
				assert.Equal(t, []int64{103, 103}, w.all())
				assert.Equal(t, v1alpha1.StateVerifying, w.only().Status.State)
				w.kept()
			})
		})
	}
}

// actuated is a pod whose kubelet has put into force what its spec says.
func actuated(p *corev1.Pod) *corev1.Pod {
	p.Status.ObservedGeneration = p.Generation
	p.Status.ContainerStatuses[0].Resources = p.Spec.Containers[0].Resources.DeepCopy()
	return p
}

// joins has web-1, which came later, given the cure, and looked at for another minute.
func (w *world) joins(o *operator) {
	w.t.Helper()
	o.events <- w.started()
	require.True(w.t, until(func() bool { return slices.Equal(w.limits("web-1"), []int64{103}) }), w.story())
	time.Sleep(time.Minute)
	require.Equal(w.t, v1alpha1.StateVerifying, w.only().Status.State, w.story())
}

// A pod that comes long after the decision began has as much time as those before it.
func TestALaterPodHasATimeOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Verification.Window, w.spec.Verification.ReadyWithin = v1alpha1.Of(20*time.Minute), v1alpha1.Of(2*time.Minute)
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		time.Sleep(10 * time.Minute)
		w.grow(2)
		w.api.Settle(false)
		w.joins(o)
		w.api.ChangePod("shop", "web-1", actuated)
		r := w.settled()
		assert.Equal(t, v1alpha1.StateSucceeded, r.Status.State, w.story())
	})
}

// Nor does one that is not ready yet as the window ends make a failure of the others.
func TestALaterPodMayGetReadyAfterTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Verification.Window, w.spec.Verification.ReadyWithin = v1alpha1.Of(5*time.Minute), v1alpha1.Of(2*time.Minute)
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		time.Sleep(4*time.Minute + 30*time.Second)
		w.grow(2)
		ready := func(is corev1.ConditionStatus) func(*corev1.Pod) *corev1.Pod {
			return func(p *corev1.Pod) *corev1.Pod {
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: is}}
				return p
			}
		}
		w.api.ChangePod("shop", "web-1", ready(corev1.ConditionFalse))
		w.joins(o)
		w.api.ChangePod("shop", "web-1", ready(corev1.ConditionTrue))
		assert.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State, w.story())
	})
}

// What a person takes back stays so, whichever of the decisions is taken back that gave
// it; with the first, new pods are given no more of it either.
func TestARollbackIsNotUndoneByAnotherWave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		second bool // the second wave's is taken back
		want   []int64
		then   int64 // what a new pod has
	}{
		"the first":  {false, []int64{64, 64, 103}, 64},
		"the second": {true, []int64{103, 103, 64}, 103},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				o := w.start("one", nil)
				defer o.stop()
				first := w.settled().Name
				w.grow(3)
				o.events <- w.started()
				require.True(t, until(func() bool { return slices.Equal(w.all(), []int64{103, 103, 103}) }), w.story())
				time.Sleep(time.Hour)
				name := first
				for _, r := range w.api.Remediations("shop") {
					if c.second && r.Name != first {
						name = r.Name
					}
				}
				_, err := o.engine.Rollback(t.Context(), somebody, remediate.Choice{Namespace: "shop", Name: name})
				require.NoError(t, err)
				require.True(t, until(func() bool { return slices.Equal(w.all(), c.want) }), w.story())
				time.Sleep(time.Hour)
				assert.Equal(t, c.want, w.all())
				w.grow(4)
				o.events <- w.started()
				time.Sleep(time.Hour)
				assert.Equal(t, append(slices.Clone(c.want), c.then), w.all(), w.story())
			})
		})
	}
}
