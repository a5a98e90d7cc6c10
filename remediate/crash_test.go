package remediate_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// The operator is killed at each of its writes in turn: before the API server sees
// it, and after it was made and before anybody hears of it. Its successor always
// comes to the same end, and never makes a second effect.
func TestAKillAtAnyWriteHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return newWorld(t, 4) },
		check: func(w *world, when string) {
			r := w.only() // a record is never lost, and never doubled
			assert.Equal(w.t, v1alpha1.StateSucceeded, r.Status.State, "%s: %s", when, r.Status.Message)
			assert.Equal(w.t, []int64{103, 103, 103, 103}, w.limits("web-0", "web-1", "web-2", "web-3"), when)
			assert.Len(w.t, w.api.Effects(), 4, when)
		},
	})
	assert.GreaterOrEqual(t, kills, 20)
}

// story is what goes on while an operator is killed.
type story struct {
	world func(*testing.T) *world
	// wish is asked of both operators, where there is one; the first may die over it.
	wish *remediate.Wish
	// done says that things have come to their end: by default, that all Remediations
	// have ended.
	done  func(*world) bool
	check func(w *world, when string)
	// kept holds the promises; by default, world's.
	kept func(*world)
}

// killedAtEachWrite lets an operator be killed at its first write, then in a new
// world at its second one, and so on, before and after each; its successor brings
// things to their end, which check looks at. It returns how often one was killed.
func killedAtEachWrite(t *testing.T, s story) (kills int) {
	t.Helper()
	if s.done == nil {
		s.done = (*world).ended
	}
	if s.kept == nil {
		s.kept = (*world).kept
	}
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			var killed atomic.Bool
			synctest.Test(t, func(t *testing.T) {
				w := s.world(t)
				done := func() bool { return s.done(w) }
				when := fmt.Sprintf("killed at write %d, after it %v", n, after)
				first := w.start("first", func(c *kubetest.Client, die func()) {
					c.CutAt(n, after, func() { killed.Store(true); die() })
				})
				if s.wish != nil {
					_, err := first.ask(*s.wish)
					require.True(t, err != nil || len(w.api.Remediations("shop")) > 0, "%s: who asked was told", when)
				}
				require.True(t, until(func() bool { return killed.Load() || done() }))
				first.stop()
				second := w.start("second", nil)
				defer second.stop()
				if s.wish != nil {
					_, err := second.ask(*s.wish)
					require.NoError(t, err)
				}
				require.True(t, until(done), "%s: %+v", when, w.api.Remediations("shop"))
				s.check(w, when)
				s.kept(w)
			})
			if !killed.Load() || t.Failed() {
				break
			}
			kills++
		}
	}
	t.Logf("killed at %d points", kills)
	return kills
}

// doneOnce checks that there is one Remediation, which succeeded by one effect.
func (w *world) doneOnce(when string) *v1alpha1.Remediation {
	w.t.Helper()
	r := w.only()
	assert.Equal(w.t, v1alpha1.StateSucceeded, r.Status.State, "%s: %s", when, r.Status.Message)
	assert.Len(w.t, w.api.Effects(), 1, when)
	return r
}

// Kills are visible in the status for long after they were answered. To a successor
// they look like kills at what was given since, and are no reason to give more; one
// that came while nobody looked is.
func TestWhatWasAnsweredIsNotAnsweredAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.problems = append(w.problems, w.kill("web-1", 64))
		first := w.start("first", nil)
		require.True(t, until(w.ended))
		first.stop()
		for range 3 {
			time.Sleep(time.Minute)
			next := w.start("next", nil)
			time.Sleep(30 * time.Second)
			assert.True(t, w.ended())
			next.stop()
		}
		assert.Equal(t, v1alpha1.StateSucceeded, w.only().Status.State)
		assert.Equal(t, []int64{103, 103}, w.limits("web-0", "web-1"))

		w.problems = append(w.problems, w.kill("web-1", 103))
		time.Sleep(10 * time.Second)
		last := w.start("last", nil)
		defer last.stop()
		require.True(t, until(func() bool { return len(w.api.Remediations("shop")) == 2 && w.ended() }))
		assert.Equal(t, []int64{206, 206}, w.limits("web-0", "web-1"))
		w.kept()
	})
}

// takenBack makes a pod's limit what it was, as somebody by hand would.
func takenBack(p *corev1.Pod) *corev1.Pod {
	p.Spec.Containers[0].Resources.Limits = memoryOf("64Mi")
	p.Status.ContainerStatuses[0].Resources = p.Spec.Containers[0].Resources.DeepCopy()
	p.Generation, p.Status.ObservedGeneration, p.ManagedFields = p.Generation+1, p.Generation+1, nil
	return p
}

// What was done just before the end, and taken back by somebody until the successor
// looks, is not done again: a person has had his say.
func TestWhatSomebodyTookBackMeanwhileIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		first := w.start("first", func(c *kubetest.Client, die func()) { c.CutAt(3, true, die) }) // object, intent, effect
		require.True(t, until(func() bool { return first.ctx.Err() != nil }))
		first.stop()
		require.Equal(t, v1alpha1.StateExecuting, w.only().Status.State)
		require.Len(t, w.api.Effects(), 1)
		w.api.ChangePod("shop", "web-0", takenBack)
		second := w.start("second", nil)
		defer second.stop()
		require.True(t, until(w.ended))
		time.Sleep(time.Minute)
		assert.Equal(t, v1alpha1.StateAborted, w.only().Status.State, w.only().Status.Message)
		assert.Contains(t, w.only().Status.Message, "taken back")
		assert.Len(t, w.api.Effects(), 1)
	})
}

// What somebody takes back while it is verified is said to be that: neither a success
// nor the node's fault.
func TestWhatSomebodyTakesBackIsAPersonsAffair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		w.api.ChangePod("shop", "web-0", takenBack)
		require.True(t, until(w.ended))
		r := w.api.Remediations("shop")[0]
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State)
		assert.Contains(t, r.Status.Message, "somebody else has changed the resources of pod web-0 since")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, []int64{64}, w.limits("web-0"))
		assert.Len(t, w.api.Effects(), 1)
	})
}

// Two that both believe to lead share one decision, whoever is first, and each pod
// is written once.
func TestTwoLeadersHaveOneEffect(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 4)
			one, other := w.start("one", nil), w.start("other", nil)
			defer one.stop()
			defer other.stop()
			require.True(t, until(w.ended))
			made := w.api.Remediations("shop")
			require.Len(t, made, 1)
			assert.Equal(t, v1alpha1.StateSucceeded, made[0].Status.State, made[0].Status.Message)
			assert.Len(t, w.api.Effects(), 4)
			w.kept()
		})
	}
}

// Somebody else changes the pod between what was read and what is written: the
// write is refused, everything is looked at again, and then it is made.
func TestAChangeMeanwhileIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		tries := 0
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			if write.Resource == "pods/resize" {
				if tries++; tries <= 3 {
					w.api.Meanwhile("shop", "web-0", func(p *corev1.Pod) *corev1.Pod { return p })
				}
			}
		})
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		assert.Equal(t, v1alpha1.StateSucceeded, w.api.Remediations("shop")[0].Status.State)
		assert.Equal(t, 4, tries)
		assert.Len(t, w.api.Effects(), 1)
		w.kept()
	})
}

// Another pod of that name is not the pod of the decision.
func TestAnotherPodOfThatNameIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.api.Hook(func(write kubetest.Write, _ []*v1alpha1.Remediation) {
			if write.Resource == "pods/resize" {
				w.api.Meanwhile("shop", "web-0", func(p *corev1.Pod) *corev1.Pod {
					p.UID = "another"
					p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{}
					return p
				})
			}
		})
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		made := w.api.Remediations("shop")
		assert.Equal(t, v1alpha1.StateAborted, made[0].Status.State, made[0].Status.Message)
		assert.Contains(t, made[0].Status.Message, "another one")
		assert.Empty(t, w.api.Effects())
	})
}

// Without the audit chain's word nothing is done; with it, it goes on.
func TestNoEffectWithoutItsAuditRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.auditErr = errors.New("the disk is full")
		o := w.start("one", nil)
		defer o.stop()
		time.Sleep(5 * time.Minute)
		assert.Empty(t, w.api.Effects())
		assert.Equal(t, []int64{64, 64}, w.limits("web-0", "web-1"))
		health := o.engine.Health()
		assert.Contains(t, health.GetReason(), "the disk is full")
		w.mu.Lock()
		w.auditErr = nil
		w.mu.Unlock()
		require.True(t, until(w.ended))
		assert.Equal(t, []int64{103, 103}, w.limits("web-0", "web-1"))
		assert.Len(t, w.api.Effects(), 2)
		w.kept()
	})
}

// Frozen between intent and write, it waits as long as that lasts.
func TestAFreezeHoldsWhatWasBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			w.mu.Lock()
			defer w.mu.Unlock()
			if write.Resource == "remediations/status" && len(w.violated) == 0 && w.frozen == "" && len(made) == 1 && made[0].Status.StartTime == nil {
				w.frozen = "an incident"
			}
		})
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool {
			made := w.api.Remediations("shop")
			return len(made) == 1 && made[0].Status.State == v1alpha1.StateExecuting
		}))
		time.Sleep(time.Minute)
		assert.Empty(t, w.api.Effects())
		w.api.Hook(w.watch)
		w.mu.Lock()
		w.frozen = ""
		w.mu.Unlock()
		require.True(t, until(w.ended))
		assert.Len(t, w.api.Effects(), 1)
		w.kept()
	})
}

// An OOM kill at what was given raises again, and nothing is ever taken back; after
// three raises within hours that did not help it is left to a person.
func TestWhatDoesNotHelpIsRaisedAndThenLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Cooldowns.Raise = v1alpha1.Of(time.Second)
		o := w.start("one", nil)
		defer o.stop()
		limit, seen := int64(64), []int64{64}
		for kill := range 6 {
			if kill > 0 {
				w.api.ChangePod("shop", "web-0", func(p *corev1.Pod) *corev1.Pod {
					p.Status.ContainerStatuses[0].RestartCount++
					return p
				})
				o.events <- w.kill("web-0", limit)
			}
			time.Sleep(30 * time.Second)
			if now := w.limits("web-0")[0]; now != limit {
				require.Greater(t, now, limit, "never downwards")
				limit = now
				seen = append(seen, now)
			}
		}
		assert.Equal(t, []int64{64, 103, 206, 412}, seen)
		w.kept()
	})
}
