package remediate

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// TypeNotInForce is the cause of a decision that has a pod made anew, since its
// resize is not in force.
const TypeNotInForce = "remediation.not_in_force"

// mover is an action that knows whether another node could hold what a pod's own
// node does not.
type mover interface {
	Elsewhere(ctx context.Context, s *action.Subject, t *v1alpha1.Target) (bool, string, error)
}

// recreate asks for a new pod in place of one whose resize is not in force, as was
// seen: a decision restart_pod of its own, under the mode of that action and judged
// by every guard. The next one follows from what comes of it. It returns what was
// done about it, to be told after the reason: empty where there is nothing to say.
func (e *Engine) recreate(ctx context.Context, r *v1alpha1.Remediation, s *seen, t *v1alpha1.Target, stage action.Stage) (string, error) {
	if t.Pod == "" {
		return "", nil
	}
	if why, err := e.elsewhere(ctx, r, s, t, stage); why != "" || err != nil {
		return why, err
	}
	return e.makeAnew(ctx, s, anew{
		container: r.Spec.Container, pod: t.Pod, uid: t.UID, follows: r.Name, why: "the resize by " + r.Name + " is not in force",
	})
}

// anew is a pod that is to be made anew, and the decision that did not help it.
type anew struct{ container, pod, uid, follows, why string }

// makeAnew makes the decision to restart a pod, which the caller's own step does not
// carry out. As recreate.
func (e *Engine) makeAnew(ctx context.Context, s *seen, p anew) (string, error) {
	a, ok := e.opts.Actions.Get(v1alpha1.ActionRestartPod)
	if !ok {
		return "", nil
	}
	if mode := s.policy.ModeFor(a.Kind()); !policy.Acts(mode) {
		return fmt.Sprintf("; a new pod may help, and %s is in mode %s for restart_pod", s.policy, mode), nil
	}
	subject := &action.Subject{
		Container: p.container, Workload: s.workload, Policy: s.policy,
		Want: v1alpha1.RemediationAction{Kind: a.Kind(), Parameters: map[string]v1alpha1.ParameterValue{
			action.ParameterPod: v1alpha1.ParameterValue(p.pod), action.ParameterPodUID: v1alpha1.ParameterValue(p.uid),
			parameterFollows: v1alpha1.ParameterValue(p.follows),
		}},
	}
	draft, err := a.Plan(ctx, subject)
	switch {
	case err != nil && action.Known(err):
		return "; no pod is made anew: " + err.Error(), nil
	case err != nil:
		return "", err
	}
	own := &seen{workload: s.workload, policy: s.policy, draft: draft}
	if own.budgets, err = e.budgets(ctx, s.workload); err != nil {
		return "", err
	}
	next := e.draft(own, subject)
	now := metav1.NewMicroTime(e.now())
	next.Spec.Cause = &v1alpha1.Cause{
		EventID: v1alpha1.EventID(hash(TypeNotInForce, p.follows, p.uid)), ProblemID: v1alpha1.EventID(hash(TypeNotInForce, p.follows)),
		Type: TypeNotInForce, Pod: p.pod, Time: &now,
	}
	next.Spec.Reason = plan.Cut(p.why, 1024)
	key := workloadKey{s.workload.Namespace, s.workload.Kind, s.workload.Name}
	made, _, err := e.follow(ctx, key, next, own)
	switch {
	case errors.Is(err, errOpen):
		return "; a restart of a pod of it is under way", nil
	case errors.Is(err, errFull):
		return "; no pod is made anew: " + err.Error(), nil
	case err != nil:
		return "", err
	case made == nil:
		return "; no pod is made anew: a guard is in the way", nil
	}
	e.waiting.after(key, 10*time.Millisecond)
	return "; a new pod in its place is asked for: " + made.Name, nil
}

// stillKilled answers a kill at less than the pod's spec gives: the resize that gave
// it has ended, and is not in force.
func (e *Engine) stillKilled(ctx context.Context, key workloadKey, s *seen, container string, ev *rightsizerv1.Event) {
	last := e.book.last(row{s.workload.UID, container, v1alpha1.ActionResizeInPlace})
	if s.pod == nil || last == nil || last.open || !ev.GetOccurredTime().AsTime().After(last.past.Finished) {
		return // it was on its way as it was killed
	}
	what, err := e.makeAnew(ctx, s, anew{
		container: container, pod: s.pod.Name, uid: string(s.pod.UID), follows: last.key.name,
		why: "killed at less memory than " + last.key.name + " gave it: that is not in force",
	})
	if err != nil {
		what = "; no pod is made anew: " + err.Error()
	}
	e.decline(ctx, key, s.begun, []*rightsizerv1.Event{ev}, "not_in_force", "killed at less memory than its spec gives"+what)
}

// last is the decision of a row that began last; nil for none.
func (b *book) last(at row) *held {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out *held
	for _, h := range b.rows[at] {
		if !h.past.Started.IsZero() && (out == nil || h.past.Started.After(out.past.Started)) {
			out = h
		}
	}
	return out
}

// elsewhere says why no other node would help, where it is the node that is short of
// room; empty where one may.
func (e *Engine) elsewhere(ctx context.Context, r *v1alpha1.Remediation, s *seen, t *v1alpha1.Target, stage action.Stage) (string, error) {
	a, _ := e.opts.Actions.Get(r.Spec.Action.Kind)
	m, ok := a.(mover)
	if !ok || stage != action.Infeasible && stage != action.Deferred {
		return "", nil
	}
	could, why, err := m.Elsewhere(ctx, e.subject(r, s), t)
	switch {
	case err != nil && action.Known(err):
		return "; no pod is made anew: " + err.Error(), nil
	case err != nil:
		return "", err
	case !could:
		return "; no pod is made anew: " + why, nil
	}
	return "", nil
}
