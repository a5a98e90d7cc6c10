package remediate_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

func restart(pod string) remediate.Wish {
	return asked("restart_pod", map[string]string{"pod": pod})
}

// A pod is evicted, its replacement becomes ready and stays so, and no other pod is
// touched.
func TestAPodIsRestarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(restart("web-1"))
		require.NoError(t, err)
		r := w.settled()
		assert.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
		assert.Equal(t, []string{"remediation.proposed", "remediation.executing", "remediation.succeeded"}, w.trail())
		assert.True(t, r.Spec.Disruptive)
		assert.EqualValues(t, "uid-web-1", r.Spec.Action.Parameters["pod_uid"])
		assert.Nil(t, w.api.Pod("shop", "web-1"))
		assert.NotNil(t, w.api.Pod("shop", "web-3"), "the one that came in its place")
		for _, other := range []string{"web-0", "web-2"} {
			assert.EqualValues(t, "uid-"+other, w.api.Pod("shop", other).UID)
		}
		w.kept()
	})
}

func TestARestartSurvivesAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return quiet(t, 3) }, wish: new(restart("web-1")),
		check: func(w *world, when string) {
			w.doneOnce(when)
			assert.Nil(w.t, w.api.Pod("shop", "web-1"))
			assert.NotNil(w.t, w.api.Pod("shop", "web-3"))
			assert.Nil(w.t, w.api.Pod("shop", "web-4"), "a second pod was evicted")
		},
	})
	assert.GreaterOrEqual(t, kills, 8)
}

// A disruption budget without room is waited for, said so, and not for ever.
func TestARestartWaitsForRoomInADisruptionBudget(t *testing.T) {
	t.Parallel()
	for _, comes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := quiet(t, 3)
			w.api.Room(false)
			w.spec.Approval.Expiry = v1alpha1.Of(3 * time.Minute)
			o := w.start("one", nil)
			defer o.stop()
			_, err := o.ask(restart("web-1"))
			require.NoError(t, err)
			w.in(v1alpha1.StateExecuting)
			time.Sleep(aWhile)
			assert.Contains(t, w.only().Status.Message, "disruption budget")
			assert.Empty(t, w.api.Effects())
			w.api.Room(comes)
			r := w.settled()
			if comes {
				assert.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
				assert.Len(t, w.api.Effects(), 1)
			} else {
				assert.Equal(t, v1alpha1.StateAborted, r.Status.State, r.Status.Message)
				assert.Contains(t, r.Status.Message, "in time")
				assert.Empty(t, w.api.Effects())
			}
			w.kept()
		})
	}
}

// The longer there is no room, the more rarely it is asked, whatever happens to the
// workload meanwhile.
func TestARestartThatWaitsForLongAsksRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		w.api.Room(false)
		w.spec.Approval.Expiry = v1alpha1.Of(3 * time.Hour)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(restart("web-1"))
		require.NoError(t, err)
		w.in(v1alpha1.StateExecuting)
		time.Sleep(30 * time.Minute)
		before := o.client.Asked()
		for range 300 {
			ev := w.started()
			ev.Type = "pod.ready"
			o.events <- ev
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, o.client.Asked()-before, 10, "at most twice in five minutes")
	})
}

// A replacement that does not become ready calls a person: an eviction cannot be
// taken back.
func TestARestartThatDoesNotHelpIsEscalated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		w.api.Replacements(false)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(restart("web-1"))
		require.NoError(t, err)
		r := w.settled()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State, r.Status.Message)
		assert.Contains(t, r.Status.Message, "web-3, which came in its place, is not ready yet")
		assert.Contains(t, r.Status.Message, "cannot be taken back")
		assert.Len(t, w.api.Effects(), 1)
	})
}

// A replacement that ends again after it was ready is no cure.
func TestARestartWhoseReplacementEndsAgainIsEscalated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(restart("web-1"))
		require.NoError(t, err)
		require.True(t, until(func() bool {
			made := w.api.Remediations("shop")
			return len(made) == 1 && len(made[0].Status.Targets) == 1 && made[0].Status.Targets[0].Result == v1alpha1.TargetConfirmed
		}))
		w.api.ChangePod("shop", "web-3", func(p *corev1.Pod) *corev1.Pod {
			p.Status.ContainerStatuses[0].RestartCount++
			return p
		})
		r := w.settled()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State, r.Status.Message)
		assert.Contains(t, r.Status.Message, "1 restarts since it took effect")
	})
}

// What must not be restarted is not, and it is said why.
func TestWhatIsNotRestarted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		replicas int32
		pod      string
		change   func(*world)
		why      string
	}{
		"the last ready one":   {1, "web-0", nil, "last ready replica"},
		"no pod":               {2, "", nil, "parameters.pod must name it"},
		"one that is gone":     {2, "web-7", nil, "gone"},
		"another workload's":   {2, "web-1", func(w *world) { w.disown("web-1") }, "none of Deployment shop/web"},
		"a static pod":         {2, "web-1", func(w *world) { w.annotate("web-1", corev1.MirrorPodAnnotationKey) }, "static pod"},
		"one that has ended":   {2, "web-1", func(w *world) { w.phase("web-1", corev1.PodSucceeded) }, "has ended"},
		"an unknown container": {2, "web-1", nil, `no container "none"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := quiet(t, c.replicas)
				if c.change != nil {
					c.change(w)
				}
				o := w.start("one", nil)
				defer o.stop()
				wish := restart(c.pod)
				if name == "an unknown container" {
					wish.Container = "none"
				}
				var err error
				require.True(t, until(func() bool {
					_, err = o.engine.Create(context.Background(), somebody, wish)
					return err == nil || !isNotKnown(err)
				}))
				require.ErrorIs(t, err, remediate.ErrStopped)
				require.ErrorContains(t, err, c.why)
				assert.Empty(t, w.api.Remediations("shop"))
				assert.Empty(t, w.api.Effects())
			})
		})
	}
}

// Between approval and eviction another pod came under that name: it is left alone.
func TestAnApprovedRestartIsOfThatPodAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		w.spec.Mode = v1alpha1.ModeApprove
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(restart("web-1"))
		require.NoError(t, err)
		w.in(v1alpha1.StatePendingApproval)
		w.api.ChangePod("shop", "web-1", func(p *corev1.Pod) *corev1.Pod {
			p.UID = "another"
			return p
		})
		_, err = o.engine.Approve(context.Background(), another, remediate.Choice{Namespace: "shop", Name: w.only().Name})
		require.NoError(t, err)
		r := w.settled()
		assert.Equal(t, v1alpha1.StateAborted, r.Status.State, r.Status.Message)
		assert.Contains(t, r.Status.Message, "another one")
		assert.Empty(t, w.api.Effects())
	})
}

// What follows a decision is set at once, so a person cannot say that his wish does.
func TestNobodySaysWhatHisWishFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 2)
		o := w.start("one", nil)
		defer o.stop()
		wish := larger(6400)
		wish.Action.Parameters = map[string]string{"follows": "x"}
		var err error
		require.True(t, until(func() bool {
			_, err = o.engine.Create(context.Background(), somebody, wish)
			return !isNotKnown(err)
		}))
		var field remediate.FieldError
		require.ErrorAs(t, err, &field)
		assert.Equal(t, "action.parameters", field.Field())
	})
}
