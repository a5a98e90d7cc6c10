package remediate

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// ref is where the trace of a decision is: in that of its cause's problem, or where
// it has none in that of the problem that its own events tell of.
func (e *Engine) ref(r *v1alpha1.Remediation) tracing.Ref {
	out := tracing.Ref{Problem: e.teller.problem(r), Remediation: r.Name}
	if c := r.Spec.Cause; c != nil {
		if out.Problem = string(c.ProblemID); out.Problem == "" {
			out.Problem = string(c.EventID)
		}
	}
	return out
}

// traceMade tells the trace of a decision that a Remediation was made of.
func (e *Engine) traceMade(ctx context.Context, r *v1alpha1.Remediation, begun time.Time) {
	if e.tracer == nil {
		return
	}
	d := &tracing.Decision{Ref: e.ref(r), Begun: begun, Ended: e.now(), Outcome: tracing.Made, Attributes: append(
		aboutWorkload(workloadOf(r), r.Spec.Container),
		attribute.String("rightsizer.action", string(r.Spec.Action.Kind)), attribute.String("rightsizer.mode", string(r.Spec.Mode)),
		attribute.String("rightsizer.risk", string(r.Spec.Risk)), attribute.String("rightsizer.policy", policyName(r.Spec.Policy)),
		attribute.Bool("rightsizer.dry_run", r.Spec.DryRun),
	)}
	follows := string(r.Spec.Action.Parameters[parameterFollows])
	if follows != "" {
		d.Attributes = append(d.Attributes, attribute.String("rightsizer.follows", follows))
	}
	// A cause of the operator's own has a trace of its own, and no event tells of it.
	if c := r.Spec.Cause; c != nil && c.Type != TypeLasts && c.Type != TypeNotInForce {
		d.Event, d.Follows = string(c.EventID), follows
	}
	e.tracer.Decided(ctx, d)
}

// traceCauses tells the trace of each event what it led to, where that is no
// Remediation of its own: it joined one, or nothing is done, and why.
func (e *Engine) traceCauses(ctx context.Context, key workloadKey, begun time.Time, events []*rightsizerv1.Event, d tracing.Decision) {
	if e.tracer == nil {
		return
	}
	for _, ev := range events {
		e.tracer.Event(ctx, ev, begun)
		own := d
		own.Ref, own.Event, own.Begun, own.Ended = tracing.Ref{Problem: ev.GetProblemId()}, ev.GetId(), begun, e.now()
		own.Attributes = aboutWorkload(key, ev.GetContainer())
		e.tracer.Decided(ctx, &own)
	}
}

func aboutWorkload(key workloadKey, container string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("k8s.namespace.name", key.namespace), attribute.String("k8s.container.name", container),
		attribute.String("rightsizer.workload", key.kind+"/"+key.name),
	}
}

// traceStep begins the span of a step of a decision, about one object where t is not
// nil.
func (e *Engine) traceStep(ctx context.Context, r *v1alpha1.Remediation, name string, t *v1alpha1.Target) *tracing.Step {
	if e.tracer == nil {
		return nil
	}
	attributes := []attribute.KeyValue{attribute.String("rightsizer.action", string(r.Spec.Action.Kind))}
	if t != nil {
		attributes = append(attributes, attribute.String("k8s.pod.name", t.Pod), attribute.String("rightsizer.target.uid", t.UID),
			attribute.String("rightsizer.before", valueText(t.Before)), attribute.String("rightsizer.desired", valueText(t.Desired)))
	}
	return e.tracer.Step(ctx, e.ref(r), name, e.now(), attributes...)
}

// traceMove begins the span of a change of state that is no step of the action; what
// it returns ends it.
func (e *Engine) traceMove(ctx context.Context, r *v1alpha1.Remediation, to v1alpha1.RemediationState, why string) func(error) {
	step := e.traceStep(ctx, r, tracing.Move, nil)
	return func(err error) {
		step.End(e.now(), err, attribute.String("rightsizer.state", string(to)), attribute.String("rightsizer.reason", why))
	}
}

// traceVerified tells the trace of a verification that has ended. When it began is
// in the status, so that it is one span, whoever began it.
func (e *Engine) traceVerified(ctx context.Context, r *v1alpha1.Remediation, to v1alpha1.RemediationState, why string) {
	if e.tracer == nil || r.Status.State != v1alpha1.StateVerifying {
		return
	}
	now := e.now()
	begun := now
	for i := range r.Status.Transitions {
		if s := &r.Status.Transitions[i]; s.To == v1alpha1.StateVerifying && s.Time.Time.Before(now) {
			begun = s.Time.Time
		}
	}
	e.tracer.Step(ctx, e.ref(r), tracing.Verify, begun, attribute.String("rightsizer.action", string(r.Spec.Action.Kind))).
		End(now, nil, attribute.String("rightsizer.state", string(to)), attribute.String("rightsizer.reason", why))
}
