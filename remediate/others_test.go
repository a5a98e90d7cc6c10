package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// limited is a pod with another memory limit, in force, by somebody's hand; empty is
// none.
func limited(limit string) func(*corev1.Pod) *corev1.Pod {
	return func(p *corev1.Pod) *corev1.Pod {
		c := &p.Spec.Containers[0]
		if c.Resources.Limits = nil; limit != "" {
			c.Resources.Limits = memoryOf(limit)
		}
		p.Status.ContainerStatuses[0].Resources = c.Resources.DeepCopy()
		p.Generation, p.Status.ObservedGeneration = p.Generation+1, p.Generation+1
		return p
	}
}

// What the guards judged, and a person saw, is the change of one pod. Another pod is
// given the same where that takes no more away; else it is left as it is.
func TestNoOtherPodIsLoweredByMoreThanWasJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other string // the limit of the other pod
		ask   int64
		want  []int64
		left  string
	}{
		"raised, the other too":              {"72Mi", 80, []int64{80, 80}, ""},
		"raised, the other has more":         {"400Mi", 80, []int64{80, 400}, "left as it is"},
		"raised, the other has no limit":     {"", 80, []int64{80, 0}, "left as it is"},
		"lowered, the other too":             {"64Mi", 48, []int64{48, 48}, ""},
		"lowered, the other has less":        {"40Mi", 48, []int64{48, 48}, ""},
		"lowered, the other by more than it": {"96Mi", 48, []int64{48, 96}, "left as it is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := quiet(t, 2)
				w.measured, w.samples = true, 1000
				w.spec.RiskCeiling = v1alpha1.RiskCritical
				w.api.ChangePod("shop", "web-1", limited(c.other))
				o := w.start("one", nil)
				defer o.stop()
				wish := inPlaceTo(c.ask)
				wish.Action.Parameters = map[string]string{"pod": "web-0"}
				_, err := o.ask(wish)
				require.NoError(t, err)
				r := w.settled()
				assert.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
				assert.Equal(t, c.want, w.limits("web-0", "web-1"))
				if c.left == "" {
					return
				}
				require.Len(t, r.Status.Targets, 2)
				assert.Equal(t, "web-1", r.Status.Targets[1].Pod)
				assert.Equal(t, v1alpha1.TargetFailed, r.Status.Targets[1].Result)
				assert.Contains(t, r.Status.Targets[1].Message, c.left)
			})
		})
	}
}

// Nor is the pod itself, where somebody gives it more between what was judged and
// what is written.
func TestWhatSomebodyRaisesMeanwhileIsNotLowered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 1)
		w.measured, w.samples = true, 1000
		once := false
		w.api.Hook(func(write kubetest.Write, made []*v1alpha1.Remediation) {
			w.watch(write, made)
			if write.Resource == "pods/resize" && !once {
				once = true
				w.api.Meanwhile("shop", "web-0", limited("400Mi"))
			}
		})
		o := w.start("one", nil)
		defer o.stop()
		_, err := o.ask(inPlaceTo(80))
		require.NoError(t, err)
		r := w.settled()
		assert.Equal(t, v1alpha1.StateAborted, r.Status.State)
		assert.Contains(t, r.Status.Message, "left as it is")
		assert.Equal(t, []int64{400}, w.limits("web-0"))
		assert.Empty(t, w.api.Effects())
	})
}

// A cure that is given to a new pod is for pods that begin as it did: not for those
// that somebody has set by hand.
func TestANewPodsCureLeavesWhatSomebodySet(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"taken back": "64Mi", "another size": "80Mi"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				o := w.start("one", nil)
				defer o.stop()
				require.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State)
				w.api.ChangePod("shop", "web-1", limited(limit))
				by := w.limits("web-1")
				w.changed(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(4)) })
				o.events <- w.started()
				require.True(t, until(func() bool { return len(w.limits("web-3")) == 1 && w.limits("web-3")[0] == 103 }), w.story())
				time.Sleep(time.Hour)
				assert.Equal(t, []int64{103, by[0], 103, 103}, w.all())
				w.kept()
			})
		})
	}
}
