package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// What was written a moment ago is not looked at at once: it would be under way, and
// other containers that were killed wait for the worker.
func TestTheFirstLookLeavesTheKubeletTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.api.Settle(false)
		o := w.start("one", nil)
		defer o.stop()
		w.in(v1alpha1.StateVerifying)
		before := o.client.Asked()
		time.Sleep(150 * time.Millisecond)
		assert.Equal(t, before, o.client.Asked())
		assert.Empty(t, w.only().Status.Targets[0].Message)
		time.Sleep(time.Second)
		require.NotEmpty(t, w.only().Status.Targets[0].Message)
	})
}

// A container that was killed again and again is left alone by the kubelet for up to
// five minutes: what it was given is judged by how it runs, not by that it does not
// run yet.
func TestAContainerInBackOffIsJudgedOnceItRuns(t *testing.T) {
	t.Parallel()
	killed := func() corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: metav1.NewTime(time.Now())}}
	}
	state := func(s corev1.ContainerState, ready corev1.ConditionStatus) func(*corev1.Pod) *corev1.Pod {
		return func(p *corev1.Pod) *corev1.Pod {
			p.Status.ContainerStatuses[0].State = s
			if s.Waiting != nil {
				p.Status.ContainerStatuses[0].LastTerminationState = killed()
			}
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
			return p
		}
	}
	waits := state(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}, corev1.ConditionFalse)
	runs := func(ready corev1.ConditionStatus) func(*corev1.Pod) *corev1.Pod {
		now := metav1.NewTime(time.Now())
		return state(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}, ready)
	}
	for name, c := range map[string]struct {
		starts func(w *world)
		after  time.Duration // it ends, after the kill
		want   v1alpha1.RemediationState
		why    string
	}{
		"started, and ready later": {
			starts: func(w *world) {
				w.api.ChangePod("shop", "web-0", runs(corev1.ConditionFalse))
				time.Sleep(4 * time.Minute)
				w.api.ChangePod("shop", "web-0", runs(corev1.ConditionTrue))
			},
			after: 9 * time.Minute, want: v1alpha1.StateSucceeded, why: "ready, 0 restarts",
		},
		"started, and never ready": {
			starts: func(w *world) { w.api.ChangePod("shop", "web-0", runs(corev1.ConditionFalse)) },
			after:  10 * time.Minute, want: v1alpha1.StateEscalated, why: "not ready within 5m0s",
		},
		"started, and killed": {
			starts: func(w *world) {
				w.api.ChangePod("shop", "web-0", func(p *corev1.Pod) *corev1.Pod {
					s := &p.Status.ContainerStatuses[0]
					s.RestartCount++
					s.LastTerminationState = killed()
					return p
				})
			},
			after: 5 * time.Minute, want: v1alpha1.StateEscalated, why: "1 OOM kills since it took effect",
		},
		"never started": {
			starts: func(*world) {},
			after:  6 * time.Minute, want: v1alpha1.StateEscalated, why: "not ready within 5m0s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.api.ChangePod("shop", "web-0", waits)
				began := time.Now()
				o := w.start("one", nil)
				defer o.stop()
				w.in(v1alpha1.StateVerifying)
				time.Sleep(5*time.Minute - time.Since(began))
				require.Equal(t, v1alpha1.StateVerifying, w.only().Status.State, w.only().Status.Message)
				assert.Contains(t, w.only().Status.Targets[0].Message, "waits for the kubelet to start it again")
				c.starts(w)
				r := w.settled()
				assert.Equal(t, c.want, r.Status.State, r.Status.Message)
				assert.Contains(t, r.Status.Message, c.why)
				assert.InDelta(t, c.after, time.Since(began), float64(30*time.Second))
				assert.Equal(t, []int64{103}, w.limits("web-0"))
			})
		})
	}
}

// Memory that a person asked for, and that did not help, is taken back by itself only
// where what is used lets it: by now the container may live on it.
func TestMemoryIsTakenBackOnlyWhereItIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		used, samples int64
		state         v1alpha1.RemediationState
		limit         int64
		why           string
	}{
		"not used":     {20 * mi, 1000, v1alpha1.StateRolledBack, 64, "1 restarts since it took effect"},
		"used":         {60 * mi, 1000, v1alpha1.StateEscalated, 80, "it is not taken back: memory_floor"},
		"nobody knows": {20 * mi, 3, v1alpha1.StateEscalated, 80, "it is not taken back: memory_evidence"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := quiet(t, 1)
				w.measured, w.samples, w.used = true, c.samples, c.used
				w.spec.Verification.Window = v1alpha1.Of(5 * time.Minute)
				w.spec.RiskCeiling = v1alpha1.RiskCritical
				o := w.start("one", nil)
				defer o.stop()
				_, err := o.ask(inPlaceTo(80))
				require.NoError(t, err)
				w.in(v1alpha1.StateVerifying)
				time.Sleep(10 * time.Second)
				w.api.ChangePod("shop", "web-0", func(p *corev1.Pod) *corev1.Pod {
					s := &p.Status.ContainerStatuses[0]
					s.RestartCount++
					s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, FinishedAt: metav1.NewTime(time.Now())}
					return p
				})
				r := w.settled()
				assert.Equal(t, c.state, r.Status.State, r.Status.Message)
				assert.Contains(t, r.Status.Message, c.why)
				assert.Equal(t, []int64{c.limit}, w.limits("web-0"))
			})
		})
	}
}
