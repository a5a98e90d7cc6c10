package remediate

import (
	"context"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// keepAgain is how long the template, or whoever owns the manifest, is left alone
// after a decision about it came to nothing without a person's word.
const keepAgain = time.Hour

// keepInTemplate gives a workload's template the size that its pods were given in
// place, once that has proven itself, where the policy says that the template owns
// the size from then on: a decision of its own, under the mode of resize_template,
// judged by every guard and approved anew. Until it is carried out, and where it
// never is, new pods are resized as they are seen.
func (e *Engine) keepInTemplate(ctx context.Context, key workloadKey, s *seen, c *cure) time.Duration {
	kind := v1alpha1.ActionResizeTemplate
	a, ok := e.opts.Actions.Get(kind)
	at := row{c.uid, c.container, kind}
	open, _ := e.book.row(at)
	if !ok || c.persistence != v1alpha1.PersistTemplate || !c.proven || open != nil || !policy.Acts(s.policy.ModeFor(kind)) ||
		e.book.keeps(at, c.size, e.now().Add(-keepAgain)) || e.full(key, c.container) {
		return 0
	}
	want := v1alpha1.RemediationAction{Kind: kind, Parameters: map[string]v1alpha1.ParameterValue{
		parameterFollows: v1alpha1.ParameterValue(c.decision.name),
	}}
	if direction := c.want.Parameters[action.ParameterDirection]; direction != "" {
		want.Parameters[action.ParameterDirection] = direction
	}
	action.SetSize(&want, policy.Size{}, c.size)
	subject := &action.Subject{Container: c.container, Want: want, Workload: s.workload, Policy: s.policy}
	draft, err := a.Plan(ctx, subject)
	switch {
	case err != nil && action.Known(err):
		return 0 // the template has it, or cannot have it
	case err != nil:
		return retryLater
	}
	own := *s
	own.draft, own.pod = draft, nil
	r := e.draft(&own, subject)
	now := metav1.NewMicroTime(e.now())
	r.Spec.Cause = &v1alpha1.Cause{
		EventID:   v1alpha1.EventID(hash(TypeLasts, c.decision.name, s.workload.ResourceVersion)),
		ProblemID: v1alpha1.EventID(hash(TypeLasts, c.decision.name)), Type: TypeLasts, Time: &now,
	}
	r.Spec.Reason = plan.Cut(c.decision.name+" has proven itself, and the template is to have it", 1024)
	made, after, err := e.follow(ctx, key, r, &own)
	switch {
	case err != nil:
		e.logger.WarnContext(ctx, "remediation: a cure was not put into the template", slog.String("workload", key.String()), slog.Any("error", err))
		return retryLater
	case made == nil:
		return after
	}
	return e.drive(ctx, made, &own)
}

// follow makes a decision that follows another one, unless a guard stops it; nil
// where it made none, with when it is worth trying again: 0 is never. Errors are
// those of create, or say that too little is known.
func (e *Engine) follow(ctx context.Context, key workloadKey, r *v1alpha1.Remediation, s *seen) (*v1alpha1.Remediation, time.Duration, error) {
	begun := e.now()
	facts, err := e.facts(ctx, r, s)
	if err != nil {
		return nil, 0, err
	}
	verdict := guard.Ask(facts)
	switch verdict.Outcome() {
	case guard.Stop:
		d := verdict.Decisive()
		e.refuse(key, r.Spec.Container, d.Guard, d.String())
		return nil, 0, nil
	case guard.Wait:
		if !verdict.Needs(guard.Approve) && r.Spec.Action.Kind != v1alpha1.ActionRestartPod {
			return nil, e.until(verdict), nil
		}
	case guard.DryRun:
		if e.book.ended(rowOf(r), e.now().Add(-dryRunAgain), v1alpha1.StateDryRun) != "" {
			return nil, 0, nil
		}
		r.Spec.DryRun = true
	default:
	}
	made, err := e.create(ctx, r, begun)
	return made, 0, err
}

// keeps says whether a decision of a row to make a size last stands: it is open, it
// had its effect, a person has rejected it, or it came to nothing only lately.
func (b *book) keeps(at row, size policy.Size, lately time.Time) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, h := range b.rows[at] {
		if h.keeps == nil || !partOf(h.keeps.Requests, size.Requests) || !partOf(h.keeps.Limits, size.Limits) {
			continue
		}
		switch h.past.State {
		case v1alpha1.StateExpired, v1alpha1.StateAborted, v1alpha1.StateDryRun, v1alpha1.StateCancelled:
		case v1alpha1.StateFailed:
			if at.action != v1alpha1.ActionExport { // what could not be handed out can be later
				return true
			}
		default:
			return true
		}
		if h.created.After(lately) {
			return true
		}
	}
	return false
}

// keepsOf is the size that a decision puts into the template, where it follows a
// cure, or hands out; nil for any other decision.
func keepsOf(r *v1alpha1.Remediation) *policy.Size {
	a := &r.Spec.Action
	follows := a.Kind == v1alpha1.ActionResizeTemplate && a.Parameters[parameterFollows] != ""
	if !follows && (a.Kind != v1alpha1.ActionExport || a.Replicas != nil) {
		return nil
	}
	return &policy.Size{Requests: policy.FromResources(a.Requests), Limits: policy.FromResources(a.Limits)}
}
