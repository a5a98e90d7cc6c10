package intercept

import (
	"fmt"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// tracing makes a span of each call, a stream's as long as the stream; nothing is
// told of single messages. A caller's own trace is linked and not joined: who may
// call must not say which traces are sampled, nor write into those of others. Its
// address is not told. Metrics are [Metrics]' to make.
func tracing(p trace.TracerProvider) (connect.Interceptor, error) {
	made, err := otelconnect.NewInterceptor(
		otelconnect.WithTracerProvider(p), otelconnect.WithPropagator(propagation.TraceContext{}), otelconnect.WithoutMetrics(),
	)
	if err != nil {
		return nil, fmt.Errorf("intercept: tracing: %w", err)
	}
	return made, nil
}
