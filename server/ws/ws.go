package ws

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/stream"
)

// Options make a Handler.
type Options struct {
	// Hub opens the sessions. Required.
	Hub *stream.Hub
	// FilterWait is how long a client may take to send its first filter before
	// everything is sent; 1 s by default.
	FilterWait time.Duration
	// MaxFilterBytes bounds a client's message; 64 KiB by default.
	MaxFilterBytes int64
	// WriteTimeout bounds a control frame's write; 10 s by default.
	WriteTimeout time.Duration
	// PingInterval is how long a client may go without a sign of life before it is
	// asked for one, with the next message; if the next such moment comes without an
	// answer, it is dead. 30 s by default.
	PingInterval time.Duration
	// Logger is slog.Default by default.
	Logger *slog.Logger
}

// NewHandler serves the bridge. Who calls it was authenticated by middleware.
func NewHandler(o Options) (http.Handler, error) {
	if o.Hub == nil {
		return nil, errors.New("ws: Hub is missing")
	}
	o.FilterWait = cmp.Or(o.FilterWait, time.Second)
	o.MaxFilterBytes = cmp.Or(o.MaxFilterBytes, 64<<10)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.PingInterval = cmp.Or(o.PingInterval, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := &bridge{opts: o, hijacker: &hijacker{ResponseWriter: w, timeout: o.WriteTimeout}}
		b.serve(r)
	}), nil
}

// hijacker keeps the connection that the library takes over, so that data can be
// written past it.
type hijacker struct {
	http.ResponseWriter

	timeout time.Duration
	conn    *lineConn
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	stream.Bound(conn)
	h.conn = &lineConn{Conn: conn, timeout: h.timeout}
	// net/http's own writer goes to the bare connection.
	return h.conn, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(h.conn, 256)), nil
}

// bridge is one WebSocket. The request's goroutine reads; the session writes in
// its own, which start begins and serve joins.
type bridge struct {
	opts     Options
	hijacker *hijacker
	conn     *websocket.Conn
	reader   stream.Reader
	live     liveness

	mu      sync.Mutex // guards session: the timer and the first filter both start it
	session *stream.Session
	ctx     context.Context //nolint:containedctx // the connection's life
	cancel  context.CancelFunc
	writing sync.WaitGroup
}

func (b *bridge) serve(r *http.Request) {
	b.live.every = b.opts.PingInterval
	conn, err := websocket.Accept(b.hijacker, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled,
		OnPongReceived:  func(context.Context, []byte) { b.live.answered.Store(true) },
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(b.opts.MaxFilterBytes)
	b.conn = conn
	b.reader = stream.Reader{Scope: bus.AllNamespaces(), Protocol: "websocket", Peer: r.RemoteAddr}
	if id, ok := auth.FromContext(r.Context()); ok {
		b.reader.Identity = id.User
	}
	b.ctx, b.cancel = context.WithCancel(r.Context())
	defer b.writing.Wait()
	defer conn.CloseNow() //nolint:errcheck // whatever is left of it
	defer b.cancel()
	unasked := time.AfterFunc(b.opts.FilterWait, func() { b.use(nil) })
	defer unasked.Stop()
	for b.readFilter() {
		unasked.Stop()
	}
}

// readFilter takes the next filter and says whether to go on reading.
func (b *bridge) readFilter() bool {
	kind, data, err := b.conn.Read(b.ctx)
	if err != nil {
		return false // the client went, broke the protocol, or was told why
	}
	if kind != websocket.MessageText {
		b.refuse(websocket.StatusUnsupportedData, refusal{Code: "invalid_argument", Message: "send filters as text frames of JSON"})
		return false
	}
	filter, bad := parseFilter(data)
	if bad != nil {
		b.refuse(websocket.StatusInvalidFramePayloadData, *bad)
		return false
	}
	b.use(filter)
	return true
}

// use starts the session with its first filter, or changes the one it has. A nil
// filter only starts.
func (b *bridge) use(filter *rightsizerv1.EventFilter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session != nil {
		if filter != nil {
			b.session.Change(filter, b.reader.Scope, filter.GetAfter())
		}
		return
	}
	b.reader.Filter, b.reader.After = filter, filter.GetAfter()
	session, err := b.opts.Hub.Open(b.ctx, b.reader, sink{b.hijacker.conn, &b.live})
	if err != nil {
		refused := stream.Refusal(err)
		b.writing.Go(func() {
			b.last(websocket.StatusTryAgainLater, refusal{Code: refused.Code().String(), Message: refused.Message()})
		})
		return
	}
	b.session = session
	b.writing.Go(func() { b.write(session) })
}

// write runs the session and closes the WebSocket in the way its end asks for.
func (b *bridge) write(session *stream.Session) {
	err := session.Run()
	switch {
	case b.ctx.Err() != nil: // the reading side ends it
	case errors.Is(err, stream.ErrSlowClient):
		b.opts.Logger.Info("dropped a slow WebSocket client", slog.String("peer", b.reader.Peer))
		_ = b.conn.CloseNow()
	case errors.Is(err, errDead):
		b.opts.Logger.Info("dropped a WebSocket client that answers no pings", slog.String("peer", b.reader.Peer))
		_ = b.conn.CloseNow()
	case err != nil:
		_ = b.conn.CloseNow()
	default: // it was told `closing`
		_ = b.conn.Close(websocket.StatusGoingAway, "see the closing message")
	}
}

// refuse ends the session without a word and says what was wrong.
func (b *bridge) refuse(code websocket.StatusCode, r refusal) {
	b.mu.Lock()
	b.cancel()
	b.mu.Unlock()
	b.writing.Wait()
	b.last(code, r)
}

// maxCloseReason is what a close frame holds beside its code.
const maxCloseReason = 123

// last sends a refusal as the last message and in the close frame.
func (b *bridge) last(code websocket.StatusCode, r refusal) {
	if frame, err := r.frame(); err == nil {
		_, _ = b.hijacker.conn.Write(frame) // the client may be gone
	}
	reason := r.Message
	if r.Field != "" {
		reason = r.Field + ": " + reason
	}
	_ = b.conn.Close(code, cut(reason, maxCloseReason))
}
