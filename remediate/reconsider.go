package remediate

import (
	"context"
	"errors"
	"time"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// reconsider looks at everything again before an effect that was intended earlier:
// guards, object, intent.
func (e *Engine) reconsider(ctx context.Context, r *v1alpha1.Remediation, i int, s *seen, a action.Action, subject *action.Subject) (*v1alpha1.Remediation, time.Duration, error) {
	t := &r.Status.Targets[i]
	intent, err := a.Preconditions(ctx, subject, action.Object{Pod: t.Pod, UID: t.UID})
	switch {
	case errors.Is(err, action.ErrBusy):
		return r, retryLater, nil
	case err != nil && action.Known(err) && !errors.Is(err, action.ErrChanged):
		// Another that believes to lead may have made it since it was read back.
		switch made, backErr := a.ReadBack(ctx, subject, t); {
		case backErr == nil && made:
			return e.result(r, i, v1alpha1.TargetApplied, "found in the live object"), 0, nil
		case backErr != nil && !errors.Is(backErr, action.ErrGone) && !errors.Is(backErr, action.ErrChanged):
			return r, 0, backErr
		}
		return e.result(r, i, v1alpha1.TargetFailed, err.Error()), 0, nil
	case err != nil:
		return r, 0, err
	}
	if why := beyond(&r.Status.Targets[0], intent); why != "" { // somebody gave it more meanwhile
		return e.result(r, i, v1alpha1.TargetFailed, why), 0, nil
	}
	verdict, err := e.judge(ctx, r, s, intent)
	if err != nil {
		return r, 0, err
	}
	outcome := verdict.Outcome()
	if outcome == guard.Approve { // what was begun was let through or approved
		begun, err := e.vouched(ctx, originOf(r), v1alpha1.StateExecuting)
		if err != nil {
			return r, 0, err
		}
		if begun {
			outcome = guard.Pass
		}
	}
	switch outcome {
	case guard.Pass:
	case guard.Wait:
		return r, e.until(verdict), nil
	default:
		d := verdict.Decisive()
		return e.result(r, i, v1alpha1.TargetFailed, d.String()), 0, nil
	}
	e.stamp(intent)
	again := *s
	again.verdict = verdict
	if err := e.record(ctx, r, v1alpha1.StateExecuting, e.opts.Identity, "looked at again before the effect", evidence(&again, *intent)); err != nil {
		return r, 0, err
	}
	results := r.Status.Targets
	next, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets = results
		status.Targets[i] = *intent
		return nil
	})
	if err != nil {
		return r, 0, err
	}
	return next, 0, nil
}

// judge asks the guards about one effect of what was begun.
func (e *Engine) judge(ctx context.Context, r *v1alpha1.Remediation, s *seen, intent *v1alpha1.Target) (guard.Result, error) {
	own := *s
	own.draft = draftOf(r, intent)
	if s.draft != nil {
		own.draft.Owner = s.draft.Owner
	}
	facts, err := e.facts(ctx, r, &own)
	if err != nil {
		return guard.Result{}, err
	}
	s.measured = own.measured
	return guard.Ask(facts), nil
}

// draftOf is what guards look at of an effect that was decided on earlier.
func draftOf(r *v1alpha1.Remediation, t *v1alpha1.Target) *action.Draft {
	d := &action.Draft{Action: r.Spec.Action, First: t}
	d.From, d.To = action.SizesOf(t)
	d.FromReplicas, d.ToReplicas = action.ReplicasOf(t)
	if d.Restarts, d.RestartsReady = action.Disrupts(t); r.Spec.Disruptive {
		d.Restarts = max(d.Restarts, 1)
	}
	return d
}
