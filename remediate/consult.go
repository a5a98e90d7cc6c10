package remediate

import (
	"context"
	"log/slog"
	"time"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// consult tells the policy's webhooks of what is about to be done, and asks those
// whose answer decides. stop says that the step ends here.
func (e *Engine) consult(ctx context.Context, r *v1alpha1.Remediation, s *seen) (out outcome, stop bool, err error) {
	if len(s.policy.Spec.Webhooks) == 0 || e.opts.Webhooks == nil {
		return outcome{}, false, nil
	}
	for i := range s.policy.Spec.Webhooks {
		hook := &s.policy.Spec.Webhooks[i]
		answer, callErr := e.opts.Webhooks.Call(ctx, s.policy.Ref.Namespace, hook, r.Name, Proto(r))
		switch {
		case hook.Answer == v1alpha1.WebhookIgnore:
			if callErr != nil {
				e.logger.WarnContext(ctx, "remediation: a webhook was not told", slog.String("webhook", hook.Name), slog.Any("error", callErr))
			}
		case callErr != nil:
			out, err := e.holdBack(ctx, r, "waits: webhook "+hook.Name+" gave no answer: "+callErr.Error())
			return out, true, err
		case answer.Veto:
			out, err := goOn(e.move(ctx, r, v1alpha1.StateRejected, "webhook "+hook.Name, "vetoed: "+answer.Reason))
			return out, true, err
		}
	}
	return outcome{}, false, nil
}

// holdBack notes why it waits.
func (e *Engine) holdBack(ctx context.Context, r *v1alpha1.Remediation, why string) (outcome, error) {
	why = plan.Cut(why, shownMessage)
	if r.Status.Message == why {
		return wait(retryLater)
	}
	_, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		if status.State == "" {
			if err := plan.Move(status, v1alpha1.StateProposed, e.proposer(r), e.occasion(r), e.now()); err != nil {
				return err
			}
		}
		status.Message = why
		return nil
	})
	return outcome{after: retryLater}, err
}

// advised asks the webhooks that may approve in a person's place; it is the one
// that did, or empty.
func (e *Engine) advised(ctx context.Context, r *v1alpha1.Remediation, s *seen) string { //nolint:unused // a webhook's verdict, before the API asks for it
	if e.opts.Webhooks == nil {
		return ""
	}
	for i := range s.policy.Spec.Webhooks {
		hook := &s.policy.Spec.Webhooks[i]
		if hook.Answer != v1alpha1.WebhookDecide {
			continue
		}
		answer, err := e.opts.Webhooks.Call(ctx, s.policy.Ref.Namespace, hook, r.Name, Proto(r))
		if err == nil && answer.Approve {
			return "webhook:" + hook.Name
		}
	}
	return ""
}

// exportOf makes an export of what cannot or must not be changed here.
func (e *Engine) exportOf(ctx context.Context, r *v1alpha1.Remediation, s *seen) error {
	want := *r.Spec.Action.DeepCopy()
	if want.Parameters == nil {
		want.Parameters = map[string]v1alpha1.ParameterValue{}
	}
	want.Parameters[action.ParameterExports] = v1alpha1.ParameterValue(want.Kind)
	want.Kind = v1alpha1.ActionExport
	return e.followUp(ctx, r, s, want)
}

// followUp makes the decision that comes after another one, for the same cause.
func (e *Engine) followUp(ctx context.Context, r *v1alpha1.Remediation, s *seen, want v1alpha1.RemediationAction) error {
	if !policy.Acts(s.policy.ModeFor(want.Kind)) {
		return nil
	}
	a, ok := e.opts.Actions.Get(want.Kind)
	if !ok {
		return nil
	}
	subject := &action.Subject{
		Container: r.Spec.Container, Want: want, Workload: s.workload, Policy: s.policy, Namespace: r.Namespace, Diff: r.Spec.Diff,
		Pod: string(want.Parameters[action.ParameterPod]),
	}
	draft, err := a.Plan(ctx, subject)
	if err != nil {
		return err
	}
	own := &seen{workload: s.workload, policy: s.policy, draft: draft}
	if draft.Restarts > 0 {
		if own.budgets, err = e.budgets(ctx, s.workload); err != nil {
			return err
		}
	}
	next := e.draft(own, subject)
	if next.Spec.Cause = r.Spec.Cause.DeepCopy(); next.Spec.Cause == nil {
		next.Spec.RequestedBy, next.Spec.RequestedVia = r.Spec.RequestedBy, r.Spec.RequestedVia
	}
	facts, err := e.facts(ctx, next, own)
	if err != nil {
		return err
	}
	if verdict := guard.Ask(facts); verdict.Outcome() == guard.Stop {
		d := verdict.Decisive()
		e.refuse(workloadOf(r), r.Spec.Container, d.Guard, d.String())
		return nil
	}
	made, err := e.create(ctx, next)
	if err != nil {
		return err
	}
	e.waiting.after(workloadOf(made), 10*time.Millisecond)
	return nil
}
