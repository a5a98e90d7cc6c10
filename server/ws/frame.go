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
// and 8 more bytes. A server does not mask.
const (
	finText    = 0x81
	length16   = 126
	length64   = 127
	maxLength8 = 125
)

// textFrame puts a payload into one unmasked text frame.
func textFrame(payload []byte) []byte {
	n := len(payload)
	frame := make([]byte, 0, n+10)
	switch {
	case n <= maxLength8:
		frame = append(frame, finText, byte(n))
	case n <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, finText, length16), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, finText, length64), uint64(n))
	}
	return append(frame, payload...)
}

// lineConn makes each Write whole and bounded in time, so that control frames by
// the library and batches of data frames by the sink do not mix.
type lineConn struct {
	net.Conn

	mu      sync.Mutex
	timeout time.Duration
}

func (c *lineConn) Write(p []byte) (int, error) { return c.write(p, c.timeout) }

func (c *lineConn) write(p []byte, timeout time.Duration) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
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
}

// due says whether to ask again, or that the last question stayed without answer.
func (l *liveness) due(now time.Time) (bool, error) {
	switch {
	case now.Sub(l.asked) < l.every:
		return false, nil
	case !l.asked.IsZero() && !l.answered.Load():
		return false, errDead
	}
	l.answered.Store(false)
	l.asked = now
	return true, nil
}

// sink writes a session's messages as text frames.
type sink struct {
	conn *lineConn
	live *liveness
}

func (sink) Format() bus.Format { return bus.FormatWebSocket }

func (sink) Encode(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	payload, err := encodeJSON(msg)
	if err != nil {
		return nil, err
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
