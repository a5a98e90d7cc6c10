package stream

import (
	"time"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/stream/envelope"
)

// Sink is where a session writes. It belongs to one session.
type Sink interface {
	// Format is the cached encoding that the sink takes.
	Format() bus.Format
	// Encode frames one message as the sink writes it.
	Encode(msg *rightsizerv1.StreamEventsResponse) ([]byte, error)
	// Write sends framed messages, in one write and one flush, and fails when
	// they are not taken within the timeout. The bytes are shared: they are
	// neither changed nor kept.
	Write(frames []byte, timeout time.Duration) error
	// Hurry bounds what is being written and all that is written from here on by one
	// moment, this far from now, however long their timeouts are. Safe for concurrent
	// use.
	Hurry(within time.Duration)
}

// rpcSink writes to the response of a streaming RPC.
type rpcSink struct{ *envelope.Writer }

func (s rpcSink) Format() bus.Format { return s.Writer.Format }

func (s rpcSink) Encode(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	return s.Writer.Encode(msg)
}
