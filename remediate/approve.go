package remediate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// admission is what is known of the admission policy that guards approvals by
// kubectl.
type admission struct {
	asked   time.Time
	missing string
	err     error
}

// admissionFor is how long that is believed.
const admissionFor = 15 * time.Second

// unguarded is what is missing for approvals by kubectl to be heeded; empty where
// nothing is.
func (e *Engine) unguarded(ctx context.Context) string {
	e.mu.Lock()
	known := e.admission
	e.mu.Unlock()
	if e.now().Sub(known.asked) >= admissionFor {
		missing, err := e.client.Admission(ctx)
		known = admission{asked: e.now(), missing: missing, err: err}
		e.mu.Lock()
		e.admission = known
		e.mu.Unlock()
	}
	if known.err != nil {
		return "it cannot be read whether approvals are guarded: " + known.err.Error()
	}
	return known.missing
}

// pending waits for a person, or heeds what one has written by kubectl.
func (e *Engine) pending(ctx context.Context, r *v1alpha1.Remediation) (outcome, error) {
	if a := r.Status.Approval; a != nil {
		return e.heed(ctx, r, a)
	}
	if expired(r, e.now()) {
		return goOn(e.move(ctx, r, v1alpha1.StateExpired, e.opts.Identity, "nobody decided in time"))
	}
	if r.Spec.ExpireTime == nil {
		return outcome{}, nil
	}
	return wait(min(r.Spec.ExpireTime.Sub(e.now())+time.Millisecond, time.Minute))
}

// heed judges a decision that was written by kubectl: the API's own changes the
// state in the same write.
func (e *Engine) heed(ctx context.Context, r *v1alpha1.Remediation, a *v1alpha1.ApprovalDecision) (outcome, error) {
	if missing := e.unguarded(ctx); missing != "" {
		why := plan.Cut("a decision that kubectl wrote is not heeded, since nothing guards it: "+missing+" is missing; apply deploy/admission, then cancel this one", shownMessage)
		if r.Status.Message != why {
			e.logger.WarnContext(ctx, "remediation: an approval is not heeded")
			if _, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
				status.Message = why
				return nil
			}); err != nil {
				return outcome{}, err
			}
		}
		return wait(admissionFor)
	}
	if expired(r, e.now()) && (a.Time == nil || r.Spec.ExpireTime.Before(new(metav1.NewTime(a.Time.Time)))) {
		return goOn(e.move(ctx, r, v1alpha1.StateExpired, e.opts.Identity, "the decision came too late"))
	}
	if err := mayDecide(r, a, nil, true); err != nil {
		return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, "the decision is not valid: "+err.Error()))
	}
	to := v1alpha1.StateApproved
	if a.Decision == v1alpha1.DecisionReject {
		to = v1alpha1.StateRejected
	}
	return goOn(e.move(ctx, r, to, a.User, decided(a)))
}

func decided(a *v1alpha1.ApprovalDecision) string {
	verb := "approved by "
	if a.Decision == v1alpha1.DecisionReject {
		verb = "rejected by "
	}
	text := verb + a.User
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return text
}

// Errors of a decision.
var (
	// ErrFourEyes: who asked for it may not approve it.
	ErrFourEyes = errors.New("who asked for a Remediation may not approve it: its policy wants four eyes")
	// ErrNoApprover: the policy names approvers, and this is none of them.
	ErrNoApprover = errors.New("the policy names who may approve, and this user is not among them")
	// ErrGeneration: the decision is about another generation.
	ErrGeneration = errors.New("the decision is about another generation")
)

// mayDecide checks a decision against the terms that were written down as the
// Remediation was made. Groups of a decision that kubectl wrote are not known here:
// the admission policy has checked them.
func mayDecide(r *v1alpha1.Remediation, a *v1alpha1.ApprovalDecision, groups []string, admitted bool) error {
	if a.Generation != r.Generation {
		return fmt.Errorf("%w: %d, it is %d", ErrGeneration, a.Generation, r.Generation)
	}
	if a.Decision == v1alpha1.DecisionReject {
		return nil
	}
	if r.Spec.Approval.FourEyes && r.Spec.RequestedBy != "" && r.Spec.RequestedBy == a.User {
		return ErrFourEyes
	}
	approvers := r.Spec.Approval.Approvers
	if len(approvers) == 0 {
		return nil
	}
	named := slices.ContainsFunc(approvers, func(one v1alpha1.Approver) bool {
		if one.Kind == v1alpha1.ApproverUser {
			return one.Name == a.User
		}
		return admitted || slices.Contains(groups, one.Name)
	})
	if !named {
		return ErrNoApprover
	}
	return nil
}
