// Package otlp sends traces to an OpenTelemetry collector, as protobuf over HTTP.
//
// Spans that have ended wait in a bounded queue; what finds no room is dropped and
// counted, so that nobody who makes spans ever waits. Run sends them in batches, one
// request at a time, and tries again what the collector could not take; what it
// refuses, or does not take in time, is counted as failed. The log says so once a
// minute at most, with the numbers since.
//
// Text that leaves is cut, and escaped as for a log: names and errors come from the
// cluster. Neither the path of the endpoint nor the token is ever in an error.
//
// The encoding is the SDK's; the transport is our own, since the SDK's brings gRPC
// into the binary (6 MB), and drops without counting.
package otlp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Bounds.
const (
	// queueSpans is how many spans wait at most, batchSpans how many are sent at a
	// time. A span of the operator's own has about 2 KiB.
	queueSpans = 1024
	batchSpans = 256
	// flushAfter is how long a span waits for others to be sent with.
	flushAfter = time.Second
	// attemptTimeout bounds one request, giveUpAfter all attempts of a batch.
	attemptTimeout = 10 * time.Second
	giveUpAfter    = time.Minute
	// lastWords is how long what waits may take to be sent at the end.
	lastWords = time.Second
)

// limits bound one span, so that what waits is bounded in bytes. Longer text is cut
// once more, where it leaves.
var limits = sdk.SpanLimits{
	AttributeValueLengthLimit: maxText, AttributeValueDepthLimit: 4, AttributeCountLimit: 32,
	EventCountLimit: 8, LinkCountLimit: 8, AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8,
}

// Options say where to send what.
type Options struct {
	// Endpoint is the URL of the collector; without a path, /v1/traces. Required.
	Endpoint string
	// RootCAs vouch for its certificate; nil are the system's.
	RootCAs *x509.CertPool
	// TokenFile has a bearer token for it, read anew for each request; empty for none.
	TokenFile string
	// Ratio is the share of traces that are sent, 0 to 1, by their ids.
	Ratio float64
	// IDs generates the ids of traces and spans; nil are random ones.
	IDs sdk.IDGenerator
	// Version of this program; Instance is which of its processes this is.
	Version, Instance string
	// Cluster and Environment are names for people, empty where there are none.
	Cluster, Environment string
	// Logger is required.
	Logger *slog.Logger
	// Registerer takes rightsizer_trace_spans_total; nil is none.
	Registerer prometheus.Registerer
}

// Exporter makes spans and sends them. Make it with New; run it once.
type Exporter struct {
	provider *sdk.TracerProvider
	queue    *queue
	encode   *otlptrace.Exporter
	client   *client
	logger   *slog.Logger
	spans    *prometheus.CounterVec
	said     complaint
}

// What becomes of spans: values of label result.
const (
	resultSent    = "sent"
	resultFailed  = "failed"
	resultDropped = "dropped"
)

// New makes an Exporter. It contacts nobody.
func New(o Options) (*Exporter, error) {
	if o.Logger == nil {
		return nil, errors.New("otlp: Logger must be set")
	}
	if !(o.Ratio >= 0 && o.Ratio <= 1) {
		return nil, fmt.Errorf("otlp: Ratio is %g, must be 0 to 1", o.Ratio)
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	e := &Exporter{client: c, encode: otlptrace.NewUnstarted(c), logger: o.Logger, spans: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rightsizer_trace_spans_total",
		Help: "Spans of traces by what became of them: sent, failed (refused by the collector, or not taken in time), dropped (too many waited, or left at the end).",
	}, []string{"result"})}
	for _, result := range []string{resultSent, resultFailed, resultDropped} {
		e.spans.WithLabelValues(result)
	}
	e.queue = &queue{spans: make(chan sdk.ReadOnlySpan, queueSpans), full: e.spans.WithLabelValues(resultDropped)}
	if o.Registerer != nil {
		if err := o.Registerer.Register(e.spans); err != nil {
			return nil, fmt.Errorf("otlp: register metrics: %w", err)
		}
	}
	opts := []sdk.TracerProviderOption{
		sdk.WithSampler(sdk.TraceIDRatioBased(o.Ratio)), sdk.WithRawSpanLimits(limits),
		sdk.WithSpanProcessor(e.queue), sdk.WithResource(about(o)),
	}
	if o.IDs != nil {
		opts = append(opts, sdk.WithIDGenerator(o.IDs))
	}
	e.provider = sdk.NewTracerProvider(opts...)
	return e, nil
}

// about says whose spans these are, in the words of OpenTelemetry.
func about(o Options) *resource.Resource {
	attributes := []attribute.KeyValue{attribute.String("service.name", "rightsizer")}
	for _, pair := range [][2]string{
		{"service.version", o.Version}, {"service.instance.id", o.Instance}, {"k8s.cluster.name", o.Cluster}, {"deployment.environment.name", o.Environment},
	} {
		if pair[1] != "" {
			attributes = append(attributes, attribute.String(pair[0], pair[1]))
		}
	}
	return resource.NewSchemaless(attributes...)
}

// Provider makes tracers whose spans are sent.
func (e *Exporter) Provider() trace.TracerProvider { return e.provider }

// Run sends what ends until ctx does, then what waits, within a second.
func (e *Exporter) Run(ctx context.Context) error {
	defer e.client.close()
	out, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a request under way is not broken off, or it would be made twice
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	var left []sdk.ReadOnlySpan
	for ctx.Err() == nil {
		left = e.send(ctx, out, e.queue.next(ctx))
	}
	if len(left) == 0 {
		left = e.queue.rest()
	}
	for ; len(left) > 0; left = e.queue.rest() {
		if out.Err() != nil {
			e.spans.WithLabelValues(resultDropped).Add(float64(len(left)))
			continue
		}
		e.settle(out, len(left), e.encode.ExportSpans(out, left))
	}
	return nil
}

// send sends a batch, each request under out, and tries again as long as that may
// help. It returns what is not settled as ctx ends.
func (e *Exporter) send(ctx, out context.Context, batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	if len(batch) == 0 {
		return nil
	}
	until := time.Now().Add(giveUpAfter)
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		err := e.encode.ExportSpans(out, batch)
		refused, again := errors.AsType[*refusal](err)
		if !again || !refused.passing {
			e.settle(ctx, len(batch), err)
			return nil
		}
		wait := max(pause, refused.after)
		if time.Now().Add(wait).After(until) {
			e.settle(ctx, len(batch), err)
			return nil
		}
		e.said.failing(ctx, e, err)
		select {
		case <-ctx.Done():
			return batch
		case <-time.After(wait):
		}
	}
}

// settle counts what became of a batch of n spans.
func (e *Exporter) settle(ctx context.Context, n int, err error) {
	failed := 0
	switch partly, some := errors.AsType[*partial](err); {
	case some:
		failed = int(min(max(partly.rejected, 0), int64(n)))
	case err != nil:
		failed = n
	}
	e.spans.WithLabelValues(resultSent).Add(float64(n - failed))
	e.spans.WithLabelValues(resultFailed).Add(float64(failed))
	e.said.failed += failed
	if err == nil && e.queue.lost.Load() == e.said.lost {
		e.said.well(ctx, e)
		return
	}
	e.said.failing(ctx, e, err)
}

// sayAgain is how long the log is spared of what it was told.
const sayAgain = time.Minute

// complaint is what the log was told. It belongs to Run.
type complaint struct {
	at     time.Time // zero while all is well
	failed int       // since at
	lost   int64     // of the queue's, at at
}

func (c *complaint) failing(ctx context.Context, e *Exporter, err error) {
	now := time.Now()
	if !c.at.IsZero() && now.Sub(c.at) < sayAgain {
		return
	}
	lost := e.queue.lost.Load()
	attrs := []slog.Attr{slog.String("host", e.client.host), slog.Int("failed", c.failed), slog.Int64("dropped", lost-c.lost)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	e.logger.LogAttrs(ctx, slog.LevelWarn, "traces are not taken, or not as fast as they are made", attrs...)
	c.at, c.failed, c.lost = now, 0, lost
}

func (c *complaint) well(ctx context.Context, e *Exporter) {
	if c.at.IsZero() {
		return
	}
	e.logger.InfoContext(ctx, "traces are taken again", slog.String("host", e.client.host))
	*c = complaint{lost: c.lost}
}
