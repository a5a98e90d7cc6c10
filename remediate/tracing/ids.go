package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"

	"go.opentelemetry.io/otel/trace"
)

// TraceID is the trace of a problem: its id, which has 32 hexadecimal digits, or
// where it has other ones a hash of it.
func TraceID(problem string) trace.TraceID {
	if id, err := trace.TraceIDFromHex(problem); err == nil {
		return id
	}
	sum := sha256.Sum256([]byte(problem))
	return trace.TraceID(sum[:16])
}

// EventSpan is the span of an event, by its id.
func EventSpan(event string) trace.SpanID { return spanID("event", event) }

// DecisionSpan is the span of a decision, by the name of its Remediation.
func DecisionSpan(remediation string) trace.SpanID { return spanID("decision", remediation) }

func spanID(of, name string) trace.SpanID {
	sum := sha256.Sum256([]byte(of + "\x00" + name))
	return trace.SpanID(sum[:8])
}

// IDs generates ids: random ones, but for spans whose id is derived. It implements
// the SDK's IDGenerator.
type IDs struct{}

// derivedKey is where the derived id of a span is, in the context that it alone is
// started with.
type derivedKey struct{}

// NewIDs begins a trace.
func (IDs) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id, IDs{}.NewSpanID(ctx, id)
}

// NewSpanID is the id of one more span of a trace.
func (IDs) NewSpanID(ctx context.Context, _ trace.TraceID) (id trace.SpanID) {
	if derived, ok := ctx.Value(derivedKey{}).(trace.SpanID); ok {
		return derived
	}
	_, _ = rand.Read(id[:])
	return id
}
