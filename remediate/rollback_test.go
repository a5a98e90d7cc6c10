package remediate_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// unused is a quiet world in which little memory is used, so that it may be lowered.
func unused(t *testing.T, replicas int32) *world {
	w := quiet(t, replicas)
	w.measured, w.samples, w.used = true, 1000, 20*mi
	w.spec.Verification.Window = v1alpha1.Of(5 * time.Minute)
	w.spec.RiskCeiling = v1alpha1.RiskCritical
	return w
}

// inForce waits until what was given to some pods is in force.
func (w *world) inForce(pods int) bool {
	return until(func() bool {
		made := w.api.Remediations("shop")
		return len(made) == 1 && len(made[0].Status.Targets) == pods && !slices.ContainsFunc(made[0].Status.Targets, func(t v1alpha1.Target) bool {
			return t.Result != v1alpha1.TargetConfirmed
		})
	})
}

// fails lets a container end by itself, which is put up with of none that was changed.
func (w *world) fails(pod string) { w.ends(pod, "Error", 1) }

// ends shows in the status of a pod how its container ended.
func (w *world) ends(pod, reason string, code int32) {
	w.api.ChangePod("shop", pod, func(p *corev1.Pod) *corev1.Pod {
		s := &p.Status.ContainerStatuses[0]
		s.RestartCount++
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, FinishedAt: metav1.NewTime(time.Now())}
		return p
	})
}

// halfTakenBack has three pods given more, one of them fail, and an API server that has
// no time for more than the first of what is to be taken back.
func halfTakenBack(t *testing.T) (*world, *operator) {
	w := unused(t, 3)
	o := w.start("one", nil)
	_, err := o.ask(inPlaceTo(80))
	require.NoError(t, err)
	require.True(t, w.inForce(3))
	w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
		w.watch(write, made)
		if write.Resource == "pods/resize" {
			w.api.ThrottleMeanwhile()
		}
	})
	w.fails("web-0")
	require.True(t, until(func() bool {
		_, reverted := w.count(64)
		return reverted > 0
	}))
	w.api.Hook(w.watch)
	return w, o
}

// count is how many pods have a memory limit in MiB, and of how many effects the one
// Remediation says that they were taken back.
func (w *world) count(limit int64) (have, reverted int) {
	for _, l := range w.all() {
		if l == limit {
			have++
		}
	}
	for _, t := range w.only().Status.Targets {
		if t.Result == v1alpha1.TargetReverted {
			reverted++
		}
	}
	return have, reverted
}

// keptTwice holds the promises where what was done was taken back: each object was
// written twice at most.
func (w *world) keptTwice() {
	w.t.Helper()
	writes := map[string]int{}
	for _, effect := range w.api.Effects() {
		writes[effect.Name]++
		assert.LessOrEqual(w.t, writes[effect.Name], 2, effect.Name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.Empty(w.t, w.violated)
}

// What did not help is taken back as a whole, wherever the operator is killed over it.
func TestARollbackIsFinishedThroughAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world {
			w := unused(t, 3)
			go func() {
				if w.inForce(3) {
					w.fails("web-0")
				}
			}()
			return w
		},
		wish: new(inPlaceTo(80)), kept: (*world).keptTwice,
		check: func(w *world, when string) {
			r := w.only()
			assert.Equal(w.t, v1alpha1.StateRolledBack, r.Status.State, "%s: %s", when, w.story())
			assert.Contains(w.t, r.Status.Message, "1 restarts since it took effect", when)
			assert.Equal(w.t, []int64{64, 64, 64}, w.all(), when)
			assert.Len(w.t, w.api.Effects(), 6, when)
		},
	})
	assert.GreaterOrEqual(t, kills, 24)
}

// So is what was put into a template, which has one effect: the size is back, and that
// is what is said of it.
func TestATemplatesRollbackIsFinishedThroughAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world {
			w := quiet(t, 3)
			w.api.Settle(false) // it never rolls out
			return w
		},
		wish: new(larger(96)), kept: (*world).keptTwice,
		check: func(w *world, when string) {
			assert.Equal(w.t, v1alpha1.StateRolledBack, w.only().Status.State, "%s: %s", when, w.story())
			assert.EqualValues(w.t, 64, w.templateLimit(), when)
			assert.Len(w.t, w.api.Effects(), 2, when)
		},
	})
	assert.GreaterOrEqual(t, kills, 12)
}

// An API server that has no time for it in the middle of a rollback delays the rest of
// it; what is done so far is known, and no pod is given anything meanwhile.
func TestARollbackGoesOnAfterTheAPIServerWasBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, o := halfTakenBack(t)
		defer o.stop()
		w.grow(4)
		o.events <- w.started()
		time.Sleep(3 * time.Minute)
		assert.Equal(t, v1alpha1.StateVerifying, w.only().Status.State, w.story())
		have, reverted := w.count(64)
		assert.Equal(t, []int{2, 1}, []int{have, reverted}, "the one that is new, and one that was taken back")
		w.api.Throttle(false)
		assert.Equal(t, v1alpha1.StateRolledBack, w.settled().Status.State, w.story())
		assert.Equal(t, []int64{64, 64, 64, 64}, w.all())
		w.keptTwice()
	})
}

// What cannot be taken back of some pods calls a person; the others stay as they were
// made, and nothing is tried again.
func TestARollbackThatCannotBeFinishedIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unused(t, 3)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(inPlaceTo(80))
		require.NoError(t, err)
		require.True(t, w.inForce(3))
		changed := false
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			if write.Resource != "pods/resize" || changed {
				return
			}
			changed = true
			other := map[string]string{"web-0": "web-1", "web-1": "web-0", "web-2": "web-0"}[write.Name]
			w.api.Meanwhile("shop", other, func(p *corev1.Pod) *corev1.Pod {
				p.Spec.Containers[0].Resources.Limits = memoryOf("90Mi")
				return p
			})
		})
		w.fails("web-0")
		r := w.settled()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State, w.story())
		assert.Contains(t, r.Status.Message, "it could not be taken back: ")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, r.Status.Message, w.only().Status.Message)
		have, reverted := w.count(64)
		assert.Equal(t, []int{2, 2}, []int{have, reverted}, w.story())
		assert.Equal(t, metav1.ConditionFalse, asksBack(w.only()).Status)
		_, err = o.engine.Rollback(t.Context(), somebody, remediate.Choice{Namespace: "shop", Name: r.Name})
		require.NoError(t, err, "a person may ask")
		w.mu.Lock()
		defer w.mu.Unlock()
		last := w.audit[slices.IndexFunc(w.audit, func(r *rightsizerv1.AuditRecord) bool { return r.GetAction() == "remediation.rolled_back" }):]
		assert.True(t, slices.ContainsFunc(last, func(r *rightsizerv1.AuditRecord) bool { return r.GetActor() == somebody.Name }), "his word is recorded")
	})
}

// asksBack is the condition that asks for a rollback.
func asksBack(r *v1alpha1.Remediation) metav1.Condition {
	i := slices.IndexFunc(r.Status.Conditions, func(c metav1.Condition) bool { return c.Type == "RollbackRequested" })
	if i < 0 {
		return metav1.Condition{}
	}
	return r.Status.Conditions[i]
}

// Frozen in the middle of a rollback, it takes nothing more back as long as that lasts.
func TestAFreezeHoldsARollback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unused(t, 8)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(inPlaceTo(80))
		require.NoError(t, err)
		require.True(t, w.inForce(8))
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			if strings.HasPrefix(write.Resource, "pods/") {
				w.mu.Lock()
				w.frozen = "an incident"
				w.mu.Unlock()
			}
		})
		_, err = o.engine.Rollback(t.Context(), somebody, remediate.Choice{Namespace: "shop", Name: w.only().Name})
		require.NoError(t, err)
		time.Sleep(3 * time.Minute)
		have, reverted := w.count(64)
		assert.Equal(t, []int{1, 1}, []int{have, reverted})
		w.api.Hook(w.watch)
		w.mu.Lock()
		w.frozen = ""
		w.mu.Unlock()
		w.in(v1alpha1.StateRolledBack)
		assert.Equal(t, []int64{64, 64, 64, 64, 64, 64, 64, 64}, w.all())
		w.keptTwice()
	})
}

// takesBack has somebody ask for a rollback, and waits until he has his answer.
func (o *operator) takesBack() *v1alpha1.Remediation {
	o.w.t.Helper()
	_, err := o.engine.Rollback(context.Background(), somebody, remediate.Choice{Namespace: "shop", Name: o.w.only().Name})
	require.NoError(o.w.t, err)
	require.True(o.w.t, until(func() bool {
		r := o.w.only()
		return r.Status.State == v1alpha1.StateRolledBack || asksBack(r).Status == metav1.ConditionFalse
	}), o.w.story())
	return o.w.only()
}

// using is a successor of an operator, for which a container uses so much memory.
func (w *world) using(o *operator, bytes int64) *operator {
	w.t.Helper()
	o.stop()
	w.measured, w.samples, w.used = true, 1000, bytes
	next := w.start("next", nil)
	require.True(w.t, until(func() bool {
		made, err := next.engine.List()
		return err == nil && len(made) > 0
	}))
	return next
}

// Not even a person has a limit set below what is used: who asks is told why.
func TestAPersonTakesNoMemoryBackThatIsUsed(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, w *world, r *v1alpha1.Remediation, state v1alpha1.RemediationState) {
		t.Helper()
		assert.Equal(t, state, r.Status.State, w.story())
		assert.Contains(t, r.Status.Message, "it is not taken back: memory_floor")
		assert.Equal(t, []int64{103, 103}, w.all())
		assert.Len(t, w.api.Effects(), 2)
	}
	t.Run("after it succeeded", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 2)
			o := w.start("one", nil)
			require.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State)
			o = w.using(o, 90*mi)
			refused(t, w, o.takesBack(), v1alpha1.StateSucceeded)
			o = w.using(o, 20*mi) // an OOM kill a moment ago is no reason against a person
			defer o.stop()
			assert.Equal(t, v1alpha1.StateRolledBack, o.takesBack().Status.State, w.story())
			assert.Equal(t, []int64{64, 64}, w.all())
		})
	})
	t.Run("while it is verified", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 2)
			w.spec.Verification.Window = v1alpha1.Of(5 * time.Minute)
			w.measured, w.samples, w.used = true, 1000, 85*mi
			o := w.start("one", nil)
			defer o.stop()
			w.in(v1alpha1.StateVerifying)
			refused(t, w, o.takesBack(), v1alpha1.StateVerifying)
			assert.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State, "its verification goes on")
		})
	})
}

// What is not in force is used by nobody.
func TestAPersonTakesBackWhatIsNotInForce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := short(t, corev1.PodReasonDeferred, "1Gi")
		w.measured, w.samples, w.used = true, 1000, 60*mi
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		assert.Equal(t, v1alpha1.StateRolledBack, o.takesBack().Status.State, w.story())
		assert.Equal(t, []int64{64, 64}, w.all())
	})
}

// What was begun to be taken back and had to wait is not, where it is used by then.
func TestTheRestOfARollbackIsJudgedAsThingsAreThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, o := halfTakenBack(t)
		o = w.using(o, 60*mi)
		defer o.stop()
		w.api.Throttle(false)
		r := w.settled()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State, w.story())
		assert.Contains(t, r.Status.Message, "the rest of it is not taken back: memory_floor")
		assert.Equal(t, metav1.ConditionFalse, asksBack(r).Status)
		time.Sleep(10 * time.Minute)
		have, reverted := w.count(64)
		assert.Equal(t, []int{1, 1}, []int{have, reverted}, w.story())
	})
}
