package remediate

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// conditionRollback is the type of the condition that asks for a rollback: every
// replica may write it, and the leader heeds it.
const conditionRollback = "RollbackRequested"

// rollbackAsked is why a person wants the effect to be taken back; empty where
// nobody does, or it cannot be any more.
func rollbackAsked(r *v1alpha1.Remediation) string {
	c := meta.FindStatusCondition(r.Status.Conditions, conditionRollback)
	if c == nil || c.Status != metav1.ConditionTrue || !plan.May(r.Status.State, v1alpha1.StateRolledBack) {
		return ""
	}
	return c.Message
}

// What the status says and the audit chain has no record of.
const (
	unaskedRollback = "its status says that a rollback was asked for, and the audit chain has no record of it: ask through the API"
	unknownEffect   = "the audit chain has no record of this effect as the status tells it"
)

// wanted is why a person wants the effect to be taken back, of which the audit has
// the record; forged says that the status says so and it has not.
func (e *Engine) wanted(ctx context.Context, r *v1alpha1.Remediation) (why string, forged bool, err error) {
	if why = rollbackAsked(r); why == "" {
		return "", false, nil
	}
	sure, err := e.vouched(ctx, originOf(r), v1alpha1.StateRolledBack)
	return why, !sure, err
}

// rollBack takes the effects back, and escalates where that is impossible.
func (e *Engine) rollBack(ctx context.Context, r *v1alpha1.Remediation, s *seen, why string) (outcome, error) {
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		return goOn(e.standing(ctx, r, why, "there is no action of its kind any more"))
	}
	if frozen := e.opts.Policies.Frozen(); frozen != "" {
		return wait(retryLater)
	}
	if left := e.resting.left(objectKey{r.Namespace, r.Name}, e.now()); left > 0 {
		return wait(left)
	}
	if err := e.record(ctx, r, v1alpha1.StateRolledBack, e.opts.Identity, "taking back: "+why, nil); err != nil {
		return outcome{}, err
	}
	subject := e.subject(r, s)
	r = r.DeepCopy()
	failed := ""
	for i := range r.Status.Targets {
		t := &r.Status.Targets[i]
		if t.Result == v1alpha1.TargetIntended { // and interrupted
			made, err := a.ReadBack(ctx, subject, t)
			switch {
			case err != nil && !action.Known(err):
				return outcome{}, err
			case err == nil && made:
				e.result(r, i, v1alpha1.TargetApplied, "found in the live object after an interruption")
			default:
				e.result(r, i, v1alpha1.TargetFailed, "it was not made before all was to be taken back")
			}
		}
		if t.Result != v1alpha1.TargetApplied && t.Result != v1alpha1.TargetConfirmed {
			continue
		}
		known, err := e.holds(ctx, originOf(r), claim{intent: intent(t)})
		if err != nil {
			return outcome{}, err
		}
		if !known {
			failed = unknownEffect
			t.Message = plan.Cut("not taken back: "+failed, 1024)
			continue
		}
		step := e.traceStep(ctx, r, tracing.Revert, t)
		err = e.revert(ctx, a, subject, t)
		step.End(e.now(), err)
		switch {
		case err == nil:
			e.result(r, i, v1alpha1.TargetReverted, "")
		case errors.Is(err, action.ErrGone):
		case errors.Is(err, action.ErrBusy):
			return wait(e.later(r, err))
		case action.Known(err):
			failed = err.Error()
			t.Message = plan.Cut("not taken back: "+failed, 1024)
		default:
			return outcome{}, err
		}
	}
	if failed != "" {
		return goOn(e.standing(ctx, r, why, failed))
	}
	return goOn(e.conclude(ctx, r, v1alpha1.StateRolledBack, why, nil))
}

// revert takes one effect back; where the object changed under its hands it looks
// again.
func (*Engine) revert(ctx context.Context, a action.Action, subject *action.Subject, t *v1alpha1.Target) error {
	for range maxTries - 1 {
		if err := a.Revert(ctx, subject, t); !apierrors.IsConflict(err) {
			return err
		}
	}
	return a.Revert(ctx, subject, t)
}

// standing is what becomes of it where the effect cannot be taken back: a person is
// called, or the one who asked is told.
func (e *Engine) standing(ctx context.Context, r *v1alpha1.Remediation, why, failed string) (*v1alpha1.Remediation, error) {
	if plan.May(r.Status.State, v1alpha1.StateEscalated) {
		return e.conclude(ctx, r, v1alpha1.StateEscalated, why+"; it could not be taken back: "+failed, nil)
	}
	return e.keep(ctx, r, "it could not be taken back: "+failed)
}

// keep answers who asked for the rollback of what has ended that it cannot be had.
func (e *Engine) keep(ctx context.Context, r *v1alpha1.Remediation, why string) (*v1alpha1.Remediation, error) {
	targets := r.Status.Targets
	return e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets, status.Message = targets, plan.Cut(why, 1024)
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: conditionRollback, Status: metav1.ConditionFalse, Reason: "CannotBeTakenBack", Message: plan.Cut(why, 1024),
			ObservedGeneration: r.Generation, LastTransitionTime: metav1.NewTime(e.now()),
		})
		return nil
	})
}

// takenBack takes back what has ended, since a person asks for it.
func (e *Engine) takenBack(ctx context.Context, r *v1alpha1.Remediation) (outcome, error) {
	why, forged, err := e.wanted(ctx, r)
	switch {
	case err != nil, why == "":
		return outcome{}, err
	case forged:
		return goOn(e.keep(ctx, r, unaskedRollback))
	}
	s, err := e.revisit(ctx, r, false)
	if errors.Is(err, errChanged) {
		return goOn(e.keep(ctx, r, "there is nothing to take back: "+err.Error()))
	}
	if err != nil {
		return outcome{}, err
	}
	return e.rollBack(ctx, r, s, why)
}
