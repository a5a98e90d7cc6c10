package remediate

import (
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// conditionRollback is the type of the condition that asks for a rollback: every
// replica may write it, and the leader heeds it, whoever began.
const conditionRollback = "RollbackRequested"

// Its reasons: a person wants it, the verification failed, or it cannot be had.
const (
	rollbackAskedFor = "AskedFor"
	rollbackDecided  = "DidNotHelp"
	rollbackFailed   = "CannotBeTakenBack"
)

// noteRollback writes into a status that the effect is to be taken back, or is not.
func noteRollback(status *v1alpha1.RemediationStatus, is metav1.ConditionStatus, reason, why string, now time.Time) {
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: conditionRollback, Status: is, Reason: reason, Message: plan.Cut(why, 1024),
		ObservedGeneration: status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now),
	})
}

// endRollback says of one that nobody asked for that it is over: something else came
// of the decision.
func endRollback(status *v1alpha1.RemediationStatus, why string, now time.Time) {
	c := meta.FindStatusCondition(status.Conditions, conditionRollback)
	if c != nil && c.Status == metav1.ConditionTrue && c.Reason == rollbackDecided {
		noteRollback(status, metav1.ConditionFalse, rollbackFailed, why, now)
	}
}

// rollbackAsked is why the effect is to be taken back, by a person's word or since it
// did not help; empty where it is not, or cannot be any more.
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

// wanted is why the effect is to be taken back, of which the audit has the record;
// forged says that the status says so and it has not.
func (e *Engine) wanted(ctx context.Context, r *v1alpha1.Remediation) (why string, forged bool, err error) {
	if why = rollbackAsked(r); why == "" {
		return "", false, nil
	}
	sure, err := e.vouched(ctx, originOf(r), v1alpha1.StateRolledBack)
	return why, !sure, err
}

// rollBack takes the effects back, and escalates where that is impossible. That they
// are is in the status before the first of them is: whoever finds some of them taken
// back goes on with the others.
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
	if rollbackAsked(r) == "" {
		var err error
		if r, err = e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
			status.Message = plan.Cut("taking back: "+why, 1024)
			noteRollback(status, metav1.ConditionTrue, rollbackDecided, why, e.now())
			return nil
		}); err != nil {
			return outcome{}, err
		}
	}
	next := r.DeepCopy()
	failed, held, err := e.revertAll(ctx, next, s, a)
	switch {
	case err != nil || held > 0:
		return outcome{after: held}, errors.Join(err, e.keepReverted(ctx, r, next))
	case failed != "":
		return goOn(e.standing(ctx, next, why, failed))
	}
	return goOn(e.conclude(ctx, next, v1alpha1.StateRolledBack, why, nil))
}

// revertAll takes each effect back, and notes in r what became of it: why one cannot
// be taken back, and how long to wait where one cannot be now.
func (e *Engine) revertAll(ctx context.Context, r *v1alpha1.Remediation, s *seen, a action.Action) (failed string, held time.Duration, err error) {
	subject := e.subject(r, s)
	for i := range r.Status.Targets {
		t := &r.Status.Targets[i]
		if t.Result == v1alpha1.TargetIntended { // and interrupted
			made, err := a.ReadBack(ctx, subject, t)
			switch {
			case err != nil && !action.Known(err):
				return "", 0, err
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
			return "", 0, err
		}
		if !known {
			failed = unknownEffect
			t.Message = plan.Cut("not taken back: "+failed, 1024)
			continue
		}
		if frozen := e.opts.Policies.Frozen(); frozen != "" {
			return "", retryLater, nil
		}
		step := e.traceStep(ctx, r, tracing.Revert, t)
		err = e.revert(ctx, a, subject, t)
		step.End(e.now(), err)
		switch {
		case err == nil:
			e.result(r, i, v1alpha1.TargetReverted, "")
		case errors.Is(err, action.ErrGone):
		case errors.Is(err, action.ErrBusy):
			return "", e.later(r, err), nil
		case action.Known(err):
			failed = err.Error()
			t.Message = plan.Cut("not taken back: "+failed, 1024)
		default:
			return "", 0, err
		}
	}
	return failed, 0, nil
}

// keepReverted writes what was taken back so far, where anything was.
func (e *Engine) keepReverted(ctx context.Context, was, r *v1alpha1.Remediation) error {
	if slices.EqualFunc(was.Status.Targets, r.Status.Targets, func(a, b v1alpha1.Target) bool { return a.Result == b.Result }) {
		return nil
	}
	_, err := e.keepResults(ctx, r)
	return err
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

// keep answers who asked for a rollback that it cannot be had.
func (e *Engine) keep(ctx context.Context, r *v1alpha1.Remediation, why string) (*v1alpha1.Remediation, error) {
	targets := r.Status.Targets
	return e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets, status.Message = targets, plan.Cut(why, 1024)
		noteRollback(status, metav1.ConditionFalse, rollbackFailed, why, e.now())
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
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		return e.rollBack(ctx, r, s, why) // it says so
	}
	return e.rollBackWanted(ctx, r, s, a, why)
}

// rollBackWanted takes back what is to be by the status, where the guards let it.
func (e *Engine) rollBackWanted(ctx context.Context, r *v1alpha1.Remediation, s *seen, a action.Action, why string) (outcome, error) {
	c := meta.FindStatusCondition(r.Status.Conditions, conditionRollback)
	own := c != nil && c.Reason == rollbackDecided
	switch keeps, err := e.keepsWanted(ctx, r, s, a, own); {
	case err != nil:
		return outcome{}, err
	case keeps == "":
		return e.rollBack(ctx, r, s, why)
	case own:
		return goOn(e.conclude(ctx, r, v1alpha1.StateEscalated, why+"; the rest of it is not taken back: "+keeps, nil))
	default:
		return goOn(e.keep(ctx, r, "it is not taken back: "+keeps))
	}
}

// keepsWanted is what the guards say, as things are now, against taking memory back that
// is in force: those of less where the operator goes on with what it began by itself, and
// for a person the one that nobody passes. Empty where they let it.
func (e *Engine) keepsWanted(ctx context.Context, r *v1alpha1.Remediation, s *seen, a action.Action, own bool) (string, error) {
	if guard.FromRemediation(r).Memory != guard.Raise {
		return "", nil
	}
	ask := guard.AskFloor
	if own {
		ask = guard.AskLowering
	}
	subject, asked := e.subject(r, s), map[change]bool{} // of pods that are alike once
	for i := range r.Status.Targets {
		t := &r.Status.Targets[i]
		given := t.Result == v1alpha1.TargetConfirmed || !own && (t.Result == v1alpha1.TargetApplied || t.Result == v1alpha1.TargetIntended)
		if !given || asked[changeOf(t)] {
			continue
		}
		sight, err := a.Verify(ctx, subject, t)
		if err != nil {
			return "", err
		}
		switch sight.Stage {
		case action.Gone, action.Undone, action.Deferred, action.Infeasible:
			continue
		default:
		}
		asked[changeOf(t)] = true
		if keeps, err := e.keepsMemory(ctx, r, s, t, ask); err != nil || keeps != "" {
			return keeps, err
		}
	}
	return "", nil
}

// keepsMemory is what guards say against what one effect gave being taken back.
func (e *Engine) keepsMemory(ctx context.Context, r *v1alpha1.Remediation, s *seen, t *v1alpha1.Target, ask func(guard.Facts) guard.Result) (string, error) {
	own := *s
	own.draft = draftOf(r, t)
	own.draft.From, own.draft.To = own.draft.To, own.draft.From
	facts, err := e.facts(ctx, r, &own)
	if err != nil {
		return "", err
	}
	if verdict := ask(facts); verdict.Outcome() != guard.Pass {
		return verdict.Decisive().String(), nil
	}
	return "", nil
}
