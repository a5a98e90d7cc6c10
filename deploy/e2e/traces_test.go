package e2e_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// receiver is a collector on loopback that keeps what is sent to it.
type receiver struct {
	*httptest.Server

	mu    sync.Mutex
	spans []*tracepb.Span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var sent tracepb.TracesData
		if err != nil || proto.Unmarshal(body, &sent) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, of := range sent.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

// of are the spans of a trace, by the problem that it is of.
func (r *receiver) of(problem string) (out []*tracepb.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if hex.EncodeToString(s.GetTraceId()) == problem {
			out = append(out, s)
		}
	}
	return out
}

func named(spans []*tracepb.Span, name string) *tracepb.Span {
	i := slices.IndexFunc(spans, func(s *tracepb.Span) bool { return s.GetName() == name })
	if i < 0 {
		return nil
	}
	return spans[i]
}

// An OOM kill under the shipped Auto policy is one trace: whoever has the event finds
// it by its problem_id. The event is its root, the decision hangs on it, and on the
// decision each step, also those of a second process after the first was killed. Calls
// of the API have traces of their own.
func TestAnOOMKillIsOneTrace(t *testing.T) {
	const namespace = "traced"
	governed(t, namespace, "auto", nil)
	r := newReceiver(t)
	flags := []string{"--otlp-endpoint=" + r.URL}
	o := serve(t, cluster.KubeconfigPath(), flags...).ready()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	h := hear(ctx, t, o, "pod.oom_killed")
	hungry(t, namespace, "victim", 1, "64Mi", "100", looping)
	stateSeen(ctx, t, namespace, "victim", "Verifying")
	made := remediationsOf(t, namespace)
	require.Len(t, made, 1)
	kill := h.waitFor(t, "the kill that it was decided on", func(ev *rightsizerv1.Event) bool {
		return ev.GetProblemId() == text(&made[0], "spec", "cause", "problemID")
	})
	require.Eventually(t, func() bool { return named(r.of(kill.GetProblemId()), "apply") != nil }, patience, poll, "what was done is told at once")
	o.kill()
	o = serve(t, cluster.KubeconfigPath(), flags...).ready()
	o.waitState(namespace, "victim", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	require.Eventually(t, func() bool { return named(r.of(kill.GetProblemId()), "verify") != nil }, patience, poll)
	o.stop()

	spans := r.of(kill.GetProblemId())
	event, decision := named(spans, "event pod.oom_killed"), named(spans, "decision made")
	require.NotNil(t, event)
	require.NotNil(t, decision)
	assert.Empty(t, event.GetParentSpanId())
	assert.Equal(t, event.GetSpanId(), decision.GetParentSpanId())
	for _, name := range []string{"intent", "apply", "verify"} {
		step := named(spans, name)
		require.NotNil(t, step, name)
		assert.Equal(t, decision.GetSpanId(), step.GetParentSpanId(), name)
		assert.GreaterOrEqual(t, step.GetStartTimeUnixNano(), event.GetStartTimeUnixNano(), name)
	}
	assert.Contains(t, decision.String(), made[0].GetName())

	r.mu.Lock()
	defer r.mu.Unlock()
	assert.True(t, slices.ContainsFunc(r.spans, func(s *tracepb.Span) bool {
		return strings.HasPrefix(s.GetName(), "rightsizer.v1.") && hex.EncodeToString(s.GetTraceId()) != kill.GetProblemId()
	}), "calls have spans")
	assert.False(t, slices.ContainsFunc(r.spans, func(s *tracepb.Span) bool { return strings.HasPrefix(s.GetName(), "grpc.health") }))
}
