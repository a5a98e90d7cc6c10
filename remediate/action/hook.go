package action

import (
	"context"
	"errors"
	"fmt"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Purpose is why a webhook is called; it is the end of the message's type.
type Purpose string

// The purposes.
const (
	// Consult: it is told, or asked, before a decision is carried out.
	Consult Purpose = "consult"
	// Perform: the call is itself what was decided on.
	Perform Purpose = "webhook"
	// HandOut: the message holds a patch for whoever owns the manifests.
	HandOut Purpose = "export"
)

// Answer is what a webhook says of a decision. Neither is no opinion.
type Answer struct {
	Approve, Veto bool
	Reason        string
}

// Webhooks calls webhooks of policies. The decision's name is the idempotency key.
type Webhooks interface {
	// Call calls one, once. policyNamespace is that of its policy, empty for a
	// ClusterRightSizerPolicy. An error of a call that may succeed later has a method
	// Retry() (after time.Duration, again bool).
	Call(ctx context.Context, purpose Purpose, policyNamespace string, hook *v1alpha1.Webhook, decision *rightsizerv1.Remediation) (Answer, error)
}

// Retry says whether a call that failed may succeed later, and how long to wait
// before at least.
func Retry(err error) (after time.Duration, again bool) {
	var says interface {
		Retry() (time.Duration, bool)
	}
	if errors.As(err, &says) {
		return says.Retry()
	}
	return 0, false
}

// deliver calls a webhook as what was decided on: a veto and what will never
// succeed are refusals, what may succeed later is ErrBusy.
func deliver(ctx context.Context, hooks Webhooks, purpose Purpose, s *Subject, hook *v1alpha1.Webhook) error {
	if hooks == nil {
		return because(ErrUnsupported, "no webhook can be called here")
	}
	answer, err := hooks.Call(ctx, purpose, s.Policy.Ref.Namespace, hook, s.Record)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err() //nolint:wrapcheck // its own
	case err != nil:
		if _, again := Retry(err); again {
			return fmt.Errorf("%w: webhook %s: %w", ErrBusy, hook.Name, err)
		}
		return fmt.Errorf("%w: webhook %s: %w", ErrRefused, hook.Name, err)
	case answer.Veto && hook.Answer != v1alpha1.WebhookIgnore:
		return because(ErrRefused, "webhook %s vetoed it: %s", hook.Name, answer.Reason)
	}
	return nil
}
