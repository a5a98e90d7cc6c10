package intercept

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Metrics are the Prometheus metrics of the API's calls. Label `procedure` has
// one value for each method, `protocol` connect, grpc or grpcweb, `code` a
// Connect code or ok.
type Metrics struct {
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	panics   *prometheus.CounterVec
}

// NewMetrics registers the metrics with r.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_rpc_calls_total",
			Help: "Calls that ended, unary and streams, by procedure, protocol and code.",
		}, []string{"procedure", "protocol", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rightsizer_rpc_duration_seconds",
			Help:    "Time that unary calls took, in seconds; streams are not in it.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"procedure", "protocol"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rightsizer_rpc_in_flight",
			Help: "Calls that go on, open streams included.",
		}, []string{"procedure", "protocol"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_rpc_panics_total",
			Help: "Calls that panicked, by procedure. Each is a bug; the log has its stack.",
		}, []string{"procedure"}),
	}
	for _, c := range []prometheus.Collector{m.calls, m.seconds, m.inFlight, m.panics} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("intercept: register metrics: %w", err)
		}
	}
	return m, nil
}

// WrapUnary implements connect.Interceptor.
func (m *Metrics) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		end := m.begin(req.Spec(), req.Peer())
		started := time.Now()
		res, err := next(ctx, req)
		m.seconds.WithLabelValues(req.Spec().Procedure, req.Peer().Protocol).Observe(time.Since(started).Seconds())
		end(err)
		return res, err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (m *Metrics) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (m *Metrics) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		end := m.begin(conn.Spec(), conn.Peer())
		err := next(ctx, conn)
		end(err)
		return err
	}
}

func (m *Metrics) begin(spec connect.Spec, peer connect.Peer) func(error) {
	running := m.inFlight.WithLabelValues(spec.Procedure, peer.Protocol)
	running.Inc()
	return func(err error) {
		running.Dec()
		m.calls.WithLabelValues(spec.Procedure, peer.Protocol, codeOf(err)).Inc()
	}
}

func codeOf(err error) string {
	if err == nil {
		return "ok"
	}
	return connect.CodeOf(err).String()
}

// logging writes a line for each call that ended. It names neither headers nor
// fields of requests: they hold tokens and names that a log must not have.
type logging struct{ logger *slog.Logger }

// WrapUnary implements connect.Interceptor.
func (l logging) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		started := time.Now()
		res, err := next(ctx, req)
		l.write(ctx, req.Spec(), req.Peer(), time.Since(started), err)
		return res, err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (l logging) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (l logging) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		started := time.Now()
		err := next(ctx, conn)
		l.write(ctx, conn.Spec(), conn.Peer(), time.Since(started), err)
		return err
	}
}

func (l logging) write(ctx context.Context, spec connect.Spec, peer connect.Peer, took time.Duration, err error) {
	if !l.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("procedure", spec.Procedure),
		slog.String("protocol", peer.Protocol),
		slog.String("peer", peer.Addr),
		slog.String("code", codeOf(err)),
		slog.Duration("took", took),
	}
	if id, ok := auth.FromContext(ctx); ok && id.User != "" {
		attrs = append(attrs, slog.String("user", id.User))
	}
	if reason := rpcerr.Reason(err); reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	l.logger.LogAttrs(ctx, slog.LevelDebug, "call ended", attrs...)
}

// recovery keeps a panic within its call, and gives every error an ErrorInfo.
type recovery struct {
	logger  *slog.Logger
	metrics *Metrics
}

// WrapUnary implements connect.Interceptor.
func (r recovery) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (_ connect.AnyResponse, err error) {
		defer func() { err = r.settle(ctx, req.Spec(), recover(), err) }()
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (r recovery) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (r recovery) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer func() { err = r.settle(ctx, conn.Spec(), recover(), err) }()
		return next(ctx, conn)
	}
}

func (r recovery) settle(ctx context.Context, spec connect.Spec, panicked any, err error) error {
	if panicked == nil {
		r.report(ctx, spec, err)
		return rpcerr.Ensure(err)
	}
	if cause, ok := panicked.(error); ok && errors.Is(cause, http.ErrAbortHandler) {
		panic(panicked) // net/http's own way to break a connection
	}
	r.metrics.panics.WithLabelValues(spec.Procedure).Inc()
	r.logger.LogAttrs(ctx, slog.LevelError, "a handler panicked; only its call failed",
		slog.String("procedure", spec.Procedure), slog.Any("panic", panicked), slog.String("stack", string(debug.Stack())))
	return rpcerr.Internal("internal error; the operator's log has it")
}

// report logs an error that nobody made for clients: its text is about to be
// replaced by "internal error".
func (r recovery) report(ctx context.Context, spec connect.Spec, err error) {
	var coded *connect.Error
	if err == nil || ctx.Err() != nil || errors.As(err, &coded) {
		return
	}
	r.logger.LogAttrs(ctx, slog.LevelError, "a handler failed without a code",
		slog.String("procedure", spec.Procedure), slog.Any("error", err))
}
