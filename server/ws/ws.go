package ws

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/text"
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
	// Origins are those of pages that may connect beside the server's own, each as
	// scheme://host[:port].
	Origins []string
	// Logger is slog.Default by default.
	Logger *slog.Logger

	closeWait time.Duration // how long a client may take to answer the closing handshake
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
	o.closeWait = time.Second
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { accept(o, w, r) }), nil
}

// accept does the handshake and hands the connection to a goroutine of the hub's:
// the request, its buffers and its goroutine's stack are net/http's again, which is
// a third of what an idle client costs.
func accept(o Options, w http.ResponseWriter, r *http.Request) {
	b := &bridge{opts: o, live: liveness{every: o.PingInterval}, began: time.Now()}
	b.reader = stream.Reader{Protocol: "websocket", Peer: r.RemoteAddr}
	b.caller = context.WithoutCancel(r.Context())
	b.reader.Caller = b.caller
	if id, ok := auth.FromContext(r.Context()); ok {
		b.reader.Identity, b.reader.Via = id.User, id.Via
	}
	h := &hijacker{ResponseWriter: w, timeout: o.WriteTimeout}
	conn, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		// Each message by itself, both ways: what is sent is then encoded once for all.
		CompressionMode: websocket.CompressionNoContextTakeover,
		// Browsers want an answer to the protocols that they offer, of which one may
		// carry the token.
		Subprotocols:   []string{auth.Subprotocol},
		OriginPatterns: literally(o.Origins),
		OnPongReceived: func(context.Context, []byte) { b.live.answered.Store(true) },
	})
	if err != nil { // Accept has answered
		b.end.set(connect.CodeInvalidArgument.String(), "NO_WEBSOCKET")
		b.log()
		return
	}
	conn.SetReadLimit(o.MaxFilterBytes)
	b.conn, b.line, b.deflate = conn, h.conn, deflates(w.Header())
	if !o.Hub.Go(b.serve) {
		b.opts.closeWait = 100 * time.Millisecond // Shutdown does not wait for who comes after it
		b.last(websocket.StatusGoingAway, refused(stream.Refusal(stream.ErrShutdown)))
		b.log()
	}
}

// literally escapes what the library would take for a pattern: the brackets of an
// IPv6 address.
func literally(origins []string) []string {
	out := make([]string, len(origins))
	for i, origin := range origins {
		out[i] = strings.NewReplacer(`[`, `\[`, `]`, `\]`).Replace(origin)
	}
	return out
}

// hijacker keeps the connection that the library takes over, so that data can be
// written past it.
type hijacker struct {
	http.ResponseWriter

	timeout time.Duration
	conn    *lineConn
}

// The library's buffers of a connection: clients send a filter now and then, and
// what is sent goes past it.
const (
	readBuffer  = 512
	writeBuffer = 256
)

// Hijack implements http.Hijacker. The buffers of net/http are given back.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	stream.Bound(conn)
	h.conn = &lineConn{Conn: conn, timeout: h.timeout}
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReaderSize(bytes.NewReader(bytes.Clone(early)), max(readBuffer, len(early)))
	if _, err := reader.Peek(len(early)); err != nil { // the library looks at what is buffered
		return nil, nil, err
	}
	return h.conn, bufio.NewReadWriter(reader, bufio.NewWriterSize(h.conn, writeBuffer)), nil
}

// bridge is one WebSocket. The goroutine of serve reads; the session writes in its
// own, which use begins and serve joins.
type bridge struct {
	opts Options
	conn *websocket.Conn
	line *lineConn
	// deflate says that the client takes compressed messages.
	deflate bool
	reader  stream.Reader
	caller  context.Context //nolint:containedctx // who called, for what he may see
	live    liveness
	began   time.Time
	end     end

	// ctx is the connection's life: the library closes the connection as soon as it
	// ends, so that nobody could be told why.
	ctx    context.Context //nolint:containedctx // as its comment says
	cancel context.CancelFunc

	mu        sync.Mutex // guards session: the timer and the first filter both start it
	session   *stream.Session
	streaming context.Context //nolint:containedctx // the session's life, within the connection's
	silence   context.CancelFunc
	writing   sync.WaitGroup
}

func (b *bridge) serve() {
	defer b.log()
	defer b.contain()
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.streaming, b.silence = context.WithCancel(b.ctx)
	defer b.writing.Wait()
	defer b.conn.CloseNow() //nolint:errcheck // whatever is left of it
	defer b.cancel()
	var unasked sync.WaitGroup
	unasked.Add(1)
	timer := time.AfterFunc(b.opts.FilterWait, func() {
		defer unasked.Done()
		defer b.contain()
		b.use(nil)
	})
	asked := sync.OnceFunc(func() {
		if timer.Stop() {
			unasked.Done()
		}
	})
	defer unasked.Wait()
	defer asked()
	for b.readFilter() {
		asked()
	}
}

// contain keeps a panic within this WebSocket: no server stands above its
// goroutines.
func (b *bridge) contain() {
	if panicked := recover(); panicked != nil {
		b.opts.Logger.Error("a WebSocket panicked; only it failed", slog.Any("panic", panicked), slog.String("stack", string(debug.Stack())))
		b.end.set(connect.CodeInternal.String(), "")
		_ = b.conn.CloseNow()
	}
}

// messageWithin bounds a message from its first byte to its last.
const messageWithin = 10 * time.Second

// read waits for a message as long as it takes, but not for the rest of one.
func (b *bridge) read() (websocket.MessageType, []byte, error) {
	kind, r, err := b.conn.Reader(b.ctx)
	if err != nil {
		return 0, nil, err //nolint:wrapcheck // the caller tells them apart
	}
	late := time.AfterFunc(messageWithin, func() { _ = b.conn.CloseNow() })
	defer late.Stop()
	data, err := io.ReadAll(r)
	return kind, data, err //nolint:wrapcheck // the caller tells them apart
}

// readFilter takes the next filter and says whether to go on reading.
func (b *bridge) readFilter() bool {
	kind, data, err := b.read()
	if errors.Is(err, websocket.ErrMessageTooBig) {
		b.drain()
	}
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
	return b.use(filter)
}

// use starts the session with its first filter, or changes the one it has; a nil
// filter only starts. It says whether the client may go on.
func (b *bridge) use(filter *rightsizerv1.EventFilter) bool {
	scope, err := b.opts.Hub.Scope(b.caller, filter)
	if err != nil {
		code := websocket.StatusPolicyViolation
		if c := connect.CodeOf(err); c == connect.CodeUnavailable || c == connect.CodeResourceExhausted {
			code = websocket.StatusTryAgainLater
		}
		b.refuse(code, refused(err))
		return false
	}
	b.mu.Lock()
	session := b.session
	switch {
	case b.streaming.Err() != nil: // a refusal is being sent
		b.mu.Unlock()
		return false
	case session == nil:
		err = b.start(filter, scope)
		b.mu.Unlock()
		if err != nil {
			b.refuse(websocket.StatusTryAgainLater, refused(stream.Refusal(err)))
		}
		return err == nil
	}
	b.mu.Unlock()
	if filter == nil {
		return true
	}
	change := func() error { return session.Change(filter, scope, filter.GetAfter()) }
	if err := b.live.without(change); err != nil {
		b.refuse(websocket.StatusTryAgainLater, refused(stream.Refusal(err)))
		return false
	}
	return true
}

// start opens the session. The caller holds b.mu.
func (b *bridge) start(filter *rightsizerv1.EventFilter, scope bus.Scope) error {
	b.reader.Filter, b.reader.Scope, b.reader.After = filter, scope, filter.GetAfter()
	session, err := b.opts.Hub.Open(b.streaming, b.reader, sink{b.line, &b.live, b.deflate})
	if err != nil {
		return err
	}
	b.session = session
	b.writing.Go(func() { b.write(session) })
	return nil
}

// refused is a Connect error as a WebSocket's last message.
func refused(err error) refusal {
	var coded *connect.Error
	if !errors.As(err, &coded) {
		return refusal{Code: connect.CodeInternal.String(), Message: "the stream could not be opened"}
	}
	return refusal{Code: coded.Code().String(), Message: coded.Message(), reason: rpcerr.Reason(err)}
}

// write runs the session and closes the WebSocket in the way its end asks for.
func (b *bridge) write(session *stream.Session) {
	defer b.contain()
	err := session.Run()
	switch {
	case b.streaming.Err() != nil: // the reading side ends it, or a refusal
	case errors.Is(err, stream.ErrSlowClient):
		b.end.set(connect.CodeResourceExhausted.String(), stream.ReasonSlow)
		b.opts.Logger.Info("dropped a slow WebSocket client", slog.String("peer", b.reader.Peer))
		_ = b.conn.CloseNow()
	case errors.Is(err, errDead):
		b.end.set(connect.CodeDeadlineExceeded.String(), "NO_PONG")
		b.opts.Logger.Info("dropped a WebSocket client that answers no pings", slog.String("peer", b.reader.Peer))
		_ = b.conn.CloseNow()
	case err != nil:
		b.end.set(connect.CodeOf(err).String(), "")
		_ = b.conn.CloseNow()
	case session.Unwelcome():
		b.close(websocket.StatusPolicyViolation, "see the closing message")
	default: // it was told `closing`
		b.close(websocket.StatusGoingAway, "see the closing message")
	}
}

// refuse ends the session without a word and says what was wrong.
func (b *bridge) refuse(code websocket.StatusCode, r refusal) {
	if b.hush() {
		b.last(code, r)
	}
}

// hush ends the session and waits until it writes nothing any more; none is started
// from then on. It says whether it was the first to: one refusal is enough.
func (b *bridge) hush() bool {
	b.mu.Lock()
	first := b.streaming.Err() == nil
	b.silence()
	b.mu.Unlock()
	b.writing.Wait()
	return first
}

// maxDrained is how many bytes of a message that is too big are taken and thrown
// away.
const maxDrained = 1 << 20

// drain takes what is still coming of a message that is too big, for a while:
// closed with bytes unread, the connection would be reset, and the client might
// never see the close frame that says why.
func (b *bridge) drain() {
	b.hush()
	if b.line.SetReadDeadline(time.Now().Add(b.opts.closeWait)) == nil {
		_, _ = io.CopyN(io.Discard, b.line, maxDrained)
	}
}

// maxCloseReason is what a close frame holds beside its code.
const maxCloseReason = 123

// last sends a refusal as the last message and in the close frame.
func (b *bridge) last(code websocket.StatusCode, r refusal) {
	b.end.set(r.Code, r.reason)
	if frame, err := r.frame(); err == nil {
		_, _ = b.line.Write(frame) // the client may be gone
	}
	reason := r.Message
	if r.Field != "" {
		reason = r.Field + ": " + reason
	}
	b.close(code, reason)
}

// close sends a close frame and waits for the client's, but not for long.
func (b *bridge) close(code websocket.StatusCode, reason string) {
	// The connection itself: the library's CloseNow waits for a Close under way.
	impatient := time.AfterFunc(b.opts.closeWait, func() { _ = b.line.Close() })
	defer impatient.Stop()
	_ = b.conn.Close(code, text.Cut(reason, maxCloseReason))
}
