package stream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
	"github.com/rightsizer/rightsizer/server/stream/envelope"
)

// ReasonSlow is the reason of the error that ends a stream whose client takes no
// data. It is for the log: the client, whose stream is reset, takes no error either.
const ReasonSlow = "SLOW_CLIENT"

// Reasons of this package's other errors.
const (
	reasonFull         = "TOO_MANY_STREAMS"
	reasonFullIdentity = "TOO_MANY_STREAMS_OF_IDENTITY"
	reasonFullPeer     = "TOO_MANY_STREAMS_OF_PEER"
)

// Service answers EventService.
type Service struct {
	rightsizerv1connect.UnimplementedEventServiceHandler

	hub *Hub
}

// Handler mounts EventService: its path and its handler, with the way past
// connect's Send that the pump needs.
func Handler(h *Hub, opts ...connect.HandlerOption) (string, http.Handler) {
	path, handler := rightsizerv1connect.NewEventServiceHandler(&Service{hub: h}, opts...)
	return path, envelope.Expose(handler)
}

// StreamEvents implements EventServiceHandler.
func (s *Service) StreamEvents(ctx context.Context, req *rightsizerv1.StreamEventsRequest, out *connect.ServerStream[rightsizerv1.StreamEventsResponse]) error {
	if err := s.hub.ownCluster(req.GetCluster()); err != nil {
		return err
	}
	scope, err := s.hub.Scope(ctx, req.GetFilter())
	if err != nil {
		return err
	}
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return rpcerr.Internal("the stream has no call")
	}
	w, err := envelope.NewWriter(ctx, info.RequestHeader().Get("Content-Type"))
	if err != nil {
		return rpcerr.Internal("the stream has no writer")
	}
	reader := Reader{
		Filter: req.GetFilter(), Scope: scope, After: req.GetAfter(),
		Protocol: protocolName(info.Peer().Protocol), Peer: info.Peer().Addr, Caller: ctx,
	}
	if reader.After == "" {
		reader.After = req.GetFilter().GetAfter()
	}
	if id, ok := auth.FromContext(ctx); ok {
		reader.Identity, reader.Via = id.User, id.Via
	}
	session, err := s.hub.Open(ctx, reader, rpcSink{w})
	if err != nil {
		return Refusal(err)
	}
	if s.hub.opts.Opened != nil {
		s.hub.opts.Opened(ctx)
	}
	timeout := s.hub.opts.WriteTimeout
	// The headers; every message goes through the sink.
	if err := w.Within(timeout, func() error { return out.Send(nil) }); err != nil {
		session.End(err)
	}
	err = session.Run()
	w.Last(timeout)
	switch {
	case errors.Is(err, ErrSlowClient):
		return rpcerr.New(connect.CodeResourceExhausted, ReasonSlow, fmt.Sprintf("the client took nothing for %v", timeout))
	case err == nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err() //nolint:wrapcheck // the time that the client gave the call is over, which is no success
	}
	return err
}

// Refusal translates why Open refused a stream.
func Refusal(err error) *connect.Error {
	var quota *QuotaError
	switch {
	case errors.As(err, &quota):
		reason := reasonFullPeer
		if quota.Of == "identity" {
			reason = reasonFullIdentity
		}
		return rpcerr.New(connect.CodeResourceExhausted, reason,
			fmt.Sprintf("too many open streams of one %s: at most %d", quota.Of, quota.Limit), "limit", strconv.Itoa(quota.Limit))
	case errors.Is(err, ErrFull):
		return rpcerr.New(connect.CodeResourceExhausted, reasonFull, "too many open streams; close some, or raise the bound")
	case errors.Is(err, ErrLoggedOut):
		return rpcerr.New(connect.CodeUnauthenticated, rpcerr.ReasonUnauthenticated, "the caller has logged out")
	case errors.Is(err, ErrShutdown):
		return rpcerr.Unavailable(rpcerr.ReasonShuttingDown, "the operator is stopping", time.Second)
	default:
		return rpcerr.Internal("the stream could not be opened")
	}
}

// ownCluster refuses a request for another cluster than the one watched.
func (h *Hub) ownCluster(asked string) error {
	if own := h.opts.Cluster(); asked != "" && asked != own {
		return rpcerr.NotFound(rpcerr.ReasonClusterNotFound, "cluster", asked, "own", own)
	}
	return nil
}

// protocolName spells connect's names as the schema has them.
func protocolName(name string) string {
	if name == connect.ProtocolGRPCWeb {
		return "grpc-web"
	}
	return name
}
