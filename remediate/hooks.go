package remediate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Bounds of telling webhooks that decide nothing.
const (
	maxCalls    = 256         // that wait
	callers     = 8           // that are made at a time
	callFor     = time.Minute // how long one is tried
	callPause   = time.Second // before it is tried again, doubled each time
	longestStop = 20 * time.Second
)

// call is a webhook that is to be told of a decision.
type call struct {
	policyNamespace string
	hook            v1alpha1.Webhook
	decision        *v1alpha1.Remediation
}

// tellHooks has the webhooks whose answer decides nothing told of what is about to
// be done. Nobody waits for them: the container that is to be helped does not.
func (e *Engine) tellHooks(r *v1alpha1.Remediation, s *seen) {
	for i := range s.policy.Spec.Webhooks {
		hook := &s.policy.Spec.Webhooks[i]
		if hook.Answer != v1alpha1.WebhookIgnore || calledBy(r, hook) {
			continue
		}
		select {
		case e.calls <- call{s.policy.Ref.Namespace, *hook, r.DeepCopy()}:
		default:
			e.metrics.dropped.WithLabelValues("webhook").Inc()
		}
	}
}

// runCalls tells webhooks until ctx ends; what waits then is left.
func (e *Engine) runCalls(ctx context.Context) {
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case c := <-e.calls:
					e.tryCall(ctx, c)
				}
			}
		})
	}
	wg.Wait()
}

// tryCall tells one, again and again where that may help.
func (e *Engine) tryCall(ctx context.Context, c call) {
	if e.opts.Webhooks == nil {
		return
	}
	decision, until := Proto(c.decision), time.Now().Add(callFor)
	for pause := callPause; ; pause = min(2*pause, longestStop) {
		_, err := e.opts.Webhooks.Call(ctx, action.Consult, c.policyNamespace, &c.hook, decision)
		if err == nil || ctx.Err() != nil {
			return
		}
		after, again := action.Retry(err)
		wait := max(pause, after)
		if !again || time.Now().Add(wait).After(until) {
			e.metrics.dropped.WithLabelValues("webhook").Inc()
			e.logger.WarnContext(ctx, "remediation: a webhook was not told", slog.String("webhook", c.hook.Name),
				slog.String("remediation", c.decision.Namespace+"/"+c.decision.Name), slog.Any("error", err))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
