package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// deaf makes a pod run without being ready, from now on, and is the event of it.
func (w *world) deaf(pod string) *rightsizerv1.Event {
	w.api.ChangePod("shop", pod, func(p *corev1.Pod) *corev1.Pod {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}}
		p.Status.ContainerStatuses[0].Ready = false
		return p
	})
	ev := w.kill(pod, 0)
	ev.Type, ev.Details = "pod.probe_failed.readiness", nil
	return ev
}

// A pod that runs and does not become ready again is restarted, after a while, where
// the policy names that; a general mode Auto does not say so.
func TestADeadlockedPod(t *testing.T) {
	t.Parallel()
	named := func(mode v1alpha1.Mode) []v1alpha1.ActionMode {
		return []v1alpha1.ActionMode{{Action: v1alpha1.ActionRestartPod, Mode: mode}}
	}
	for name, c := range map[string]struct {
		modes  []v1alpha1.ActionMode
		change func(*world)
		want   []v1alpha1.RemediationState
	}{
		"is restarted where a policy names it":      {named(v1alpha1.ModeAuto), nil, []v1alpha1.RemediationState{v1alpha1.StateSucceeded}},
		"waits for a person where it says so":       {named(v1alpha1.ModeApprove), nil, []v1alpha1.RemediationState{v1alpha1.StatePendingApproval}},
		"is left alone by a general mode Auto":      {nil, nil, nil},
		"is left alone where restarts are off":      {named(v1alpha1.ModeRecommend), nil, nil},
		"that comes back by itself is left alone":   {named(v1alpha1.ModeAuto), func(w *world) { w.ready("web-1") }, nil},
		"whose container does not run is not dead":  {named(v1alpha1.ModeAuto), func(w *world) { w.waits("web-1") }, nil},
		"as all others are: it is not theirs alone": {named(v1alpha1.ModeAuto), func(w *world) { w.deaf("web-0"); w.deaf("web-2") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := quiet(t, 3)
				w.spec.Modes = c.modes
				o := w.start("one", nil)
				defer o.stop()
				o.events <- w.deaf("web-1")
				time.Sleep(2 * time.Minute)
				assert.Empty(t, w.api.Remediations("shop"), "too early to say")
				if c.change != nil {
					c.change(w)
				}
				time.Sleep(3 * time.Minute)
				assert.Equal(t, c.want, w.states(v1alpha1.ActionRestartPod), w.story())
				if len(c.want) > 0 && c.want[0] == v1alpha1.StateSucceeded {
					assert.Nil(t, w.api.Pod("shop", "web-1"))
					assert.Equal(t, "pod.probe_failed.readiness", w.only().Spec.Cause.Type)
				} else {
					assert.Empty(t, w.api.Effects())
				}
				w.kept()
			})
		})
	}
}

// Two of five: the second in its turn, after the first.
func TestDeadlockedPodsAreRestartedOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 5)
		w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionRestartPod, Mode: v1alpha1.ModeAuto}}
		w.spec.Cooldowns.Disrupt = v1alpha1.Of(10 * time.Second)
		o := w.start("one", nil)
		defer o.stop()
		o.events <- w.deaf("web-1")
		o.events <- w.deaf("web-3")
		require.True(t, until(func() bool { return w.api.Pod("shop", "web-1") == nil && w.api.Pod("shop", "web-3") == nil }), w.story())
		require.True(t, until(w.ended))
		made := w.api.Remediations("shop")
		require.Len(t, made, 2)
		first, second := made[0], made[1]
		if second.Status.StartTime.Before(first.Status.StartTime) {
			first, second = second, first
		}
		assert.False(t, second.Status.StartTime.Before(first.Status.FinishTime), "one after the other")
		w.kept()
	})
}

// An OOM kill and a probe of the same container are two causes.
func TestAProbeDoesNotHideAnOOMKill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.problems = append(w.problems, w.deaf("web-0"))
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.every(2, 103)))
	})
}

func (w *world) ready(pod string) {
	w.api.ChangePod("shop", pod, func(p *corev1.Pod) *corev1.Pod {
		p.Status.Conditions[0].Status = corev1.ConditionTrue
		return p
	})
}

func (w *world) waits(pod string) {
	w.api.ChangePod("shop", pod, func(p *corev1.Pod) *corev1.Pod {
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		return p
	})
}
