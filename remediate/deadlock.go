package remediate

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const (
	// deadFor is how long a pod that runs has not been ready, at least, before it
	// counts as one that does not come back by itself.
	deadFor = 3 * time.Minute
	// otherFirst is how soon it is looked at again where another pod of the workload
	// is being restarted.
	otherFirst = 30 * time.Second
)

// deadlocked judges a pod whose readiness probe keeps failing while it runs: nobody
// restarts it, as the kubelet does where a liveness probe fails. It is answered by
// restart_pod only where a policy names that action: a general mode Auto does not
// say that pods are restarted for their probes. It returns true where it is to be
// answered now, else the events that are to be judged again, and when.
func (e *Engine) deadlocked(ctx context.Context, key workloadKey, s *seen, container string, events []*rightsizerv1.Event) (bool, []*rightsizerv1.Event, time.Duration) {
	if !s.policy.Names(v1alpha1.ActionRestartPod) || s.pod == nil {
		return false, nil, 0
	}
	since, dead := unready(s.pod)
	if !dead {
		return false, nil, 0
	}
	if left := since.Add(deadFor).Sub(e.now()); left > 0 {
		return false, events, left
	}
	if open, _ := e.book.row(row{s.workload.UID, container, v1alpha1.ActionRestartPod}); open != nil &&
		string(open.Spec.Action.Parameters[action.ParameterPodUID]) != string(s.pod.UID) {
		return false, events, otherFirst
	}
	if s.workload.Replicas > 1 && s.workload.Ready == 0 {
		e.decline(ctx, key, s.begun, events, "none_ready", fmt.Sprintf("none of %d replicas is ready: what they wait for is elsewhere", s.workload.Replicas))
		return false, nil, 0
	}
	return true, nil, 0
}

// unready says since when a pod whose containers all run has not been ready; false
// where it is ready, or something of it does not run.
func unready(pod *corev1.Pod) (time.Time, bool) {
	if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
		return time.Time{}, false
	}
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].State.Running == nil {
			return time.Time{}, false
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionFalse {
			return c.LastTransitionTime.Time, true
		}
	}
	return time.Time{}, false
}

// restartOf is the subject of a restart that answers it.
func restartOf(s *seen, container string) *action.Subject {
	return &action.Subject{
		Container: container, Workload: s.workload, Policy: s.policy, Pod: s.pod.Name, PodUID: string(s.pod.UID),
		Want: v1alpha1.RemediationAction{Kind: v1alpha1.ActionRestartPod, Parameters: map[string]v1alpha1.ParameterValue{
			action.ParameterPod: v1alpha1.ParameterValue(s.pod.Name), action.ParameterPodUID: v1alpha1.ParameterValue(s.pod.UID),
		}},
	}
}

// isCause says whether something may be done about an event.
func isCause(ev *rightsizerv1.Event) bool {
	switch ev.GetType() {
	case guard.TypeOOM:
		return true
	case guard.TypeAtMaximum, guard.TypeNotReady:
		return ev.GetPhase() != rightsizerv1.Phase_PHASE_RESOLVED
	}
	return false
}
