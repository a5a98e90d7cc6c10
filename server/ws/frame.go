package ws

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// RFC 6455, section 5.2: FIN and opcode text; lengths of 126 and 127 announce 2
// and 8 more bytes. A server does not mask. RFC 7692, section 6: RSV1 says of a
// message that it is compressed.
const (
	finText    = 0x81
	rsv1       = 0x40
	length16   = 126
	length64   = 127
	maxLength8 = 125
)

// textFrame puts a payload into one unmasked text frame.
func textFrame(payload []byte) []byte { return frame(finText, payload) }

func frame(first byte, payload []byte) []byte {
	n := len(payload)
	out := make([]byte, 0, n+10)
	switch {
	case n <= maxLength8:
		out = append(out, first, byte(n))
	case n <= 0xffff:
		out = binary.BigEndian.AppendUint16(append(out, first, length16), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, first, length64), uint64(n))
	}
	return append(out, payload...)
}

// lineConn makes each Write whole and bounded in time, so that control frames by
// the library and batches of data frames by the sink do not mix.
type lineConn struct {
	net.Conn

	mu      sync.Mutex // held through a write
	timeout time.Duration

	deadline sync.Mutex // guards latest and the order in which deadlines are set
	latest   time.Time  // no deadline is later; zero for no such bound
}

func (c *lineConn) Write(p []byte) (int, error) { return c.write(p, c.timeout) }

func (c *lineConn) write(p []byte, timeout time.Duration) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.bound(timeout); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *lineConn) bound(timeout time.Duration) error {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	at := time.Now().Add(timeout)
	if !c.latest.IsZero() && at.After(c.latest) {
		at = c.latest
	}
	return c.SetWriteDeadline(at)
}

// hurry bounds the write that goes on, and all that come, by one moment.
func (c *lineConn) hurry(within time.Duration) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	c.latest = time.Now().Add(within)
	_ = c.SetWriteDeadline(c.latest) // a connection that is gone tells its writer
}

// pingFrame is an empty ping. It goes out ahead of messages, so that it needs no
// timer of its own.
var pingFrame = []byte{0x89, 0}

// errDead ends a WebSocket whose client answers no pings.
var errDead = errors.New("ws: the client does not answer")

// liveness knows when the client was last asked for a sign of life, and whether it
// gave one.
type liveness struct {
	every    time.Duration
	asked    time.Time   // the writer's own
	answered atomic.Bool // since asked
	deaf     atomic.Bool // nobody reads what the client says
}

// without does something meanwhile nobody reads what the client says: it is not held
// against it.
func (l *liveness) without(do func() error) error {
	l.deaf.Store(true)
	defer func() {
		l.answered.Store(true) // what it said is read now
		l.deaf.Store(false)
	}()
	return do()
}

// due says whether to ask again, or that the last question stayed without answer.
func (l *liveness) due(now time.Time) (bool, error) {
	switch {
	case now.Sub(l.asked) < l.every:
		return false, nil
	case !l.asked.IsZero() && !l.deaf.Load() && !l.answered.Load():
		return false, errDead
	}
	l.answered.Store(false)
	l.asked = now
	return true, nil
}

// sink writes a session's messages as text frames.
type sink struct {
	conn    *lineConn
	live    *liveness
	deflate bool // negotiated
}

func (s sink) Format() bus.Format {
	if s.deflate {
		return bus.FormatWebSocketDeflate
	}
	return bus.FormatWebSocket
}

func (s sink) Encode(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	payload, err := encodeJSON(msg)
	if err != nil {
		return nil, err
	}
	if s.deflate && len(payload) >= minDeflated {
		if small, err := deflated(payload); err != nil || len(small) < len(payload) {
			return frame(finText|rsv1, small), err
		}
	}
	return textFrame(payload), nil
}

func (s sink) Write(frames []byte, timeout time.Duration) error {
	ask, err := s.live.due(time.Now())
	if err != nil {
		return err
	}
	if ask {
		if _, err := s.conn.write(pingFrame, timeout); err != nil {
			return err
		}
	}
	_, err = s.conn.write(frames, timeout)
	return err
}

func (s sink) Hurry(within time.Duration) { s.conn.hurry(within) }

// refusal is the last text message to a client whose filter or stream was refused.
type refusal struct {
	// Code is the Connect code, such as invalid_argument.
	Code string `json:"code"`
	// Field is the path of the wrong field, empty where it is not about one.
	Field string `json:"field,omitempty"`
	// Message says what is wrong and what would be right.
	Message string `json:"message"`

	reason string // for the log: that of the Connect error
}

func (r refusal) frame() ([]byte, error) {
	payload, err := json.Marshal(map[string]refusal{"error": r})
	if err != nil {
		return nil, fmt.Errorf("encode the refusal: %w", err)
	}
	return textFrame(payload), nil
}
