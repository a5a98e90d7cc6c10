package stream

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Sink is where a session writes. It belongs to one session.
type Sink interface {
	// Format is the cached encoding that the sink takes.
	Format() bus.Format
	// Encode frames one message as the sink writes it.
	Encode(msg *rightsizerv1.StreamEventsResponse) ([]byte, error)
	// Write sends framed messages, in one write and one flush, and fails when
	// they are not taken within the timeout. The bytes are not kept.
	Write(frames []byte, timeout time.Duration) error
}

type writerKey struct{}

// expose puts the ResponseWriter where the handler finds it: batches of framed
// messages go past connect's own Send, which marshals, writes and flushes one by
// one.
func expose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), writerKey{}, w)))
		// The connection may serve another request; HTTP/1 would keep the deadline.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	})
}

// rpcSink writes enveloped messages to the response of a streaming RPC.
type rpcSink struct {
	encoder
	w  http.ResponseWriter
	rc *http.ResponseController
}

// newRPCSink returns the sink of the RPC in ctx, nil where expose is missing.
func newRPCSink(ctx context.Context, contentType string) *rpcSink {
	w, ok := ctx.Value(writerKey{}).(http.ResponseWriter)
	if !ok {
		return nil
	}
	s := &rpcSink{encoder: protoEncoder, w: w, rc: http.NewResponseController(w)}
	media, _, _ := strings.Cut(contentType, ";")
	if strings.HasSuffix(strings.TrimSpace(media), "+json") {
		s.encoder = jsonEncoder
	}
	return s
}

func (s *rpcSink) Format() bus.Format { return s.format }

func (s *rpcSink) Encode(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	return s.encode(msg)
}

func (s *rpcSink) Write(frames []byte, timeout time.Duration) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(frames); err != nil {
		return err
	}
	if err := s.rc.Flush(); err != nil {
		return err
	}
	// HTTP/2 ends a stream when the deadline passes, even one with nothing to write.
	return s.rc.SetWriteDeadline(time.Time{})
}
