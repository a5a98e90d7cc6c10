package remediate

import (
	"context"
	"errors"
	"log/slog"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// export makes an export of what cannot or must not be changed here; false where
// the policy does not export.
func (e *Engine) export(ctx context.Context, r *v1alpha1.Remediation, s *seen) (bool, error) {
	if !policy.Acts(s.policy.ModeFor(v1alpha1.ActionExport)) && r.Spec.RequestedBy == "" {
		return false, nil
	}
	want := *r.Spec.Action.DeepCopy()
	if want.Parameters == nil {
		want.Parameters = map[string]v1alpha1.ParameterValue{}
	}
	want.Parameters[action.ParameterExports] = v1alpha1.ParameterValue(want.Kind)
	want.Parameters[parameterFollows] = v1alpha1.ParameterValue(r.Name)
	want.Kind = v1alpha1.ActionExport
	err := e.followUp(ctx, r, s, want)
	if errors.Is(err, errOpen) || err != nil && action.Known(err) {
		return false, nil // it is on its way, or the manifest says so already
	}
	return err == nil, err
}

// handOver hands the size that a decision gave, and that has proven itself, to
// whoever owns the manifests: once for each size, and again after keepAgain where
// that came to nothing.
func (e *Engine) handOver(ctx context.Context, s *seen, c *cure) {
	at := row{s.workload.UID, c.container, v1alpha1.ActionExport}
	if c.persistence != v1alpha1.PersistExport || !c.proven || e.book.keeps(at, c.size, e.now().Add(-keepAgain)) {
		return
	}
	r, err := e.read(ctx, c.decision.namespace, c.decision.name)
	if err != nil {
		return // it comes again
	}
	action.SetSize(&r.Spec.Action, policy.Size{}, c.size)
	if _, err := e.export(ctx, r, s); err != nil {
		e.logger.WarnContext(ctx, "remediation: a size is not handed over", slog.String("remediation", r.Namespace+"/"+r.Name), slog.Any("error", err))
	}
}
