package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// autoscaled is a world whose Deployment of replicas is at the maximum of its
// autoscaler, under a policy that lets it have ten.
func autoscaled(t *testing.T, replicas int32) *world {
	w := newWorld(t, replicas)
	w.spec.Bounds.MaxReplicas = new(int32(10))
	w.api.PutAutoscaler(&autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			MinReplicas:    new(int32(1)), MaxReplicas: replicas,
		},
	})
	at := timestamppb.Now()
	w.problems = []*rightsizerv1.Event{{
		Id: "full", ProblemId: "full", Type: "hpa.at_maximum", Phase: rightsizerv1.Phase_PHASE_OPENED, Namespace: "shop",
		Object:   &rightsizerv1.ObjectRef{Kind: "HorizontalPodAutoscaler", Name: "web", Uid: "uid-web"},
		Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"}, OccurredTime: at, ObservedTime: at,
		Details: &rightsizerv1.Event_Hpa{Hpa: &rightsizerv1.HpaDetails{TargetKind: "Deployment", TargetName: "web", MinReplicas: 1, MaxReplicas: replicas}},
	}}
	return w
}

// bounds are those of the autoscaler.
func (w *world) bounds() (least, most int32) {
	hpa := w.api.Autoscaler("shop", "web")
	return *hpa.Spec.MinReplicas, hpa.Spec.MaxReplicas
}

// An autoscaler at its maximum is given more room, by half; what it scales is its
// own to say. Killed at any write, the operator does it once.
func TestAnAutoscalerAtItsMaximumIsGivenRoom(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return autoscaled(t, 4) },
		check: func(w *world, when string) {
			r := w.doneOnce(when)
			assert.Empty(w.t, r.Spec.Container)
			assert.JSONEq(w.t, `[{"op":"test","path":"/spec/maxReplicas","value":4},{"op":"replace","path":"/spec/maxReplicas","value":6}]`, r.Spec.Diff)
			least, most := w.bounds()
			assert.Equal(w.t, []int32{1, 6}, []int32{least, most}, when)
			assert.EqualValues(w.t, 4, *w.api.Deployment("shop", "web").Spec.Replicas, "its target is its own")
		},
	})
	assert.GreaterOrEqual(t, kills, 8)
}

// How far is the policy's to say: nothing is done where it says nothing, and never
// more than it says.
func TestAnAutoscalerGoesAsFarAsThePolicySays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bound *int32
		mode  v1alpha1.Mode
		want  int32
	}{
		"no bound":           {nil, v1alpha1.ModeAuto, 4},
		"a bound on the way": {new(int32(5)), v1alpha1.ModeAuto, 5},
		"no mode for it":     {new(int32(10)), v1alpha1.ModeRecommend, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := autoscaled(t, 4)
				w.spec.Bounds.MaxReplicas = c.bound
				w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionScale, Mode: c.mode}}
				o := w.start("one", nil)
				defer o.stop()
				time.Sleep(5 * time.Minute)
				_, most := w.bounds()
				assert.Equal(t, c.want, most)
			})
		})
	}
}

// An autoscaler whose maximum is all that the policy allows is left as it is while it
// runs fewer: it is given no higher minimum in place of the room that there is not.
func TestAnAutoscalerAtAllThatThePolicyAllowsIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := autoscaled(t, 8)
		w.problems[0].GetHpa().MaxReplicas = 10
		w.api.ChangeAutoscaler("shop", "web", "helm", func(h *autoscalingv2.HorizontalPodAutoscaler) { h.Spec.MaxReplicas = 10 })
		o := w.start("one", nil)
		defer o.stop()
		time.Sleep(5 * time.Minute)
		assert.Empty(t, w.api.Remediations("shop"), w.story())
		least, most := w.bounds()
		assert.Equal(t, []int32{1, 10}, []int32{least, most})
	})
}

// asks has a person ask for replicas.
func (o *operator) asks(t *testing.T, replicas int32) (*rightsizerv1.Remediation, error) {
	t.Helper()
	time.Sleep(15 * time.Second) // it has warmed up
	return o.engine.Create(t.Context(), remediate.Person{Name: "ann"}, remediate.Wish{
		Namespace: "shop", Kind: "Deployment", Name: "web", Action: &rightsizerv1.RemediationAction{Kind: "scale", Replicas: replicas},
	})
}

// unasked is a world without a cause; autoscaler says whether it has one, with the
// bounds 2 and 6.
func unasked(t *testing.T, replicas int32, autoscaler bool) *world {
	w := newWorld(t, replicas)
	if autoscaler {
		w = autoscaled(t, replicas)
		w.api.ChangeAutoscaler("shop", "web", "helm", func(h *autoscalingv2.HorizontalPodAutoscaler) {
			h.Spec.MinReplicas, h.Spec.MaxReplicas = new(int32(2)), 6
		})
	}
	w.problems, w.measured = nil, true
	w.spec.Bounds.MaxReplicas = new(int32(10))
	w.spec.RiskCeiling = v1alpha1.RiskCritical
	return w
}

func TestAPersonScales(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		autoscaler bool
		ask        int32
		replicas   int32 // afterwards
		bounds     []int32
		change     func(*world)
		refused    string
	}{
		"out":                              {ask: 6, replicas: 6},
		"out, as far as the policy says":   {ask: 50, replicas: 10},
		"in":                               {ask: 3, replicas: 3},
		"nothing":                          {ask: 4, replicas: 4, refused: "has 4 replicas"},
		"out, within an autoscaler":        {autoscaler: true, ask: 5, replicas: 4, bounds: []int32{5, 6}},
		"out, to its maximum":              {autoscaler: true, ask: 6, replicas: 4, bounds: []int32{6, 6}},
		"out, above its maximum":           {autoscaler: true, ask: 8, replicas: 4, bounds: []int32{2, 8}},
		"in, within an autoscaler":         {autoscaler: true, ask: 3, replicas: 4, bounds: []int32{2, 3}},
		"in, beyond the budget":            {ask: 1, replicas: 4, refused: "budget of disruptions"},
		"in, without a measurement":        {ask: 3, replicas: 4, change: func(w *world) { w.measured = false }, refused: "stale_usage"},
		"in, below an autoscaler's floor":  {autoscaler: true, ask: 1, replicas: 4, bounds: []int32{1, 6}, change: generous},
		"in, and the last ready one stays": {ask: 0, replicas: 4, change: generous, refused: "last ready replica"},
		"0 would switch an autoscaler off": {autoscaler: true, ask: 0, replicas: 4, bounds: []int32{2, 6}, change: generous, refused: "switch it off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := unasked(t, 4, c.autoscaler)
				if c.change != nil {
					c.change(w)
				}
				o := w.start("one", nil)
				defer o.stop()
				_, err := o.asks(t, c.ask)
				if c.refused != "" {
					require.ErrorContains(t, err, c.refused)
					assert.Empty(t, w.api.Writes())
				} else {
					require.NoError(t, err)
					require.True(t, until(w.ended))
					made := w.api.Remediations("shop")[0]
					assert.Equal(t, v1alpha1.StateSucceeded, made.Status.State, made.Status.Message)
					assert.Len(t, w.api.Effects(), 1)
				}
				assert.Equal(t, c.replicas, *w.api.Deployment("shop", "web").Spec.Replicas)
				if c.autoscaler {
					least, most := w.bounds()
					assert.Equal(t, c.bounds[0], least)
					assert.Equal(t, c.bounds[1], most)
				}
				w.kept()
			})
		})
	}
}

// generous gives a world's policy room for everything.
func generous(w *world) {
	w.spec.Bounds.MinReplicas = new(int32(0))
	w.spec.Budgets.Workload.Disruptions, w.spec.Budgets.Namespace.Disruptions = 10, 10
}

// Killed at any write of a scale that a person asked for, the successor does it
// once.
func TestAKillWhileScalingHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return unasked(t, 4, false) }, wish: new(scaled(6)),
		check: func(w *world, when string) {
			w.doneOnce(when)
			assert.EqualValues(w.t, 6, *w.deployment().Spec.Replicas)
		},
	})
	assert.GreaterOrEqual(t, kills, 8)
}

// scaled asks for so many replicas.
func scaled(replicas int32) remediate.Wish {
	wish := asked("scale", nil)
	wish.Action.Replicas = replicas
	return wish
}

// What somebody else set between a crash and the read back stands, even where it is
// the number from before: nobody can tell whether the effect was there meanwhile.
func TestWhatSomebodyElseSetMeanwhileStands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := unasked(t, 4, false)
		first := w.start("first", nil)
		w.api.Hook(func(write kubetest.Write, _ []*v1alpha1.Remediation) {
			if write.Resource == "deployments/scale" {
				first.client.CutAt(1, false, first.cancel) // this one is made, and no further one
			}
		})
		_, err := first.asks(t, 6)
		require.NoError(t, err)
		require.True(t, until(func() bool { return len(w.api.Effects()) == 1 }))
		first.cancel()
		first.stop()
		w.api.Hook(w.watch)
		w.api.ChangeDeployment("shop", "web", "kubectl", func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(4)) })
		second := w.start("second", nil)
		defer second.stop()
		require.True(t, until(w.ended))
		made := w.api.Remediations("shop")[0]
		assert.Equal(t, v1alpha1.StateAborted, made.Status.State, made.Status.Message)
		assert.Contains(t, made.Status.Message, "somebody else")
		assert.EqualValues(t, 4, *w.api.Deployment("shop", "web").Spec.Replicas)
		assert.Len(t, w.api.Effects(), 1)
	})
}

// Replicas that never come up are taken away again, by compare-and-set; unless
// somebody else has set another number since.
func TestReplicasThatDoNotComeUpAreTakenBack(t *testing.T) {
	t.Parallel()
	for _, other := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := unasked(t, 4, false)
			w.api.Settle(false)
			o := w.start("one", nil)
			defer o.stop()
			_, err := o.asks(t, 6)
			require.NoError(t, err)
			require.True(t, until(func() bool { return len(w.api.Effects()) == 1 }))
			want, state := int32(4), v1alpha1.StateRolledBack
			if other {
				w.api.ChangeDeployment("shop", "web", "kubectl", func(d *appsv1.Deployment) {
					d.Spec.Replicas, d.Status.ReadyReplicas = new(int32(5)), 3
					d.Status.ObservedGeneration = d.Generation
				})
				want, state = 5, v1alpha1.StateEscalated
			}
			require.True(t, until(w.ended))
			made := w.api.Remediations("shop")[0]
			assert.Equal(t, state, made.Status.State, made.Status.Message)
			assert.Equal(t, want, *w.api.Deployment("shop", "web").Spec.Replicas)
		})
	}
}
