package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// announced sends a request of HTTP/1 that announces a body and never sends it, and
// returns the status of the answer, and for how long it was waited for.
func announced(t *testing.T, address, method, path string, header ...string) (int, time.Duration) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	begin := time.Now()
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n%s\r\n", method, path, address, strings.Join(append(header, ""), "\r\n"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(begin.Add(10*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err, "%s %s is answered", method, path)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	_ = res.Body.Close()
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "%s %s: its connection is not held", method, path)
	return res.StatusCode, time.Since(begin)
}

// Whoever announces a body and does not send it has his answer, though nobody reads
// that body: he is refused, or asks for what has none. He holds neither a connection
// nor a place among the requests that are being answered.
func TestABodyThatNeverComesHoldsNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, loopback())
	a.inflight.body = 50 * time.Millisecond
	large := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 64<<10)) })
	mux := http.NewServeMux()
	handler, err := a.apiHandler(t.Context(), exposure{loopback: true}, &probe{ready: a.health.Ready, services: services})
	require.NoError(t, err)
	mux.Handle("/", handler)
	mux.Handle("/assets/large", a.inflight.bound(large)) // as the page's, which a test may be built without
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := newServer(mux, a.logger)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	address := l.Addr().String()
	for name, c := range map[string]struct {
		method, path string
		status       int
		header       []string
	}{
		"refused for want of a token": {"POST", "/rightsizer.v1.EventService/ListEvents", 401, []string{"Content-Type: application/json"}},
		"a file of the page":          {"GET", "/assets/large", 200, nil},
		"the page":                    {"GET", "/", 200, nil},
		"the login":                   {"GET", "/auth/config", 200, nil},
		"who he is":                   {"GET", "/auth/whoami", 401, nil},
		"a WebSocket without a token": {"GET", "/events", 401, []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}},
		"the health":                  {"POST", "/grpc.health.v1.Health/Check", 400, []string{"Content-Type: application/json"}},
		"something that is not there": {"POST", "/rightsizer.v1.Nobody/Call", 404, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, took := announced(t, address, c.method, c.path, c.header...)
			assert.Equal(t, c.status, status)
			assert.Less(t, took, 5*time.Second)
		})
	}
}

// Nor is he waited for who is one too many.
func TestARefusalDoesNotWaitForABody(t *testing.T) {
	t.Parallel()
	a := newApp(t, loopback())
	a.inflight.body = 50 * time.Millisecond
	release := make(chan struct{})
	holds := make(chan struct{}, requestsAtATime)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := newServer(a.inflight.bound(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		holds <- struct{}{}
		<-release
	})), a.logger)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	defer close(release)
	for range requestsAtATime / 2 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		<-holds
	}
	status, _ := announced(t, l.Addr().String(), "POST", "/", "Content-Type: application/json")
	assert.Equal(t, http.StatusTooManyRequests, status)
}
