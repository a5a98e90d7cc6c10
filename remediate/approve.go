package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

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
// state in the same write. One that was written, or could have been, while no
// admission policy saw to it that it was made by who it names, is worth nothing.
func (e *Engine) heed(ctx context.Context, r *v1alpha1.Remediation, a *v1alpha1.ApprovalDecision) (outcome, error) {
	since, err := e.opts.Policies.ApprovalsBound(ctx, r.Namespace)
	if made := r.CreationTimestamp.Time; err == nil && !since.Before(made) {
		err = fmt.Errorf("%w: the admission policy is in force since %s, and this was made at %s",
			policy.ErrUnbound, since.UTC().Format(time.RFC3339), made.UTC().Format(time.RFC3339))
	}
	switch {
	case err != nil && !errors.Is(err, policy.ErrUnbound):
		return outcome{}, fmt.Errorf("whether approvals are guarded: %w", err)
	case err != nil:
		e.logger.WarnContext(ctx, "remediation: an approval is not heeded", slog.String("remediation", r.Namespace+"/"+r.Name), slog.Any("error", err))
		return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, err.Error()+"; apply deploy/admission, or approve through the API"))
	}
	if expired(r, e.now()) && (a.Time == nil || r.Spec.ExpireTime.Before(new(metav1.NewTime(a.Time.Time)))) {
		return goOn(e.move(ctx, r, v1alpha1.StateExpired, e.opts.Identity, "the decision came too late"))
	}
	if err := mayDecide(r, a, Person{Via: viaKubernetes}, true); err != nil {
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

// viaKubernetes vouches for the names that kubectl goes by.
const viaKubernetes = "kubernetes"

// Errors of a decision.
var (
	// ErrFourEyes: who asked for it may not approve it.
	ErrFourEyes = errors.New("who asked for a Remediation may not approve it: its policy wants four eyes")
	// ErrNoApprover: the policy names approvers, and this is none of them.
	ErrNoApprover = errors.New("the policy names who may approve, and this user is not among them")
	// ErrTwoNames: whether who decides is who asked cannot be told.
	ErrTwoNames = errors.New("who asked for a Remediation is known by another kind of name than who approves, so that four eyes cannot be told from two: approve by a login of the kind that asked, or name approvers in the policy")
	// ErrGeneration: the decision is about another generation.
	ErrGeneration = errors.New("the decision is about another generation")
)

// mayDecide checks a decision against the terms that were written down as the
// Remediation was made. Groups of a decision that kubectl wrote are not known here:
// the admission policy has checked them.
func mayDecide(r *v1alpha1.Remediation, a *v1alpha1.ApprovalDecision, by Person, admitted bool) error {
	if a.Generation != r.Generation {
		return fmt.Errorf("%w: %d, it is %d", ErrGeneration, a.Generation, r.Generation)
	}
	if a.Decision == v1alpha1.DecisionReject {
		return nil
	}
	approvers := r.Spec.Approval.Approvers
	if r.Spec.Approval.FourEyes && r.Spec.RequestedBy != "" {
		switch {
		case r.Spec.RequestedBy == a.User:
			return ErrFourEyes
		case r.Spec.RequestedVia != by.Via && (admitted || len(approvers) == 0):
			return ErrTwoNames
		}
	}
	if len(approvers) == 0 {
		return nil
	}
	named := slices.ContainsFunc(approvers, func(one v1alpha1.Approver) bool {
		if one.Kind == v1alpha1.ApproverUser {
			return one.Name == a.User
		}
		return admitted || slices.Contains(by.Groups, one.Name)
	})
	if !named {
		return ErrNoApprover
	}
	return nil
}
