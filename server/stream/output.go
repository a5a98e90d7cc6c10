package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// output gathers framed messages for one write.
type output struct {
	session *Session
	format  bus.Format
	buf     *[]byte
	count   int64
	wrote   bool // something of it is written
	err     error
}

// errEncode says that the fault is ours and not the client's.
var errEncode = errors.New("encode a message")

// buffers are shared by all sessions, so that idle ones hold none. They grow to
// batchBytes, and beyond only for a message that is larger by itself.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func newOutput(s *Session) *output {
	return &output{session: s, format: s.sink.Format(), buf: buffers.Get().(*[]byte)} //nolint:forcetypeassert // the pool holds nothing else
}

// free gives the buffer back, but not after a failed write: net/http may still read
// from it for a stream that is reset, and would send another client's messages.
func (o *output) free() {
	if o.err == nil && cap(*o.buf) <= batchBytes {
		*o.buf = (*o.buf)[:0]
		buffers.Put(o.buf)
	}
}

func (o *output) entry(e *bus.Entry) {
	if o.err != nil {
		return
	}
	frame, err := e.Encoded(o.format, o.session.encode)
	o.told(e.Message(), frame, err)
}

// shared is a message of a snapshot that is everybody's.
func (o *output) shared(msg *rightsizerv1.StreamEventsResponse) {
	if o.err != nil {
		return
	}
	frame, err := o.session.hub.frames.of(msg, o.format, o.session.encode)
	o.told(msg, frame, err)
}

// own is a part of an entry or incident that is this session's alone.
func (o *output) own(msg *rightsizerv1.StreamEventsResponse) {
	if o.err != nil {
		return
	}
	frame, err := o.session.encode(msg)
	o.told(msg, frame, err)
}

// told adds what is told to whoever reads. What cannot be encoded is a loss of one, or
// it would end every reader, and each again when he resumes.
func (o *output) told(msg *rightsizerv1.StreamEventsResponse, frame []byte, err error) {
	if err == nil {
		o.add(frame, nil)
		return
	}
	s := o.session
	s.hub.opts.Logger.Error("a message could not be encoded; its reader is told a loss", slog.Any("error", err),
		slog.String("id", msg.GetEvent().GetId()), slog.String("incident", msg.GetIncident().GetId()))
	s.mu.Lock()
	s.lostBefore++
	s.mu.Unlock()
	lost := &rightsizerv1.StreamLost{Count: 1, Exact: true, Bound: rightsizerv1.LossBound_LOSS_BOUND_EXACT}
	if to := msg.GetPosition(); to != "" { // none is of a snapshot
		lost.From, lost.To = s.sub.Position(), to
	}
	o.message(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Lost{Lost: lost}, Position: lost.GetTo()})
}

func (o *output) message(msg *rightsizerv1.StreamEventsResponse) {
	if o.err != nil {
		return
	}
	frame, err := o.session.encode(msg)
	o.add(frame, err)
}

func (o *output) add(frame []byte, err error) {
	if err != nil {
		o.err = fmt.Errorf("%w: %w", errEncode, err)
		return
	}
	if len(*o.buf)+len(frame) > batchBytes {
		if o.err = o.flush(); o.err != nil {
			return
		}
	}
	o.grow(len(frame))
	*o.buf = append(*o.buf, frame...)
	o.count++
}

// empty says that nothing was gathered since the output was made.
func (o *output) empty() bool { return o.count == 0 && !o.wrote }

// grow makes room for n more bytes: by doubling, as append does for small slices
// alone, so that what is full is a batch and no more.
func (o *output) grow(n int) {
	need := len(*o.buf) + n
	if need <= cap(*o.buf) {
		return
	}
	*o.buf = append(make([]byte, 0, max(need, min(2*cap(*o.buf), batchBytes))), *o.buf...)
}

// flush writes what was gathered. The caller acknowledges the batch only when it
// succeeds.
func (o *output) flush() error {
	if o.err != nil || o.count == 0 {
		return o.err
	}
	if o.err = o.write(*o.buf, o.count); o.err != nil {
		return o.err
	}
	*o.buf, o.count = (*o.buf)[:0], 0
	return nil
}

func (o *output) write(frames []byte, count int64) error {
	if err := o.session.sink.Write(frames, o.session.hub.opts.WriteTimeout); err != nil {
		return err
	}
	o.wrote = true
	o.session.due = time.Now().Add(o.session.hub.opts.Heartbeat)
	o.session.sent.Add(count)
	o.session.bytes.Add(int64(len(frames)))
	return nil
}
