package remediate_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

func node(name, memory string) corev1.Node {
	return corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse(memory), corev1.ResourceCPU: resource.MustParse("4"),
		}},
	}
}

// inPlace is the first decision to resize in place, restarted that to restart a pod;
// nil where there is none.
func (w *world) inPlace() *v1alpha1.Remediation   { return w.firstOf(v1alpha1.ActionResizeInPlace) }
func (w *world) restarted() *v1alpha1.Remediation { return w.firstOf(v1alpha1.ActionRestartPod) }

func (w *world) firstOf(kind v1alpha1.ActionKind) (out *v1alpha1.Remediation) {
	for _, r := range w.api.Remediations("shop") {
		if r.Spec.Action.Kind == kind && (out == nil || r.CreationTimestamp.Before(&out.CreationTimestamp)) {
			out = r
		}
	}
	return out
}

// short is a world of two replicas on a node that has no room, beside another one.
func short(t *testing.T, reason, elsewhere string) *world {
	return shortOf(t, 2, reason, elsewhere)
}

func shortOf(t *testing.T, replicas int32, reason, elsewhere string) *world {
	w := newWorld(t, replicas, node("a", "1Gi"), node("b", elsewhere))
	w.api.Short("a", reason)
	w.spec.Cooldowns.Disrupt = v1alpha1.Of(10 * time.Second)
	return w
}

// The plan for each of what a kubelet may say: one that never will is not waited
// for, one that may is waited for; then the pod is made anew on another node, where
// it is given its size; where there is none, a person is called.
func TestTheNodeHasNoRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason, elsewhere string
		mode              v1alpha1.Mode
		after             time.Duration // at least
		within            time.Duration
		what              string
	}{
		"never, but elsewhere":        {corev1.PodReasonInfeasible, "1Gi", v1alpha1.ModeAuto, 0, 10 * time.Second, "a new pod in its place is asked for"},
		"not now, but elsewhere":      {corev1.PodReasonDeferred, "1Gi", v1alpha1.ModeAuto, 5 * time.Minute, 6 * time.Minute, "a new pod in its place is asked for"},
		"never, and nowhere":          {corev1.PodReasonInfeasible, "16Mi", v1alpha1.ModeAuto, 0, 10 * time.Second, "none of 2 nodes could hold"},
		"never, and nobody may":       {corev1.PodReasonInfeasible, "1Gi", v1alpha1.ModeRecommend, 0, 10 * time.Second, "in mode Recommend for restart_pod"},
		"never, and a person decides": {corev1.PodReasonInfeasible, "1Gi", v1alpha1.ModeApprove, 0, 10 * time.Second, "a new pod in its place is asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := short(t, c.reason, c.elsewhere)
				w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionRestartPod, Mode: c.mode}}
				o := w.start("one", nil)
				defer o.stop()
				require.True(t, until(func() bool { return w.inPlace() != nil && w.inPlace().Status.State == v1alpha1.StateEscalated }))
				r := w.inPlace()
				took := r.Status.FinishTime.Sub(r.Status.StartTime.Time)
				assert.GreaterOrEqual(t, took, c.after)
				assert.LessOrEqual(t, took, c.within)
				assert.Contains(t, r.Status.Message, "Node didn't have enough resource")
				assert.Contains(t, r.Status.Message, c.what)
				switch {
				case !strings.Contains(c.what, "asked for"):
					time.Sleep(time.Minute)
					assert.Nil(t, w.restarted())
				case c.mode == v1alpha1.ModeApprove:
					require.True(t, until(func() bool { return w.restarted().Status.State == v1alpha1.StatePendingApproval }))
				default:
					require.True(t, until(func() bool { return w.restarted().Status.State == v1alpha1.StateSucceeded }), "%+v", w.restarted())
					assert.Equal(t, "remediation.not_in_force", w.restarted().Spec.Cause.Type)
					require.True(t, until(func() bool { return w.limits("web-2")[0] == 103 }))
					assert.Equal(t, "b", w.api.Pod("shop", "web-2").Spec.NodeName)
				}
				assert.NotNil(t, w.api.Pod("shop", "web-1"), "one at a time")
				w.kept()
			})
		})
	}
}

// Where the first pod of a decision has gone meanwhile, it is the next one that is
// asked about, and made anew.
func TestThePodThatIsMadeAnewIsTheOneThatIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := shortOf(t, 3, corev1.PodReasonDeferred, "1Gi")
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool { return len(w.api.Effects()) == 3 }))
		time.Sleep(time.Minute)
		require.Equal(t, "web-0", w.inPlace().Status.Targets[0].Pod)
		w.api.ChangePod("shop", "web-0", func(*corev1.Pod) *corev1.Pod { return nil })
		w.api.ChangePod("shop", "web-1", func(p *corev1.Pod) *corev1.Pod {
			for i := range p.Status.Conditions {
				if c := &p.Status.Conditions[i]; c.Type == corev1.PodResizePending {
					c.Reason = corev1.PodReasonInfeasible
				}
			}
			return p
		})
		require.True(t, until(func() bool { return w.inPlace().Status.State == v1alpha1.StateEscalated }))
		assert.Contains(t, w.inPlace().Status.Message, "infeasible on this node")
		assert.Contains(t, w.inPlace().Status.Message, "a new pod in its place is asked for")
		require.NotNil(t, w.restarted(), w.story())
		assert.EqualValues(t, "web-1", w.restarted().Spec.Action.Parameters["pod"])
	})
}

// The next pod that is killed at less than its spec says is made anew in its turn:
// the resize that it was to have has ended, and is not in force.
func TestAPodThatIsKilledAtLessThanItsSpecIsMadeAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := short(t, corev1.PodReasonInfeasible, "1Gi")
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool { return w.restarted() != nil && w.ended() }))
		assert.Equal(t, []int64{103, 103}, w.limits("web-1", "web-2"))
		require.Equal(t, "a", w.api.Pod("shop", "web-1").Spec.NodeName)
		o.events <- w.kill("web-1", 64)
		require.True(t, until(func() bool { return w.api.Pod("shop", "web-1") == nil }), "%s", w.story())
		require.True(t, until(func() bool { return w.ended() && w.limits("web-3")[0] == 103 }))
		w.kept()
	})
}

func TestAPodIsMadeAnewThroughAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return short(t, corev1.PodReasonInfeasible, "1Gi") },
		done: func(w *world) bool {
			return w.restarted() != nil && w.restarted().Status.State == v1alpha1.StateSucceeded && w.limits("web-2")[0] == 103
		},
		check: func(w *world, when string) {
			evicted := 0
			for _, effect := range w.api.Effects() {
				if effect.Resource == "pods/eviction" {
					evicted++
				}
			}
			assert.Equal(w.t, 1, evicted, when)
		},
	})
	assert.GreaterOrEqual(t, kills, 20)
}

// A resize that is neither in force nor refused is the kubelet getting lost
// (kubernetes#138760): it is waited for, then the pod is made anew.
func TestAResizeThatIsNeverInForceIsEscalated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.api.Settle(false)
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool { return w.inPlace() != nil && w.inPlace().Status.State == v1alpha1.StateEscalated }))
		assert.Contains(t, w.inPlace().Status.Message, "the kubelet has not seen it yet")
		assert.Contains(t, w.inPlace().Status.Message, "the memory it was given is not taken back; a new pod in its place is asked for")
		require.True(t, until(func() bool { return w.restarted().Status.State == v1alpha1.StateSucceeded }))
		assert.Nil(t, w.api.Pod("shop", "web-0"))
		w.kept()
	})
}

// More is asked for than the pod's node could ever give: as much as it can is, or
// nothing in place.
func TestWhatTheNodeCouldNeverGiveIsNotAskedFor(t *testing.T) {
	t.Parallel()
	for capacity, limit := range map[string]int64{"96Mi": 96, "64Mi": 64, "1Gi": 103} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldOf(t, 1, "64Mi", node("a", capacity))
			o := w.start("one", nil)
			defer o.stop()
			time.Sleep(time.Minute)
			assert.Equal(t, []int64{limit}, w.limits("web-0"), capacity)
			w.kept()
		})
	}
}
