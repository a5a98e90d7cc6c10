package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Names of the spans of steps.
const (
	Intent   = "intent"    // what is about to be done is written down
	Apply    = "apply"     // one write to one object
	ReadBack = "read_back" // whether a write was made that an interruption hid
	Verify   = "verify"    // from the effect to what came of it
	Revert   = "revert"    // one write that takes one back
	Move     = "move"      // another change of the Remediation's state
)

// Outcomes of a decision.
const (
	Made    = "made"    // a Remediation
	Joined  = "joined"  // one that was open already has one more cause
	Refused = "refused" // nothing is done
)

// Tracer makes spans. Make it with New; nil makes none.
type Tracer struct{ tracer trace.Tracer }

// New makes a Tracer; nil where there is no provider.
func New(p trace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer("github.com/rightsizer/rightsizer/remediate")}
}

// Ref is where a decision is: in the trace of a problem, by the name of its
// Remediation.
type Ref struct{ Problem, Remediation string }

func (r Ref) context() trace.SpanContext {
	return spanContext(TraceID(r.Problem), DecisionSpan(r.Remediation))
}

func spanContext(id trace.TraceID, span trace.SpanID) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled, Remote: true})
}

// Event tells of an event: from when the watcher saw it until a decision about it
// begins. It is the root of the trace.
func (t *Tracer) Event(ctx context.Context, ev *rightsizerv1.Event, taken time.Time) {
	if t == nil {
		return
	}
	seen := ev.GetObservedTime().AsTime()
	if seen.After(taken) { // another clock's
		seen = taken
	}
	t.derived(ctx, "event "+ev.GetType(), TraceID(ev.GetProblemId()), trace.SpanID{}, EventSpan(ev.GetId()), trace.WithTimestamp(seen),
		trace.WithAttributes(
			attribute.String("rightsizer.event.id", ev.GetId()), attribute.String("rightsizer.event.type", ev.GetType()),
			attribute.String("rightsizer.event.reason", ev.GetReason()), attribute.String("rightsizer.event.occurred", ev.GetOccurredTime().AsTime().Format(time.RFC3339Nano)),
			attribute.Bool("rightsizer.event.found_at_start", ev.GetFoundAtStart()),
			attribute.String("k8s.namespace.name", ev.GetNamespace()), attribute.String("k8s.container.name", ev.GetContainer()),
			attribute.String("rightsizer.object", ev.GetObject().GetKind()+"/"+ev.GetObject().GetName()),
			attribute.String("rightsizer.workload", ev.GetWorkload().GetKind()+"/"+ev.GetWorkload().GetName()),
		)).End(trace.WithTimestamp(taken))
}

// Decision is how something was decided on.
type Decision struct {
	// Ref has the problem, and the Remediation where one was made.
	Ref

	// Event is the id of the event that is decided on; Follows the name of the
	// decision in the same trace that led to it. Without both it has no parent.
	Event, Follows string
	Begun, Ended   time.Time
	Outcome        string
	// Reason is why nothing is done.
	Reason string
	// Joined is the decision that the event joined.
	Joined     Ref
	Attributes []attribute.KeyValue
}

// Decided tells of a decision. A call that led to it is linked.
func (t *Tracer) Decided(ctx context.Context, d *Decision) {
	if t == nil {
		return
	}
	id, parent, own := TraceID(d.Problem), trace.SpanID{}, trace.SpanID{}
	switch {
	case d.Follows != "":
		parent = DecisionSpan(d.Follows)
	case d.Event != "":
		parent = EventSpan(d.Event)
	}
	if d.Remediation != "" {
		own = DecisionSpan(d.Remediation)
	}
	opts := []trace.SpanStartOption{trace.WithTimestamp(d.Begun), trace.WithAttributes(d.Attributes...), trace.WithAttributes(
		attribute.String("rightsizer.outcome", d.Outcome), attribute.String("rightsizer.remediation", d.Remediation), attribute.String("rightsizer.reason", d.Reason),
	)}
	if d.Joined.Remediation != "" {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: d.Joined.context()}))
	}
	t.derived(ctx, "decision "+d.Outcome, id, parent, own, opts...).End(trace.WithTimestamp(d.Ended))
}

// derived starts a span whose place is derived, and its id unless own is zero. Its
// context stays here, or the spans started with it would have the same id.
func (t *Tracer) derived(ctx context.Context, name string, id trace.TraceID, parent, own trace.SpanID, opts ...trace.SpanStartOption) trace.Span {
	if call := trace.SpanContextFromContext(ctx); call.IsValid() { // the API's, which has a trace of its own
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: call}))
	}
	ctx = trace.ContextWithSpanContext(ctx, spanContext(id, parent))
	if own.IsValid() {
		ctx = context.WithValue(ctx, derivedKey{}, own)
	}
	_, span := t.tracer.Start(ctx, name, opts...)
	return span
}

// Step is a step that goes on. A nil one is of no trace.
type Step struct{ span trace.Span }

// Step begins a step of a decision.
func (t *Tracer) Step(ctx context.Context, of Ref, name string, begun time.Time, attributes ...attribute.KeyValue) *Step {
	if t == nil {
		return nil
	}
	return &Step{t.derived(ctx, name, TraceID(of.Problem), DecisionSpan(of.Remediation), trace.SpanID{},
		trace.WithTimestamp(begun), trace.WithAttributes(attributes...), trace.WithAttributes(attribute.String("rightsizer.remediation", of.Remediation)))}
}

// End ends it; err, where it is not nil, is why it failed.
func (s *Step) End(at time.Time, err error, attributes ...attribute.KeyValue) {
	if s == nil {
		return
	}
	s.span.SetAttributes(attributes...)
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End(trace.WithTimestamp(at))
}
