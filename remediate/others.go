package remediate

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// others lists intents for the objects that have none yet, within the bounds, and
// those that are left as they are, each with why.
func (e *Engine) others(ctx context.Context, a action.Action, subject *action.Subject, r *v1alpha1.Remediation) (more, left []v1alpha1.Target, err error) {
	objects, err := a.Targets(ctx, subject)
	if err != nil {
		return nil, nil, err
	}
	have := map[string]bool{}
	for i := range r.Status.Targets {
		have[r.Status.Targets[i].UID] = true
	}
	for _, o := range objects {
		if have[o.UID] {
			continue
		}
		if len(have) >= v1alpha1.MaxTargets {
			e.metrics.dropped.WithLabelValues("target").Inc()
			break
		}
		intent, err := a.Preconditions(ctx, subject, o)
		switch {
		case err != nil && action.Known(err):
			continue
		case err != nil:
			return nil, nil, err
		}
		if !e.book.meant(r, intent) {
			continue
		}
		have[o.UID] = true
		e.stamp(intent)
		if why := beyond(&r.Status.Targets[0], intent); why != "" {
			intent.Result, intent.Message = v1alpha1.TargetFailed, why
			left = append(left, *intent)
			continue
		}
		more = append(more, *intent)
	}
	return more, left, nil
}

// beyond is why an effect takes more away than the first one of its decision, which
// is what the guards judged and a person saw; empty where it does not.
func beyond(judged, own *v1alpha1.Target) string {
	was, will := action.SizesOf(judged)
	from, to := action.SizesOf(own)
	for _, v := range []struct {
		name                string
		from, to, was, will int64
	}{
		{"CPU request", from.Requests.CPUMillis, to.Requests.CPUMillis, was.Requests.CPUMillis, will.Requests.CPUMillis},
		{"CPU limit", from.Limits.CPUMillis, to.Limits.CPUMillis, was.Limits.CPUMillis, will.Limits.CPUMillis},
		{"memory request", from.Requests.MemoryBytes, to.Requests.MemoryBytes, was.Requests.MemoryBytes, will.Requests.MemoryBytes},
		{"memory limit", from.Limits.MemoryBytes, to.Limits.MemoryBytes, was.Limits.MemoryBytes, will.Limits.MemoryBytes},
	} {
		if v.to < v.from && (v.will >= v.was || v.from > v.was) {
			return "left as it is: its " + v.name + " would be lowered further than was judged; ask for it by itself"
		}
	}
	return ""
}

// meant says whether an effect is for a pod that its decision means: one that gives
// new pods a cure means those that begin as they do, not what somebody set by hand.
func (b *book) meant(r *v1alpha1.Remediation, t *v1alpha1.Target) bool {
	if c := r.Spec.Cause; c == nil || c.Type != TypeLasts || t.Pod == "" {
		return true
	}
	from, _ := action.SizesOf(t)
	return slices.ContainsFunc(b.cures(workloadOf(r)), func(c *cure) bool {
		return c.uid == r.Spec.Workload.UID && c.container == r.Spec.Container && c.isFor(t.UID, from)
	})
}

// intend records further intents, with the results so far, and their audit record.
func (e *Engine) intend(ctx context.Context, r *v1alpha1.Remediation, s *seen, more []v1alpha1.Target) (next *v1alpha1.Remediation, err error) {
	step := e.traceStep(ctx, r, tracing.Intent, &more[0])
	defer func() { step.End(e.now(), err, attribute.Int("rightsizer.targets", len(more))) }()
	if err := e.record(ctx, r, v1alpha1.StateExecuting, e.opts.Identity, fmt.Sprintf("%d more pods of the workload", len(more)), evidence(s, more...)); err != nil {
		return nil, err
	}
	results := r.Status.Targets
	return e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets = append(results, more...)
		return nil
	})
}

// extend gives pods that came later what an open decision gives: a replica that was
// killed, or a new one.
func (e *Engine) extend(ctx context.Context, r *v1alpha1.Remediation, s *seen) {
	if r.Status.State != v1alpha1.StateVerifying || e.opts.Policies.Frozen() != "" {
		return
	}
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		return
	}
	if begun, err := e.vouched(ctx, originOf(r), v1alpha1.StateExecuting); err != nil || !begun {
		return // its verification says so
	}
	subject := e.subject(r, s)
	more, _, err := e.others(ctx, a, subject, r)
	if err == nil && len(more) > 0 {
		if r, err = e.intend(ctx, r, s, more); err == nil {
			var done *v1alpha1.Remediation
			if done, _, err = e.effects(ctx, r, s, a, subject, true); err == nil {
				_, err = e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
					status.Targets = done.Status.Targets
					return nil
				})
			}
		}
	}
	if err != nil {
		e.waiting.look(workloadOf(r))
	}
}
