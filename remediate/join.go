package remediate

import (
	"context"
	"fmt"
	"slices"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// join lets causes join the open decision for the same container. It returns true
// where there is none, or where the causes show that it was not enough.
func (e *Engine) join(ctx context.Context, s *seen, container string, events []*rightsizerv1.Event) bool {
	for _, kind := range answers(events[len(events)-1]) {
		open, _ := e.book.row(row{s.workload.UID, container, kind})
		if open != nil {
			return e.joinTo(ctx, s, open, events)
		}
	}
	return true
}

func (e *Engine) joinTo(ctx context.Context, s *seen, r *v1alpha1.Remediation, events []*rightsizerv1.Event) bool {
	ev := events[len(events)-1]
	if ev.GetType() == guard.TypeOOM && plan.Began(r.Status.State) && guard.FromRemediation(r).Memory == guard.Same {
		e.waiting.again(workloadOf(r), events, retryLater) // of CPU alone: it is no answer, and in the way of one
		return false
	}
	if t := tooSmall(r, ev); t != nil {
		if !plan.May(r.Status.State, v1alpha1.StateEscalated) {
			// Its other pods wait, and what they wait for holds a larger raise up too.
			e.waiting.again(workloadOf(r), events, retryLater)
			return false
		}
		why := fmt.Sprintf("pod %s was OOM-killed again at what it was given", t.Pod)
		evidence := &v1alpha1.VerificationEvidence{}
		if r.Status.Verification != nil {
			evidence = r.Status.Verification.DeepCopy()
		}
		evidence.OOMKills = new(int32(1))
		if _, err := e.conclude(ctx, r, v1alpha1.StateEscalated, why+": more is needed", evidence); err != nil {
			e.waiting.again(workloadOf(r), events, retrySoon)
			return false
		}
		return true
	}
	var fresh []v1alpha1.Cause
	var joining []*rightsizerv1.Event
	for _, ev := range events {
		if !hasCause(r, ev.GetId()) {
			fresh, joining = append(fresh, causeFrom(ev)), append(joining, ev)
		}
	}
	if len(fresh) == 0 {
		return false
	}
	next, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.JoinedCauses += int32(len(fresh))
		status.Causes = append(status.Causes, fresh...)
		if over := len(status.Causes) - v1alpha1.MaxCauses; over > 0 {
			status.Causes = status.Causes[over:]
		}
		return nil
	})
	if err != nil {
		e.waiting.again(workloadOf(r), events, retrySoon)
		return false
	}
	e.traceCauses(ctx, workloadOf(next), s.begun, joining, tracing.Decision{Outcome: tracing.Joined, Joined: e.ref(next)})
	e.extend(ctx, next, s)
	return false
}

// tooSmall is the target that was killed at what this decision gave it; nil where
// the kill was one at less, or one that it answers, and where it gave nothing: what was
// taken is given back by the verification, which sees the kill.
func tooSmall(r *v1alpha1.Remediation, ev *rightsizerv1.Event) *v1alpha1.Target {
	killed := ev.GetOomKilled().GetMemoryLimitBytes()
	if killed == 0 || guard.FromRemediation(r).Memory != guard.Raise || !plan.Began(r.Status.State) || hasCause(r, ev.GetId()) {
		return nil
	}
	for i := range r.Status.Targets {
		t := &r.Status.Targets[i]
		ofPod := t.UID == ev.GetObject().GetUid()
		ofAll := t.Pod == "" && t.UID == r.Spec.Workload.UID
		if !ofPod && !ofAll || t.Result != v1alpha1.TargetApplied && t.Result != v1alpha1.TargetConfirmed {
			continue
		}
		if ev.GetFoundAtStart() && t.Time != nil && !ev.GetOccurredTime().AsTime().After(t.Time.Time) {
			continue // it tells what the container has by now, not what it was killed at
		}
		if _, to := action.SizesOf(t); killed >= to.Limits.MemoryBytes {
			return t
		}
	}
	return nil
}

// answered says that a kill that was found at start came before memory was given for
// it. What the container had as it was killed nobody knows any more: such a kill looks
// like one at what it has now.
func (e *Engine) answered(s *seen, container string, ev *rightsizerv1.Event) bool {
	if !ev.GetFoundAtStart() || ev.GetType() != guard.TypeOOM {
		return false
	}
	return slices.ContainsFunc(cures, func(kind v1alpha1.ActionKind) bool {
		last := e.book.last(row{s.workload.UID, container, kind})
		if last == nil || last.past.Memory != guard.Raise || ev.GetOccurredTime().AsTime().After(last.past.Started) {
			return false
		}
		if s.pod == nil || last.cure == nil {
			return true
		}
		has, ok := action.SizeOf(s.pod, container)
		return !ok || has.Limits.MemoryBytes >= last.cure.size.Limits.MemoryBytes // else it was not reached
	})
}

func hasCause(r *v1alpha1.Remediation, id string) bool {
	if c := r.Spec.Cause; c != nil && string(c.EventID) == id {
		return true
	}
	for i := range r.Status.Causes {
		if string(r.Status.Causes[i].EventID) == id {
			return true
		}
	}
	return false
}
