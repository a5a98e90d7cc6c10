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
// whoever owns the manifests: once for each size.
func (e *Engine) handOver(ctx context.Context, s *seen, c *cure) {
	if c.persistence != v1alpha1.PersistExport || !c.proven || e.book.exported(row{s.workload.UID, c.container, v1alpha1.ActionExport}, c.size) {
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

// exported says whether a size was, or is being, handed out for a container.
func (b *book) exported(at row, size policy.Size) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, h := range b.rows[at] {
		if h.handedOut != nil && within(*h.handedOut, size) && (h.open || h.past.State == v1alpha1.StateSucceeded || h.past.State == v1alpha1.StateRejected) {
			return true
		}
	}
	return false
}

// within says whether all that was handed out, which is what differed from the
// manifest, is as in size.
func within(out, size policy.Size) bool {
	same := func(out, want int64) bool { return out == 0 || out == want }
	return same(out.Requests.CPUMillis, size.Requests.CPUMillis) && same(out.Requests.MemoryBytes, size.Requests.MemoryBytes) &&
		same(out.Limits.CPUMillis, size.Limits.CPUMillis) && same(out.Limits.MemoryBytes, size.Limits.MemoryBytes)
}

// handedOutOf is the size that an export hands out; nil for anything else.
func handedOutOf(r *v1alpha1.Remediation) *policy.Size {
	if r.Spec.Action.Kind != v1alpha1.ActionExport || r.Spec.Action.Replicas != nil || r.Spec.DryRun {
		return nil
	}
	return &policy.Size{Requests: policy.FromResources(r.Spec.Action.Requests), Limits: policy.FromResources(r.Spec.Action.Limits)}
}
