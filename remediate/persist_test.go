package remediate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// all are the memory limits of all pods of web in MiB.
func (w *world) all() (out []int64) {
	for n := range 200 {
		out = append(out, w.limits(fmt.Sprintf("web-%d", n))...)
	}
	return out
}

// every says whether there are so many pods, all with this limit.
func (w *world) every(count int, limit int64) func() bool {
	return func() bool {
		all := w.all()
		return len(all) == count && !slices.ContainsFunc(all, func(l int64) bool { return l != limit })
	}
}

func (w *world) states(kind v1alpha1.ActionKind) (out []v1alpha1.RemediationState) {
	for _, r := range w.api.Remediations("shop") {
		if r.Spec.Action.Kind == kind {
			out = append(out, r.Status.State)
		}
	}
	return out
}

// The cure holds as the workload is scaled up, as a pod is deleted and as a rollout
// happens: in each mode, also before the template has it, and where it never does.
func TestACureHoldsInEachModeOfPersistence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		persistence v1alpha1.Persistence
		template    v1alpha1.Mode
		limit       int64 // of the template in the end
		kept        []v1alpha1.RemediationState
	}{
		"NewPods":                         {v1alpha1.PersistNewPods, v1alpha1.ModeAuto, 64, nil},
		"Template":                        {v1alpha1.PersistTemplate, v1alpha1.ModeAuto, 103, []v1alpha1.RemediationState{v1alpha1.StateSucceeded}},
		"Template, waiting for a person":  {v1alpha1.PersistTemplate, v1alpha1.ModeApprove, 64, []v1alpha1.RemediationState{v1alpha1.StatePendingApproval}},
		"Template, which is not allowed":  {v1alpha1.PersistTemplate, v1alpha1.ModeRecommend, 64, nil},
		"Template, which is only dry-run": {v1alpha1.PersistTemplate, v1alpha1.ModeDryRun, 64, []v1alpha1.RemediationState{v1alpha1.StateDryRun}},
		"Export":                          {v1alpha1.PersistExport, v1alpha1.ModeAuto, 64, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				w.spec.Persistence = c.persistence
				w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionResizeTemplate, Mode: c.template}}
				w.spec.Approval.Expiry = v1alpha1.Of(24 * time.Hour)
				o := w.start("one", nil)
				defer o.stop()
				require.True(t, until(w.every(3, 103)))
				require.True(t, until(func() bool {
					return slices.Contains(w.states(v1alpha1.ActionResizeInPlace), v1alpha1.StateSucceeded) && slices.Equal(w.states(v1alpha1.ActionResizeTemplate), c.kept)
				}), "%v", w.states(v1alpha1.ActionResizeTemplate))
				assert.Equal(t, c.limit, w.templateLimit())
				require.True(t, until(w.every(3, 103)))

				w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(5)) })
				require.True(t, until(w.every(5, 103)), "scaled up: %v", w.all())
				w.api.ChangePod("shop", w.first(), func(*corev1.Pod) *corev1.Pod { return nil })
				w.changed(func(*appsv1.Deployment) {}) // and its successor comes
				require.True(t, until(w.every(5, 103)), "a pod deleted: %v", w.all())
				w.changed(func(d *appsv1.Deployment) {
					d.Spec.Template.Annotations = map[string]string{"version": "2"}
				})
				require.True(t, until(w.every(5, 103)), "rolled out: %v", w.all())
				assert.Equal(t, c.limit, w.templateLimit())
				assert.Equal(t, c.kept, w.states(v1alpha1.ActionResizeTemplate), "decided once")
				w.kept()
			})
		})
	}
}

// first is the first pod that there is.
func (w *world) first() string {
	for n := range 40 {
		if name := fmt.Sprintf("web-%d", n); w.api.Pod("shop", name) != nil {
			return name
		}
	}
	return ""
}

// The template is patched once and kept through a kill at any write; the trail
// names the cure that it follows.
func TestACureIsPutIntoTheTemplateThroughAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world {
			w := newWorld(t, 2)
			w.spec.Persistence = v1alpha1.PersistTemplate
			return w
		},
		done: func(w *world) bool {
			return slices.Equal(w.states(v1alpha1.ActionResizeTemplate), []v1alpha1.RemediationState{v1alpha1.StateSucceeded})
		},
		check: func(w *world, when string) {
			assert.EqualValues(w.t, 2, w.deployment().Generation, "%s: one rollout", when)
			require.Len(w.t, w.api.Remediations("shop"), 2, when)
			template := w.firstOf(v1alpha1.ActionResizeTemplate)
			assert.Equal(w.t, "remediation.lasts", template.Spec.Cause.Type)
			assert.Contains(w.t, template.Spec.Reason, string(template.Spec.Action.Parameters["follows"]))
			assert.True(w.t, w.every(2, 103)(), "%v", w.all())
		},
	})
	assert.GreaterOrEqual(t, kills, 20)
}

// A size whose pods went before it was verified has proven nothing: the template is
// left as it is.
func TestACureThatNobodySawToItsEndIsNotPutIntoTheTemplate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Persistence = v1alpha1.PersistTemplate
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		time.Sleep(3 * time.Second)
		w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) })
		w.api.ChangePod("shop", "web-0", func(*corev1.Pod) *corev1.Pod { return nil })
		w.in(v1alpha1.StateSucceeded)
		time.Sleep(10 * time.Minute)
		assert.Empty(t, w.states(v1alpha1.ActionResizeTemplate))
		assert.EqualValues(t, 64, w.templateLimit())
	})
}

// A cure that took several raises is given to a new pod at once, which begins with
// the size before the first of them.
func TestALargeCureIsGivenToNewPodsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Cooldowns.Raise = v1alpha1.Of(time.Second)
		o := w.start("one", nil)
		defer o.stop()
		for _, step := range []struct{ killed, given int64 }{{64, 103}, {103, 206}, {206, 412}} {
			if step.killed > 64 {
				o.events <- w.kill("web-0", step.killed)
			}
			require.True(t, until(w.every(1, step.given)), "%v", w.all())
		}
		require.True(t, until(w.ended))
		w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(3)) })
		o.events <- w.started()
		require.True(t, until(w.every(3, 412)), "%v", w.all())
		w.kept()
	})
}

// A pod that was there already and was never killed is not restarted to be given what
// another one needed; one that comes later begins with it.
func TestACureDoesNotRestartHealthyPods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.changed(func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{
				ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer,
			}}
		})
		time.Sleep(time.Hour) // the rollout is long over
		w.problems = []*rightsizerv1.Event{w.kill(w.first(), 64)}
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended), w.story())
		o.events <- w.started()
		time.Sleep(time.Hour)
		assert.Equal(t, []int64{103, 64, 64}, w.all())
		w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(4)) })
		o.events <- w.started()
		time.Sleep(time.Hour)
		assert.Equal(t, []int64{103, 64, 64, 103}, w.all())
	})
}

// Where the policy has come to dry runs since, a cure is not tried out anew with each
// pod that starts.
func TestACureThatIsOnlyDryRunIsNotMadeAgainAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		first := w.start("first", nil)
		require.True(t, until(w.ended))
		first.stop()
		w.problems = nil
		w.spec.Mode = v1alpha1.ModeDryRun
		o := w.start("one", nil)
		defer o.stop()
		w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(3)) })
		for range 10 {
			o.events <- w.started()
			time.Sleep(time.Minute)
		}
		assert.ElementsMatch(t, []v1alpha1.RemediationState{v1alpha1.StateSucceeded, v1alpha1.StateDryRun}, w.states(v1alpha1.ActionResizeInPlace), w.story())
	})
}

// What has to last is kept as long as it does, and no longer.
func TestARecordIsKeptAsLongAsItsCureLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		w.mu.Lock()
		w.problems, w.later = nil, 8*24*time.Hour
		w.mu.Unlock()
		time.Sleep(21 * time.Minute) // it tidies every ten
		require.Len(t, w.api.Remediations("shop"), 1)
		w.changed(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Resources.Limits = memoryOf("128Mi") })
		time.Sleep(21 * time.Minute)
		assert.Empty(t, w.api.Remediations("shop"), "somebody else has decided since")
	})
}

// Under an autoscaler each wave of new pods makes a decision of its own. Only what new
// pods still need of them outlives its week: a namespace never fills up with them.
func TestWavesOfNewPodsDoNotFillANamespace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.spec.Cooldowns.Raise = v1alpha1.Of(time.Second)
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.every(2, 103)))
		o.events <- w.kill("web-0", 103)
		require.True(t, until(w.every(2, 206)), w.story())
		require.True(t, until(w.ended))
		w.mu.Lock()
		w.problems = nil
		w.mu.Unlock()
		w.api.ChangePod("shop", "web-1", limited("64Mi")) // by somebody's hand
		const day = 4                                     // waves
		for wave := range 12 * day {
			w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(3)) })
			o.events <- w.started()
			require.True(t, until(func() bool { return slices.Equal(w.all(), []int64{206, 64, 206}) }), "wave %d: %v", wave, w.all())
			w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(2)) })
			require.True(t, until(w.ended))
			w.goOn(24 * time.Hour / day)
		}
		time.Sleep(11 * time.Minute) // it tidies every ten
		assert.LessOrEqual(t, len(w.api.Remediations("shop")), 1+7*day, "what gave it to pods that are there, and a week of waves")
		w.goOn(30 * 24 * time.Hour)
		time.Sleep(11 * time.Minute)
		assert.Len(t, w.api.Remediations("shop"), 2, "the last wave's led from where new pods begin: %s", w.story())
		w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(3)) })
		o.events <- w.started()
		require.True(t, until(func() bool { return slices.Equal(w.all(), []int64{206, 64, 206}) }), "%v", w.all())
		w.kept()
	})
}

// goOn lets the world's clock go ahead.
func (w *world) goOn(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.later += by
}

// Where a namespace is full, a cure for new pods waits for room, and that is told: not
// with each look at them.
func TestAFullNamespaceIsToldOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		client, err := kube.New(w.api.Client().Config())
		require.NoError(t, err)
		for n := len(w.api.Remediations("shop")); n < remediate.MaxPerNamespace; n++ {
			r := &v1alpha1.Remediation{}
			r.Namespace, r.Name = "shop", fmt.Sprintf("filler-%d", n)
			r.Spec.Workload.Kind, r.Spec.Workload.Name, r.Spec.Workload.UID = "Deployment", "other", "uid-other"
			_, err := client.CreateRemediation(t.Context(), r, false)
			require.NoError(t, err)
			w.api.ChangeRemediation("shop", r.Name, func(s *v1alpha1.RemediationStatus) {
				s.State, s.FinishTime = v1alpha1.StateCancelled, new(metav1.NowMicro())
			})
		}
		time.Sleep(time.Second) // it has seen them
		w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(2)) })
		o.events <- w.started()
		time.Sleep(time.Minute)
		before := o.client.Asked()
		time.Sleep(time.Hour)
		assert.Less(t, o.client.Asked()-before, 200, "looks at workload and pods, three requests a minute, and no dry run")
		told := 0
		w.mu.Lock()
		for _, n := range w.notices {
			if n.Reason == "RemediationRefused" && strings.Contains(n.Note, "(full)") {
				told++
			}
		}
		w.mu.Unlock()
		assert.Positive(t, told)
		assert.LessOrEqual(t, told, 8)
		assert.Equal(t, []int64{103, 64}, w.all())

		w.goOn(8 * 24 * time.Hour)
		require.True(t, until(w.every(2, 103)), "there is room again: %v", w.all())
	})
}

// What a person approved holds for every pod that comes later, however many waves of
// them, also when the decisions of those between are gone.
func TestAnApprovedCureHoldsForEveryWave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unapproved(t, 1)
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StatePendingApproval)
		approved := w.only().Name
		_, err := o.engine.Approve(t.Context(), another, remediate.Choice{Namespace: "shop", Name: approved})
		require.NoError(t, err)
		w.in(v1alpha1.StateSucceeded)
		w.mu.Lock()
		w.problems = nil
		w.mu.Unlock()
		w.changed(func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{"version": "2"} })
		for wave := range int32(4) { // none of the pods is left that it was approved for
			w.grow(wave + 1)
			o.events <- w.started()
			require.True(t, until(w.every(int(wave)+1, 103)), "wave %d: %s", wave, w.story())
			require.True(t, until(w.ended))
			w.goOn(8 * 24 * time.Hour)
			time.Sleep(11 * time.Minute)
		}
		for _, r := range w.api.Remediations("shop") {
			if r.Name != approved {
				assert.EqualValues(t, approved, r.Spec.Action.Parameters["follows"])
				assert.Contains(t, r.Spec.Reason, "bob approved")
			}
		}
		w.kept()
	})
}
