package remediate_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// recorded are the spans of one process.
type recorded struct{ *tracetest.SpanRecorder }

// record has the operators that start from now on traced.
func (w *world) record() recorded {
	r := recorded{tracetest.NewSpanRecorder()}
	w.tracing = sdk.NewTracerProvider(sdk.WithSpanProcessor(r), sdk.WithIDGenerator(tracing.IDs{}), sdk.WithSampler(sdk.AlwaysSample()))
	return r
}

// named are the spans whose name begins so.
func (r recorded) named(name string) (out []sdk.ReadOnlySpan) {
	for _, s := range r.Ended() {
		if strings.HasPrefix(s.Name(), name) {
			out = append(out, s)
		}
	}
	return out
}

func attributeOf(s sdk.ReadOnlySpan, key string) string {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// The event is the root; the decision hangs on it, and on the decision each step.
func TestACauseIsOneTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		r := w.record()
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		o.stop()
		kill, made := w.problems[0], w.only()

		events, decisions := r.named("event"), r.named("decision")
		require.Len(t, events, 1)
		require.Len(t, decisions, 1)
		assert.Equal(t, "event pod.oom_killed", events[0].Name())
		assert.False(t, events[0].Parent().SpanID().IsValid(), "the root")
		assert.Equal(t, kill.GetObservedTime().AsTime(), events[0].StartTime().UTC(), "from when the watcher saw it")
		assert.Equal(t, "decision made", decisions[0].Name())
		assert.Equal(t, events[0].SpanContext().SpanID(), decisions[0].Parent().SpanID())
		assert.Equal(t, tracing.DecisionSpan(made.Name), decisions[0].SpanContext().SpanID())
		assert.Equal(t, made.Name, attributeOf(decisions[0], "rightsizer.remediation"))
		assert.Equal(t, "Deployment/web", attributeOf(decisions[0], "rightsizer.workload"))
		assert.False(t, decisions[0].StartTime().Before(events[0].EndTime()))

		pods := map[string]bool{}
		for _, s := range r.named("apply") {
			pods[attributeOf(s, "k8s.pod.name")] = true
			assert.Equal(t, codes.Unset, s.Status().Code)
			assert.Contains(t, attributeOf(s, "rightsizer.desired"), "limits.memory=")
		}
		assert.Equal(t, map[string]bool{"web-0": true, "web-1": true}, pods)
		assert.Len(t, r.named("intent"), 2, "of the first pod, and of the others")
		verified := r.named("verify")
		require.Len(t, verified, 1)
		assert.Equal(t, "Succeeded", attributeOf(verified[0], "rightsizer.state"))
		assert.GreaterOrEqual(t, verified[0].EndTime().Sub(verified[0].StartTime()), 10*time.Second, "the window")
		of := map[trace.SpanID]bool{}
		for _, s := range r.Ended() {
			assert.Equal(t, tracing.TraceID(kill.GetProblemId()), s.SpanContext().TraceID(), s.Name())
			assert.False(t, of[s.SpanContext().SpanID()], "%s has another's id", s.Name())
			of[s.SpanContext().SpanID()] = true
			if !strings.HasPrefix(s.Name(), "event") && !strings.HasPrefix(s.Name(), "decision") {
				assert.Equal(t, decisions[0].SpanContext().SpanID(), s.Parent().SpanID(), s.Name())
			}
		}
	})
}

// Wherever a leader dies, its successor goes on with the trace: what it does hangs on
// the same decision, and what the first one did is not told again.
func TestAnotherLeaderGoesOnWithTheTrace(t *testing.T) {
	t.Parallel()
	readBack, verified := 0, 0
	for n := 1; n <= 8; n++ {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				before := w.record()
				var dead bool
				first := w.start("first", func(c *kubetest.Client, die func()) {
					c.CutAt(n, after, func() { dead = true; die() })
				})
				until(func() bool { return first.ctx.Err() != nil || w.ended() })
				first.stop()
				if !dead {
					return // it has no such write
				}
				then := w.record()
				second := w.start("second", nil)
				require.True(t, until(w.ended))
				second.stop()

				made := w.only()
				assert.LessOrEqual(t, len(before.named("decision made"))+len(then.named("decision made")), 1, "write %d", n)
				verified += len(then.named("verify"))
				assert.LessOrEqual(t, len(before.named("verify"))+len(then.named("verify")), 1, "write %d", n)
				for _, s := range then.Ended() {
					assert.Equal(t, tracing.TraceID(string(made.Spec.Cause.ProblemID)), s.SpanContext().TraceID(), s.Name())
					if !strings.HasPrefix(s.Name(), "event") && !strings.HasPrefix(s.Name(), "decision") {
						assert.Equal(t, tracing.DecisionSpan(made.Name), s.Parent().SpanID(), s.Name())
					}
				}
				for _, s := range then.named("read_back") {
					if attributeOf(s, "rightsizer.found") == "true" {
						readBack++
					}
				}
			})
		}
	}
	assert.Positive(t, readBack, "an effect of the first was found by the second")
	assert.Positive(t, verified, "what the first began was verified by the second")
}

// Where nothing is done, the trace says why.
func TestTheTraceOfARefusalSaysWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.spec.Modes = []v1alpha1.ActionMode{{Action: v1alpha1.ActionResizeInPlace, Mode: v1alpha1.ModeObserve}, {Action: v1alpha1.ActionResizeTemplate, Mode: v1alpha1.ModeObserve}}
		r := w.record()
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool { return len(r.named("decision")) > 0 }))
		said := r.named("decision")[0]
		assert.Equal(t, "decision refused", said.Name())
		assert.Contains(t, attributeOf(said, "rightsizer.reason"), "no_action: resize_in_place: ")
		assert.Equal(t, tracing.EventSpan(w.problems[0].GetId()), said.Parent().SpanID())
		assert.Len(t, r.named("event"), 1)
		assert.Empty(t, w.api.Remediations("shop"))
	})
}

// One more cause of what is open already has a trace of its own, which leads to the
// decision; so has what a person asks for, which leads back to his call.
func TestTracesLeadToEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		r := w.record()
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool { return len(r.named("apply")) == 2 }))
		made := w.only()
		again := w.kill("web-1", 64)
		o.events <- again
		require.True(t, until(func() bool { return len(r.named("decision joined")) > 0 }))
		joined := r.named("decision joined")[0]
		assert.Equal(t, tracing.TraceID(again.GetProblemId()), joined.SpanContext().TraceID())
		require.Len(t, joined.Links(), 1)
		assert.Equal(t, tracing.DecisionSpan(made.Name), joined.Links()[0].SpanContext.SpanID())
		assert.Equal(t, tracing.TraceID(w.problems[0].GetProblemId()), joined.Links()[0].SpanContext.TraceID())

		require.True(t, until(w.ended))
		call := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
		wanted, err := o.engine.Create(trace.ContextWithSpanContext(t.Context(), call), remediate.Person{Name: "ada"}, asked("rollout_restart", nil))
		require.NoError(t, err)
		mine := r.named("decision made")
		own := mine[len(mine)-1]
		assert.Equal(t, wanted.GetName(), attributeOf(own, "rightsizer.remediation"))
		assert.False(t, own.Parent().SpanID().IsValid())
		require.Len(t, own.Links(), 1)
		assert.Equal(t, call.TraceID(), own.Links()[0].SpanContext.TraceID())
		assert.NotEqual(t, call.TraceID(), own.SpanContext().TraceID())
	})
}
