package intercept

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/server/codec"
)

// Options are what the chain needs. Logger, Metrics and Authorizer must be set.
type Options struct {
	Logger     *slog.Logger
	Metrics    *Metrics
	Authorizer Authorizer
	// Tracing takes a span of each call to our own schema; nil takes none.
	Tracing trace.TracerProvider
	// ReadMaxBytes bounds one request message, decompressed; DefaultReadMaxBytes by default.
	ReadMaxBytes int
}

// DefaultReadMaxBytes bounds a request message where Options do not: the largest
// legal request (256 namespaces, 256 workloads, 256 nodes) has about 170 KiB.
const DefaultReadMaxBytes = 256 << 10

// HandlerOption is the whole chain with its codecs and limits, for a handler of
// our own schema.
func (o Options) HandlerOption() (connect.HandlerOption, error) {
	if o.Logger == nil || o.Metrics == nil || o.Authorizer == nil {
		return nil, errors.New("intercept: Logger, Metrics and Authorizer must be set")
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("intercept: validator: %w", err)
	}
	chain := []connect.Interceptor{
		o.Metrics,
		logging{logger: o.Logger},
		recovery{logger: o.Logger, metrics: o.Metrics},
		onRequest{check: decode},
		onRequest{check: validate(validator)},
		onRequest{check: authorize(o.Authorizer)},
	}
	if o.Tracing != nil {
		traced, err := tracing(o.Tracing)
		if err != nil {
			return nil, err
		}
		chain = slices.Insert(chain, 0, traced)
	}
	return o.option(chain...), nil
}

// ForeignHandlerOption is the chain for services that are not of our schema
// (health, reflection): without validation and authorization.
func (o Options) ForeignHandlerOption() (connect.HandlerOption, error) {
	if o.Logger == nil || o.Metrics == nil {
		return nil, errors.New("intercept: Logger and Metrics must be set")
	}
	return o.option(
		o.Metrics,
		logging{logger: o.Logger},
		recovery{logger: o.Logger, metrics: o.Metrics},
		onRequest{check: decode},
	), nil
}

func (o Options) option(chain ...connect.Interceptor) connect.HandlerOption {
	limit := o.ReadMaxBytes
	if limit <= 0 {
		limit = DefaultReadMaxBytes
	}
	options := []connect.HandlerOption{
		connect.WithInterceptors(chain...),
		connect.WithReadMaxBytes(limit),
		unpacking(int64(limit)),
		connect.WithRequestInitializer(func(_ connect.Spec, message any) error {
			if m, ok := message.(proto.Message); ok {
				codec.Defer(m)
			}
			return nil
		}),
		connect.WithCodec(codec.Proto{}),
	}
	for _, c := range codec.Codecs() {
		options = append(options, connect.WithCodec(c))
	}
	return connect.WithHandlerOptions(options...)
}

// onRequest runs a check on each message that a client sends. It serves unary
// calls and streams alike.
type onRequest struct {
	check func(ctx context.Context, spec connect.Spec, m proto.Message) error
}

// WrapUnary implements connect.Interceptor.
func (i onRequest) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if m, ok := req.Any().(proto.Message); ok && !req.Spec().IsClient {
			if err := i.check(ctx, req.Spec(), m); err != nil {
				return nil, err
			}
		}
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i onRequest) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (i onRequest) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return next(ctx, &checkedConn{StreamingHandlerConn: conn, check: func(m proto.Message) error {
			return i.check(ctx, conn.Spec(), m)
		}})
	}
}

type checkedConn struct {
	connect.StreamingHandlerConn
	check func(proto.Message) error
}

// Receive implements connect.StreamingHandlerConn.
func (c *checkedConn) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	if m, ok := message.(proto.Message); ok {
		return c.check(m)
	}
	return nil
}
