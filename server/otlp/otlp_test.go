package otlp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/server/otlp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector takes what is sent to it, as it is told to.
type collector struct {
	*httptest.Server

	mu      sync.Mutex
	answer  func(http.ResponseWriter) // nil takes everything
	headers []http.Header
	spans   []*tracepb.Span
	about   []string // of each batch, the resource's attributes
	arrived chan struct{}
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{arrived: make(chan struct{}, 1024)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { c.arrived <- struct{}{} }()
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		var sent tracepb.TracesData
		assert.NoError(t, proto.Unmarshal(body, &sent))
		c.mu.Lock()
		defer c.mu.Unlock()
		c.headers = append(c.headers, r.Header.Clone())
		c.headers[len(c.headers)-1].Set("Path", r.URL.Path)
		if c.answer != nil {
			c.answer(w)
			return
		}
		for _, of := range sent.GetResourceSpans() {
			c.about = append(c.about, of.GetResource().String())
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) answering(answer func(http.ResponseWriter)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *collector) taken() []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type exporter struct {
	*otlp.Exporter

	tracer   trace.Tracer
	registry *prometheus.Registry
	log      *log
	stop     func()
}

// start runs an exporter; stop ends it and waits.
func start(t *testing.T, o otlp.Options) *exporter {
	t.Helper()
	e := newExporter(t, o)
	e.run(t)
	return e
}

func newExporter(t *testing.T, o otlp.Options) *exporter {
	t.Helper()
	e := &exporter{registry: prometheus.NewRegistry(), log: &log{}}
	o.Ratio, o.Version, o.Instance, o.Cluster = 1, "v9", "here", "prod"
	o.Logger, o.Registerer = slog.New(slog.NewTextHandler(e.log, nil)), e.registry
	made, err := otlp.New(o)
	require.NoError(t, err)
	e.Exporter, e.tracer = made, made.Provider().Tracer("test")
	return e
}

func (e *exporter) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	e.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(e.stop)
}

func (e *exporter) span(name string, attributes ...attribute.KeyValue) {
	_, s := e.tracer.Start(context.Background(), name, trace.WithAttributes(attributes...))
	s.End()
}

// counted is what became of spans: sent, failed, dropped.
func (e *exporter) counted(t *testing.T) [3]float64 {
	t.Helper()
	families, err := e.registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	out := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	require.Equal(t, "rightsizer_trace_spans_total", families[0].GetName())
	return [3]float64{out["sent"], out["failed"], out["dropped"]}
}

const patience = 20 * time.Second

func TestSpansArriveWithWhoseTheyAre(t *testing.T) {
	c := newCollector(t)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("s3cret\n"), 0o600))
	e := start(t, otlp.Options{Endpoint: c.URL, TokenFile: token})
	e.span("one", attribute.String("k", "v"))
	<-c.arrived
	e.stop()
	require.Len(t, c.taken(), 1)
	assert.Equal(t, "one", c.taken()[0].GetName())
	assert.Equal(t, "Bearer s3cret", c.headers[0].Get("Authorization"))
	assert.Equal(t, "/v1/traces", c.headers[0].Get("Path"))
	assert.Equal(t, "application/x-protobuf", c.headers[0].Get("Content-Type"))
	assert.Equal(t, "rightsizer/v9", c.headers[0].Get("User-Agent"))
	for _, word := range []string{"service.name", "rightsizer", "v9", "here", "prod"} {
		assert.Contains(t, c.about[0], word)
	}
	assert.Equal(t, [3]float64{1, 0, 0}, e.counted(t))
}

// What ends just before the operator does is sent as well.
func TestTheLastSpansAreSent(t *testing.T) {
	c := newCollector(t)
	e := start(t, otlp.Options{Endpoint: c.URL})
	for range 600 { // more than two batches
		e.span("last")
	}
	e.stop()
	assert.Len(t, c.taken(), 600)
	assert.Equal(t, [3]float64{600, 0, 0}, e.counted(t))
}

// Text of the cluster is cut and escaped, wherever it is in a span.
func TestTextThatLeavesIsHarmless(t *testing.T) {
	c := newCollector(t)
	e := start(t, otlp.Options{Endpoint: c.URL})
	nasty := "a\x1b[31m\n\u202e" + strings.Repeat("x", 4096)
	_, s := e.tracer.Start(context.Background(), nasty, trace.WithAttributes(
		attribute.String("text", nasty), attribute.StringSlice("list", []string{nasty}), attribute.String("bytes", "\xff\xfe")))
	s.SetStatus(codes.Error, nasty)
	s.RecordError(errors.New(nasty))
	s.End()
	<-c.arrived
	e.stop()
	require.Len(t, c.taken(), 1)
	got := c.taken()[0]
	for _, text := range []string{got.GetName(), got.GetStatus().GetMessage(), got.GetAttributes()[0].GetValue().GetStringValue()} {
		assert.LessOrEqual(t, len(text), 512)
		assert.True(t, strings.HasPrefix(text, `a\x1b[31m\n\u202e`), "%q", text[:32])
	}
	assert.NotContains(t, got.String(), "\u202e")
	assert.Less(t, proto.Size(got), 8<<10)
}

// Nobody who makes spans waits for a collector: what finds no room is dropped and
// counted, and what is bounded is sent.
func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	c := newCollector(t)
	e := newExporter(t, otlp.Options{Endpoint: c.URL})
	for range 3000 { // nobody takes them yet
		e.span("many")
	}
	assert.Equal(t, [3]float64{0, 0, 3000 - 1024}, e.counted(t))
	e.run(t)
	require.Eventually(t, func() bool { return len(c.taken()) == 1024 }, patience, 10*time.Millisecond)
	e.stop()
	assert.Equal(t, [3]float64{1024, 0, 3000 - 1024}, e.counted(t))
	assert.Equal(t, 1, strings.Count(e.log.String(), "traces are not taken, or not as fast as they are made"))
	assert.Contains(t, e.log.String(), "dropped=1976")
}

// What a collector refuses for good is counted and not tried again, and the log is
// told once, not for each batch.
func TestARefusalIsCountedAndToldOnce(t *testing.T) {
	c := newCollector(t)
	c.answering(func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) })
	e := start(t, otlp.Options{Endpoint: c.URL + "/secret-path"})
	for range 3 {
		e.span("refused")
		<-c.arrived
	}
	require.Eventually(t, func() bool { return e.counted(t)[1] == 3 }, patience, 10*time.Millisecond)
	assert.Equal(t, 1, strings.Count(e.log.String(), "level=WARN"), e.log)
	assert.Contains(t, e.log.String(), "the collector answers 403")
	c.answering(nil)
	e.span("taken")
	<-c.arrived
	e.stop()
	assert.Contains(t, e.log.String(), "traces are taken again")
	assert.NotContains(t, e.log.String(), "secret-path")
	assert.Equal(t, [3]float64{1, 3, 0}, e.counted(t))
}

// What may be taken later is sent again, once.
func TestWhatMayBeTakenLaterIsSentAgain(t *testing.T) {
	c := newCollector(t)
	c.answering(func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	e := start(t, otlp.Options{Endpoint: c.URL})
	e.span("again")
	<-c.arrived
	c.answering(nil)
	<-c.arrived
	e.stop()
	require.Len(t, c.taken(), 1)
	assert.Equal(t, [3]float64{1, 0, 0}, e.counted(t))
}

// A collector that is away delays the end by no more than a second, and what it does
// not get is counted.
func TestTheEndDoesNotWaitForACollector(t *testing.T) {
	c := newCollector(t)
	c.Close()
	e := start(t, otlp.Options{Endpoint: c.URL})
	for range 600 {
		e.span("lost")
	}
	begun := time.Now()
	e.stop()
	assert.Less(t, time.Since(begun), 5*time.Second)
	counted := e.counted(t)
	assert.InDelta(t, 600, counted[1]+counted[2], 0)
	assert.NotContains(t, e.log.String(), "/v1/traces")
}

// A collector that takes some says how many it did not.
func TestSpansThatTheCollectorRejects(t *testing.T) {
	c := newCollector(t)
	partial := protowire.AppendTag(nil, 1, protowire.VarintType)
	partial = protowire.AppendVarint(partial, 2)
	partial = protowire.AppendTag(partial, 2, protowire.BytesType)
	partial = protowire.AppendString(partial, "too\x1b[0m old")
	answer := protowire.AppendTag(nil, 1, protowire.BytesType)
	answer = protowire.AppendBytes(answer, partial)
	c.answering(func(w http.ResponseWriter) { _, _ = w.Write(answer) })
	e := newExporter(t, otlp.Options{Endpoint: c.URL})
	for range 5 {
		e.span("some")
	}
	e.run(t)
	<-c.arrived
	e.stop()
	assert.Equal(t, [3]float64{3, 2, 0}, e.counted(t))
	assert.Contains(t, e.log.String(), "rejected 2 spans")
	assert.NotContains(t, e.log.String(), "\x1b")
}

// Neither spans nor token follow a redirect.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere, c := newCollector(t), newCollector(t)
	c.answering(func(w http.ResponseWriter) {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	e := start(t, otlp.Options{Endpoint: c.URL})
	e.span("one")
	<-c.arrived
	e.stop()
	assert.Empty(t, elsewhere.headers)
	assert.Equal(t, [3]float64{0, 1, 0}, e.counted(t))
}

// The share of traces goes by their ids: every process comes to the same end.
func TestTheRatioGoesByTheTrace(t *testing.T) {
	sampled := func() (out []bool) {
		o, err := otlp.New(otlp.Options{Endpoint: "http://127.0.0.1:1", Ratio: 0.5, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		tracer := o.Provider().Tracer("test")
		for i := range 64 {
			id := trace.TraceID{0: 1, 8: byte(i * 4), 15: byte(i)}
			ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, Remote: true}))
			_, s := tracer.Start(ctx, "x")
			out = append(out, s.SpanContext().IsSampled())
			s.End()
		}
		return out
	}
	one := sampled()
	assert.Equal(t, one, sampled())
	assert.Len(t, slices.DeleteFunc(one, func(yes bool) bool { return !yes }), 32)
}

func TestOptionsThatAreWrong(t *testing.T) {
	for _, endpoint := range []string{"", "collector:4318", "ftp://c", "http://", "http://u:p@c", "http://c?x=y", "http://c#x"} {
		_, err := otlp.New(otlp.Options{Endpoint: endpoint, Ratio: 1, Logger: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, "Endpoint must be", endpoint)
	}
	_, err := otlp.New(otlp.Options{Endpoint: "http://c", Ratio: 1.5, Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "Ratio is 1.5, must be 0 to 1")
	_, err = otlp.New(otlp.Options{Endpoint: "http://c", Ratio: 1})
	require.ErrorContains(t, err, "Logger must be set")
}
