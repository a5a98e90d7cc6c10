package remediate_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// web names the world's Deployment.
var web = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}

// deployment is it as it is now.
func (w *world) deployment() *appsv1.Deployment {
	w.t.Helper()
	d, ok := w.api.Workload(web).(*appsv1.Deployment)
	require.True(w.t, ok)
	return d
}

// changed changes it as somebody else would.
func (w *world) changed(change func(*appsv1.Deployment)) {
	w.api.ChangeWorkload(web, func(o kubetest.Workload) {
		if d, ok := o.(*appsv1.Deployment); ok {
			change(d)
		}
	})
}

// templateLimit is the memory limit in its template in MiB.
func (w *world) templateLimit() int64 {
	return w.deployment().Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value() / mi
}

func TestARolloutReplacesAllPods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(asked("rollout_restart", nil))
		require.NoError(t, err)
		r := w.settled()
		assert.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
		assert.Equal(t, []string{"remediation.proposed", "remediation.executing", "remediation.succeeded"}, w.trail())
		assert.Empty(t, r.Spec.Container)
		d := w.deployment()
		assert.Equal(t, r.Name, d.Spec.Template.Annotations["rightsizer.dev/restarted-by"])
		assert.EqualValues(t, 3, d.Status.ReadyReplicas)
		for _, gone := range []string{"web-0", "web-1", "web-2"} {
			assert.Nil(t, w.api.Pod("shop", gone))
		}
		w.kept()
	})
}

func TestARolloutSurvivesAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return quiet(t, 3) }, wish: new(asked("rollout_restart", nil)),
		check: func(w *world, when string) {
			w.doneOnce(when)
			assert.EqualValues(w.t, 2, w.deployment().Generation, "one rollout")
		},
	})
	assert.GreaterOrEqual(t, kills, 8)
}

func TestATemplateIsResizedAndKeptThroughAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return quiet(t, 3) }, wish: new(larger(96)),
		check: func(w *world, when string) {
			r := w.doneOnce(when)
			assert.EqualValues(w.t, 96, w.templateLimit())
			assert.EqualValues(w.t, 2, w.deployment().Generation, "one rollout")
			assert.Equal(w.t, []int64{96, 96, 96}, w.limits("web-3", "web-4", "web-5"))
			assert.Equal(w.t, r.Name, w.deployment().Annotations["rightsizer.dev/decision"])
		},
	})
	assert.GreaterOrEqual(t, kills, 8)
}

// A rollout that does not get on is taken back by the old size; where a person
// wants it, also one that succeeded.
func TestATemplateGetsItsOldSizeBack(t *testing.T) {
	t.Parallel()
	t.Run("stuck", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := quiet(t, 3)
			w.api.Settle(false)
			o := w.start("one", nil)
			defer o.stop()
			_, err := o.ask(larger(96))
			require.NoError(t, err)
			r := w.settled()
			assert.Equal(t, v1alpha1.StateRolledBack, r.Status.State, r.Status.Message)
			assert.Contains(t, r.Status.Message, "did not take effect within 5m0s")
			assert.EqualValues(t, 64, w.templateLimit())
			assert.Len(t, w.api.Effects(), 2)
		})
	})
	t.Run("by a person", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := quiet(t, 3)
			o := w.start("one", nil)
			defer o.stop()
			_, err := o.ask(larger(96))
			require.NoError(t, err)
			r := w.settled()
			require.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
			_, err = o.engine.Rollback(context.Background(), somebody, remediate.Choice{Namespace: "shop", Name: r.Name})
			require.NoError(t, err)
			w.in(v1alpha1.StateRolledBack)
			assert.EqualValues(t, 64, w.templateLimit())
			assert.Equal(t, []int64{64, 64, 64}, w.limits("web-6", "web-7", "web-8"))
		})
	})
}

// What was restarted cannot be taken back, and who asks for it is told.
func TestARolloutRestartIsNotTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(asked("rollout_restart", nil))
		require.NoError(t, err)
		r := w.settled()
		_, err = o.engine.Rollback(context.Background(), somebody, remediate.Choice{Namespace: "shop", Name: r.Name})
		require.NoError(t, err)
		require.True(t, until(func() bool {
			return w.only().Status.Conditions[len(w.only().Status.Conditions)-1].Reason == "CannotBeTakenBack"
		}))
		assert.Equal(t, v1alpha1.StateSucceeded, w.only().Status.State)
		assert.Contains(t, w.only().Status.Message, "cannot be taken back")
		assert.Len(t, w.api.Effects(), 1)
	})
}

// Somebody else sets another size while it is verified: there is no fight, a person
// is called.
func TestATemplateThatSomebodyElseChangesIsEscalated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(larger(96))
		require.NoError(t, err)
		w.in(v1alpha1.StateVerifying)
		w.changed(func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("64Mi")
		})
		r := w.settled()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State, r.Status.Message)
		assert.Contains(t, r.Status.Message, "somebody else has changed the template")
		assert.EqualValues(t, 64, w.templateLimit())
		assert.Len(t, w.api.Effects(), 1)
	})
}

// A crash between write and status, and then somebody else's write over it: the
// decision has had its one effect.
func TestAWriteThatWasOverwrittenIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 3)
		dead := false
		first := w.start("first", nil)
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			if write.Resource == "deployments" && !dead {
				dead = true
				first.client.CutAt(1, true, first.cancel)
			}
		})
		_, err := first.ask(larger(96))
		require.NoError(t, err)
		require.True(t, until(func() bool { return len(w.api.Effects()) == 1 }))
		first.stop()
		w.changed(func(d *appsv1.Deployment) { // and whoever writes it leaves no trace of us in the owners
			d.Spec.Template.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("64Mi")
			d.ManagedFields = nil
		})
		second := w.start("second", nil)
		defer second.stop()
		r := w.settled()
		assert.Equal(t, v1alpha1.StateEscalated, r.Status.State, r.Status.Message)
		assert.EqualValues(t, 64, w.templateLimit())
		assert.Len(t, w.api.Effects(), 1)
	})
}

// A rollout counts with the pods that its strategy takes at a time, for the budgets
// and for the last ready replica.
func TestARolloutDisruptsWhatItsStrategyTakesAtATime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		replicas int32
		strategy appsv1.DeploymentStrategy
		stopped  string
	}{
		"one by one":              {1, appsv1.DeploymentStrategy{}, ""},
		"a single one, recreated": {1, appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}, "last ready replica"},
		"all, recreated":          {5, appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}, "budget of disruptions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := quiet(t, c.replicas)
				w.changed(func(d *appsv1.Deployment) { d.Spec.Strategy = c.strategy })
				w.spec.RiskCeiling = v1alpha1.RiskCritical
				o := w.start("one", nil)
				defer o.stop()
				var err error
				require.True(t, until(func() bool {
					_, err = o.engine.Create(context.Background(), somebody, asked("rollout_restart", nil))
					return !isNotKnown(err)
				}))
				if c.stopped != "" {
					require.ErrorIs(t, err, remediate.ErrStopped)
					require.ErrorContains(t, err, c.stopped)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State)
			})
		})
	}
}

// What the API server asks only as pods are made is asked before a template changes:
// each pod has its share of what a quota has left, beside what a LimitRange allows a
// pod, and its limit to its request.
func TestATemplateIsHeldToWhatNewPodsMayHave(t *testing.T) {
	t.Parallel()
	most := func(kind corev1.LimitType, item corev1.LimitRangeItem) corev1.LimitRange {
		item.Type = kind
		return corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "most"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}}}
	}
	hard := func(left string) corev1.ResourceQuota {
		list := func(size string) corev1.ResourceList {
			return corev1.ResourceList{corev1.ResourceLimitsMemory: resource.MustParse(size)}
		}
		return corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "all"},
			Status:     corev1.ResourceQuotaStatus{Hard: list(left), Used: list("192Mi")},
		}
	}
	for name, c := range map[string]struct {
		put  func(*kubetest.API)
		want int64 // the limit in MiB
	}{
		"nothing": {func(*kubetest.API) {}, 103},
		"quota":   {func(a *kubetest.API) { a.PutQuota(hard("252Mi")) }, 84},
		"pod": {func(a *kubetest.API) {
			a.PutLimitRange(most(corev1.LimitTypePod, corev1.LimitRangeItem{Max: memoryOf("90Mi")}))
		}, 90},
		"container": {func(a *kubetest.API) {
			a.PutLimitRange(most(corev1.LimitTypeContainer, corev1.LimitRangeItem{Max: memoryOf("80Mi")}))
		}, 80},
		"limit to request": {func(a *kubetest.API) {
			a.PutLimitRange(most(corev1.LimitTypePod, corev1.LimitRangeItem{MaxLimitRequestRatio: memoryOf("3")}))
		}, 96},
		"nothing is left":   {func(a *kubetest.API) { a.PutQuota(hard("192Mi")) }, 64},
		"more than is used": {func(a *kubetest.API) { a.PutQuota(hard("100Mi")) }, 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionResizeInPlace, Mode: v1alpha1.ModeRecommend}}
				w.spec.RiskCeiling = v1alpha1.RiskHigh
				c.put(w.api)
				o := w.start("one", nil)
				defer o.stop()
				if c.want > 64 {
					require.True(t, until(w.ended))
				} else {
					time.Sleep(time.Minute)
					assert.Empty(t, w.api.Remediations("shop"))
				}
				assert.Equal(t, c.want, w.templateLimit())
			})
		})
	}
}

// An OOM kill that nothing in place can cure is answered through the template where
// the policy lets it, and a kill at the new size raises again.
func TestAnOOMKillIsAnsweredThroughTheTemplate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionResizeInPlace, Mode: v1alpha1.ModeRecommend}}
		w.spec.Cooldowns.Raise, w.spec.Cooldowns.Disrupt = v1alpha1.Of(time.Second), v1alpha1.Of(10*time.Second)
		w.spec.RiskCeiling = v1alpha1.RiskHigh
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		assert.EqualValues(t, 103, w.templateLimit())
		again := w.kill("web-3", 103)
		o.events <- again
		require.True(t, until(func() bool {
			made := w.api.Remediations("shop")
			return len(made) == 2 && w.templateLimit() == 206
		}), "%d: %+v", w.templateLimit(), w.api.Remediations("shop"))
		require.True(t, until(w.ended))
		states := map[v1alpha1.RemediationState]int{}
		for _, r := range w.api.Remediations("shop") {
			states[r.Status.State]++
		}
		assert.Equal(t, map[v1alpha1.RemediationState]int{v1alpha1.StateEscalated: 1, v1alpha1.StateSucceeded: 1}, states)
		w.kept()
	})
}
