package otlp

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// queue takes the spans that end, and never waits. It implements the SDK's
// SpanProcessor.
type queue struct {
	spans chan sdk.ReadOnlySpan
	full  prometheus.Counter
	lost  atomic.Int64 // as full counts
}

// OnStart implements sdk.SpanProcessor.
func (*queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.full.Inc()
		q.lost.Add(1)
	}
}

// Shutdown implements sdk.SpanProcessor; Run ends by its context.
func (*queue) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdk.SpanProcessor.
func (*queue) ForceFlush(context.Context) error { return nil }

// next waits for spans, and a little for more; nil where ctx ends before there are
// any.
func (q *queue) next(ctx context.Context) []sdk.ReadOnlySpan {
	var batch []sdk.ReadOnlySpan
	select {
	case <-ctx.Done():
		return nil
	case s := <-q.spans:
		batch = append(batch, s)
	}
	timer := time.NewTimer(flushAfter)
	defer timer.Stop()
	for len(batch) < batchSpans {
		select {
		case <-ctx.Done():
			return batch
		case <-timer.C:
			return batch
		case s := <-q.spans:
			batch = append(batch, s)
		}
	}
	return batch
}

// rest is what waits now, a batch of it at most.
func (q *queue) rest() []sdk.ReadOnlySpan {
	var batch []sdk.ReadOnlySpan
	for len(batch) < batchSpans {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}
