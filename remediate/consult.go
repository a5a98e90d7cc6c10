package remediate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// consult asks the policy's webhooks whose answer decides, and has the others told,
// before something is done. stop says that the step ends here. What only tells
// somebody asks by itself.
func (e *Engine) consult(ctx context.Context, r *v1alpha1.Remediation, s *seen) (out outcome, stop bool, err error) {
	if r.Spec.Action.Kind == v1alpha1.ActionExport {
		return outcome{}, false, nil
	}
	for i := range s.policy.Spec.Webhooks {
		hook := &s.policy.Spec.Webhooks[i]
		if hook.Answer == v1alpha1.WebhookIgnore || calledBy(r, hook) || approvedBy(r, hook) {
			continue
		}
		switch answer, err := e.call(ctx, r, s, hook); {
		case err != nil:
			out, err := e.holdBack(ctx, r, "waits: webhook "+hook.Name+" gave no answer: "+err.Error(), retryLater)
			return out, true, err
		case answer.Veto:
			out, err := goOn(e.move(ctx, r, v1alpha1.StateRejected, hookName(hook), "vetoed: "+answer.Reason))
			return out, true, err
		}
	}
	e.tellHooks(r, s)
	return outcome{}, false, nil
}

// calledBy says that to call this webhook is what was decided on.
func calledBy(r *v1alpha1.Remediation, hook *v1alpha1.Webhook) bool {
	return r.Spec.Action.Kind == v1alpha1.ActionWebhook && string(r.Spec.Action.Parameters[action.ParameterWebhook]) == hook.Name
}

// approvedBy says that this webhook has approved it.
func approvedBy(r *v1alpha1.Remediation, hook *v1alpha1.Webhook) bool {
	return r.Status.Approval != nil && r.Status.Approval.User == hookName(hook)
}

// hookName is who a webhook is among those who decide. Callers of such a name are not
// let in (package auth).
func hookName(hook *v1alpha1.Webhook) string { return "webhook:" + hook.Name }

func (e *Engine) call(ctx context.Context, r *v1alpha1.Remediation, s *seen, hook *v1alpha1.Webhook) (action.Answer, error) {
	if e.opts.Webhooks == nil {
		return action.Answer{}, errNoWebhooks
	}
	return e.opts.Webhooks.Call(ctx, action.Consult, s.policy.Ref.Namespace, hook, Proto(r))
}

var errNoWebhooks = errors.New("no webhook can be called here")

// holdBack notes why it waits, and for how long it does.
func (e *Engine) holdBack(ctx context.Context, r *v1alpha1.Remediation, why string, after time.Duration) (outcome, error) {
	why = plan.Cut(why, shownMessage)
	if r.Status.Message == why {
		return wait(after)
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
	return outcome{after: after}, err
}

// advised asks the webhooks that may approve in a person's place. by is the one
// that decided; empty where none did, and then a person does.
func (e *Engine) advised(ctx context.Context, r *v1alpha1.Remediation, s *seen) (answer action.Answer, by string) {
	for i := range s.policy.Spec.Webhooks {
		hook := &s.policy.Spec.Webhooks[i]
		if hook.Answer != v1alpha1.WebhookDecide {
			continue
		}
		answer, err := e.call(ctx, r, s, hook)
		switch {
		case err != nil:
			e.logger.WarnContext(ctx, "remediation: a webhook did not decide", slog.String("webhook", hook.Name), slog.Any("error", err))
		case answer.Approve || answer.Veto:
			return answer, hookName(hook)
		}
	}
	return action.Answer{}, ""
}

// needsApproval lets a webhook decide, or waits for a person.
func (e *Engine) needsApproval(ctx context.Context, r *v1alpha1.Remediation, s *seen, why string) (outcome, error) {
	answer, by := e.advised(ctx, r, s)
	switch {
	case by == "":
		return goOn(e.move(ctx, r, v1alpha1.StatePendingApproval, e.opts.Identity, why))
	case answer.Veto:
		return goOn(e.move(ctx, r, v1alpha1.StateRejected, by, "vetoed: "+answer.Reason))
	}
	said := "approved by " + by + because(answer.Reason)
	if err := e.record(ctx, r, v1alpha1.StateApproved, by, said, nil); err != nil {
		return outcome{}, err
	}
	return goOn(e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		now := e.now()
		if status.State == "" {
			if err := plan.Move(status, v1alpha1.StateProposed, e.proposer(r), e.occasion(r), now); err != nil {
				return err
			}
		}
		status.Approval = &v1alpha1.ApprovalDecision{
			Decision: v1alpha1.DecisionApprove, User: by, Generation: r.Generation, Reason: plan.Cut(answer.Reason, 1024), Time: new(metav1.NewMicroTime(now)),
		}
		return plan.Move(status, v1alpha1.StateApproved, by, said, now)
	}))
}

// followUp makes the decision that comes after another one, for the same cause.
func (e *Engine) followUp(ctx context.Context, r *v1alpha1.Remediation, s *seen, want v1alpha1.RemediationAction) error {
	if !policy.Acts(s.policy.ModeFor(want.Kind)) && r.Spec.RequestedBy == "" {
		return nil
	}
	a, ok := e.opts.Actions.Get(want.Kind)
	if !ok {
		return nil
	}
	begun := e.now()
	subject := &action.Subject{
		Container: r.Spec.Container, Want: want, Workload: s.workload, Policy: s.policy,
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
	made, err := e.create(ctx, next, begun)
	if err != nil {
		return err
	}
	e.waiting.after(workloadOf(made), 10*time.Millisecond)
	return nil
}
