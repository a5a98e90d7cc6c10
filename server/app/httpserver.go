package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/intercept"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Bounds of every HTTP server. There is no WriteTimeout: it would cut streams;
// the stream package bounds each write of its own.
const (
	headerTimeout  = 5 * time.Second
	maxHeaderBytes = 32 << 10
	idleTimeout    = 2 * time.Minute
	// opsTimeout bounds a question of the platform's with its answer.
	opsTimeout = 10 * time.Second
	// bodyTimeout is how long a client may take to send a request's body.
	bodyTimeout = 10 * time.Second
	// maxBodyBytes bounds a request's body; beyond the bound of a message it
	// leaves room for an envelope and for connect to say what is wrong.
	maxBodyBytes = intercept.DefaultReadMaxBytes + 4096
)

// Bounds of what is not ours to count: everybody may ask for the health, without
// a name, and what the schema is lasts as long as its reader likes. Beyond them
// callers are refused with reasonTooMany.
const (
	healthWatches     = 64
	healthChecks      = 256
	reflectionStreams = 64
	// healthBodyBytes bounds a question for the health: the name of a service.
	healthBodyBytes   = 4096
	healthBodyTimeout = 2 * time.Second

	reasonTooMany = "TOO_MANY_STREAMS"
	// reasonBusy says that as many requests are being answered as may be.
	reasonBusy = "TOO_MANY_REQUESTS_AT_A_TIME"
	// reasonConnections says that an identity has as many connections as it may.
	reasonConnections = "TOO_MANY_CONNECTIONS"
)

// newServer makes a server that speaks HTTP/1.1 and HTTP/2, the latter in clear
// text too where the listener has no TLS.
func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		IdleTimeout:       idleTimeout,
		// What clients do wrong below HTTP is theirs, and there is much of it.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100,
			SendPingTimeout:      30 * time.Second, // finds peers that died silently
			PingTimeout:          15 * time.Second,
			// A connection may cost what is said here before anybody is asked who he is:
			// net/http makes room for a frame as soon as its length is announced, and keeps
			// what no handler has read.
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 64 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
		},
	}
}

// newOpsServer makes the server of the platform's questions: one at a time to a
// connection, each answered within the time that a scraper has.
func newOpsServer(handler http.Handler, logger *slog.Logger) *http.Server {
	server := newServer(handler, logger)
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.ReadTimeout, server.WriteTimeout = opsTimeout, opsTimeout
	server.SetKeepAlivesEnabled(false)
	return server
}

// serve is a step's run: it serves until ctx ends, then lets requests finish for
// most of grace, then closes.
func serve(server *http.Server, l net.Listener, grace time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		select {
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
		}
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace*3/4)
		defer cancel()
		err := server.Shutdown(drain)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests did not end in time: %w", err), server.Close())
		}
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}
}

// httpMetrics are the metrics below the RPCs.
type httpMetrics struct {
	connections  *prometheus.GaugeVec
	refused      *prometheus.CounterVec
	panics       prometheus.Counter
	unidentified *prometheus.CounterVec
	capped       *prometheus.CounterVec
	denied       *prometheus.CounterVec
}

func newHTTPMetrics(r prometheus.Registerer) (*httpMetrics, error) {
	m := &httpMetrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rightsizer_http_connections", Help: "Open connections by the flag of their listener.",
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_http_connections_refused_total", Help: "Connections closed at once because --max-connections were open, or half of them by one address.",
		}, []string{"listener"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rightsizer_http_panics_total", Help: "Requests that panicked outside of an RPC. Each is a bug; the log has its stack.",
		}),
		unidentified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_auth_refused_total", Help: "Requests refused because their caller is not known, by reason.",
		}, []string{"reason"}),
		capped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_http_calls_refused_total",
			Help: "Calls refused because as many as there may be were open: of health, of reflection, of requests at all, of one identity's; calls over one connection more than an identity may have; and calls of identities that were too fast.",
		}, []string{"of"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_auth_denied_total", Help: "Calls denied because their caller lacks the right, by the right.",
		}, []string{"resource", "verb"}),
	}
	for _, c := range []prometheus.Collector{m.connections, m.refused, m.panics, m.unidentified, m.capped, m.denied} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// isolate keeps a panic within its request.
func isolate(next http.Handler, logger *slog.Logger, panics prometheus.Counter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			panicked := recover()
			if panicked == nil {
				return
			}
			if err, ok := panicked.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(panicked)
			}
			panics.Inc()
			logger.ErrorContext(r.Context(), "a request panicked; only it failed", slog.String("path", r.URL.Path),
				slog.Any("panic", panicked), slog.String("stack", string(debug.Stack())))
			panic(http.ErrAbortHandler) // the answer may be half written: break it off
		}()
		next.ServeHTTP(w, r)
	})
}

// boundedBody limits a request's body in bytes and in time. The reflection's
// stream lasts as long as its client likes.
func boundedBody(next http.Handler, most int64, within time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			body := &requestBody{ReadCloser: http.MaxBytesReader(w, r.Body, most), lift: func() {}}
			if control := http.NewResponseController(w); !strings.HasPrefix(r.URL.Path, "/grpc.reflection.") &&
				control.SetReadDeadline(time.Now().Add(within)) == nil {
				body.lift = func() { _ = control.SetReadDeadline(time.Time{}) }
			}
			r.Body = body
		}
		next.ServeHTTP(w, r)
	})
}

// requestBody says what is wrong with a body in errors of the API, which connect
// hands on as they are; net/http's name addresses. It lifts the deadline once the
// body is read: over HTTP/1.1 the deadline is the connection's, and would later
// end a stream that is only written.
type requestBody struct {
	io.ReadCloser
	lift func()
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var large *http.MaxBytesError
	var broken *net.OpError
	switch {
	case errors.Is(err, io.EOF):
		b.lift()
	case errors.As(err, &large):
		err = rpcerr.New(connect.CodeResourceExhausted, rpcerr.ReasonTooLarge,
			fmt.Sprintf("the request's body has more than %d bytes", large.Limit), "limit", strconv.FormatInt(large.Limit, 10))
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = rpcerr.New(connect.CodeInvalidArgument, rpcerr.ReasonTooSlow, "the request's body did not arrive in time")
	case errors.As(err, &broken):
		err = rpcerr.New(connect.CodeCanceled, "REQUEST_CUT", "the connection ended within the request's body")
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

// capped lets a number of requests through at a time, of one address half of them,
// and refuses those beyond. refused counts them.
func capped(next http.Handler, most int, what string, refused prometheus.Counter) http.Handler {
	slots := auth.NewSlots(most)
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leave := slots.Take(r.RemoteAddr)
		if leave == nil {
			refused.Inc()
			// The client may be gone.
			_ = writer.Write(w, r, rpcerr.New(connect.CodeResourceExhausted, reasonTooMany,
				fmt.Sprintf("too many %s are open already: at most %d, of one address %d", what, most, slots.PerPeer()), "limit", strconv.Itoa(most)))
			return
		}
		defer leave()
		next.ServeHTTP(w, r)
	})
}
