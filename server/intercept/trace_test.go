package intercept_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/intercept"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// traceparent shows the trace of a caller with each request.
type traceparent struct{ next http.RoundTripper }

const foreign = "0af7651916cd43dd8448eb211c80319c"

func (p traceparent) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Traceparent", "00-"+foreign+"-b7ad6b7169203331-01")
	r.Header.Set("Authorization", "Bearer s3cret")
	return p.next.RoundTrip(r)
}

// Each call has one span, unary or stream, whatever it comes to and by each
// protocol. A caller's own trace is linked and not joined; neither his address nor
// what he shows is told, and nothing of single messages.
func TestEachCallHasASpan(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	f := startTraced(t, intercept.AllowAll{}, sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)))
	f.do = func(ctx context.Context) error {
		assert.True(t, trace.SpanContextFromContext(ctx).IsValid(), "what a call leads to can be linked")
		return rpcerr.NotFound("NOTHING", "event", "x")
	}
	f.http = &http.Client{Transport: traceparent{f.http.Transport}}
	protocols(t, f, func(t *testing.T, client rightsizerv1connect.EventServiceClient) {
		t.Helper()
		recorder.Reset()
		unary, stream := both(t, client, &rightsizerv1.EventFilter{Namespaces: []string{"a"}})
		require.Equal(t, connect.CodeNotFound, connect.CodeOf(unary))
		require.Equal(t, connect.CodeNotFound, connect.CodeOf(stream))
		f.settled(t, recorder, 2)
		for i, name := range []string{"ListEvents", "StreamEvents"} {
			s := recorder.Ended()[i]
			assert.Equal(t, "rightsizer.v1.EventService/"+name, s.Name())
			assert.Equal(t, trace.SpanKindServer, s.SpanKind())
			assert.False(t, s.Parent().IsValid())
			assert.NotEqual(t, foreign, s.SpanContext().TraceID().String(), "not joined")
			require.Len(t, s.Links(), 1)
			assert.Equal(t, foreign, s.Links()[0].SpanContext.TraceID().String())
			assert.Empty(t, s.Events())
			for _, a := range s.Attributes() {
				assert.NotContains(t, a.Value.String(), "127.0.0.1", a.Key)
				assert.NotContains(t, a.Value.String(), "s3cret", a.Key)
			}
		}
	})
}

// settled waits until n spans have ended: a stream's ends after its client has heard
// of the end.
func (*fixture) settled(t *testing.T, r *tracetest.SpanRecorder, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.Ended()) == n }, 10*time.Second, 5*time.Millisecond)
}
