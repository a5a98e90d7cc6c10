package envelope

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// ErrNotExposed is returned where the handler was not wrapped by Expose.
var ErrNotExposed = errors.New("envelope: the handler is not exposed")

type (
	responseKey   struct{}
	connectionKey struct{}
)

// severAfter is how long after its deadline a write over HTTP/2 may go on. Its stream is
// reset at the deadline, which ends it at once where the client's window is what it
// waits for; where the socket takes nothing, the reset waits behind the frame that is
// being written.
const severAfter = 500 * time.Millisecond

// WithConnection is a server's ConnContext: it lets a Writer close the connection of a
// client whose socket takes nothing at all.
func WithConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// response is what Expose lends to the handler.
type response struct {
	w      http.ResponseWriter
	writer *Writer
}

// Expose puts the ResponseWriter where NewWriter finds it.
func Expose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lent := &response{w: w}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), responseKey{}, lent)))
		if lent.writer == nil {
			return
		}
		if lent.writer.watch.close() { // the connection may serve another request; HTTP/1 would keep the deadline
			_ = lent.writer.control.SetWriteDeadline(time.Time{})
		}
	})
}

// Writer writes framed messages to the response of one RPC.
type Writer struct {
	Encoder

	w       http.ResponseWriter
	control *http.ResponseController
	watch   watch
}

// NewWriter returns the writer of the RPC in ctx, whose response has this content
// type.
func NewWriter(ctx context.Context, contentType string) (*Writer, error) {
	lent, ok := ctx.Value(responseKey{}).(*response)
	if !ok {
		return nil, ErrNotExposed
	}
	// connect has negotiated when the handler runs, and announced the result.
	compression := cmp.Or(lent.w.Header().Get("Grpc-Encoding"), lent.w.Header().Get("Connect-Content-Encoding"))
	w := &Writer{Encoder: NewEncoder(contentType, compression), w: lent.w, control: http.NewResponseController(lent.w)}
	conn, _ := ctx.Value(connectionKey{}).(net.Conn)
	w.watch.expire = func() {
		_ = w.control.SetWriteDeadline(time.Unix(1, 0))
		if conn != nil {
			time.AfterFunc(severAfter, func() { w.sever(conn) })
		}
	}
	lent.writer = w
	return w, nil
}

// Write sends frames in one write and one flush. When they are not taken within
// the timeout it fails with os.ErrDeadlineExceeded and the response is broken off.
func (w *Writer) Write(frames []byte, timeout time.Duration) error {
	return w.Within(timeout, func() error {
		if _, err := w.w.Write(frames); err != nil {
			return err
		}
		return w.control.Flush()
	})
}

// sever closes a connection while what was to end on it goes on.
func (w *Writer) sever(conn net.Conn) {
	if w.watch.goesOn() {
		_ = conn.Close() // the client may be gone
	}
}

// Within runs something that writes to the response, under the same bound as Write.
//
// A deadline set anew for each write would cost HTTP/2 two messages to the
// connection's goroutine, more than all else of a small write; a timer that finds
// out whether a write hangs costs a moment of a mutex.
func (w *Writer) Within(timeout time.Duration, write func() error) error {
	w.watch.begin(timeout)
	err := write()
	if w.watch.end() {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Hurry bounds what is being written, and all that is from here on, by one moment
// that is this far from now. Safe for concurrent use.
func (w *Writer) Hurry(within time.Duration) { w.watch.hurry(time.Now().Add(within)) }

// Last bounds what is written to the response by others from here on: connect's
// end of the stream.
func (w *Writer) Last(timeout time.Duration) {
	_ = w.control.SetWriteDeadline(w.watch.by(timeout)) // without it the client's end is waited for
}
