package app

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is a client of HTTP/2 that sends frames as it likes, and takes no data.
type frames struct {
	*http2.Framer

	t    *testing.T
	conn net.Conn
	host string
	next uint32
	head bytes.Buffer
	enc  *hpack.Encoder
}

func takesNothing(t *testing.T, address, from string) *frames {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	f := &frames{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, host: address, next: 1}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.enc = hpack.NewEncoder(&f.head)
	require.NoError(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	return f
}

// post sends a call in JSON and returns its stream.
func (f *frames) post(path, token string) uint32 {
	f.t.Helper()
	return f.send(path, token, "application/json", "{}")
}

func (f *frames) send(path, token, contentType, body string) uint32 {
	f.t.Helper()
	f.head.Reset()
	for _, h := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":authority", f.host},
		{":path", path},
		{"content-type", contentType},
		{"te", "trailers"},
		{"authorization", "Bearer " + token},
	} {
		require.NoError(f.t, f.enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
	}
	id := f.next
	f.next += 2
	require.NoError(f.t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.head.Bytes(), EndHeaders: true}))
	require.NoError(f.t, f.WriteData(id, true, []byte(body)))
	return id
}

const (
	anyCall  = "/rightsizer.v1.ClusterService/GetHealth"
	anyWatch = "/rightsizer.v1.EventService/StreamEvents"
)

// A client that takes no data holds its requests open: so many as is said, whoever he
// is, and nobody is refused for it who calls from elsewhere.
func TestWhoTakesNoDataHoldsFewRequestsOpen(t *testing.T) { //nolint:paralleltest // counts goroutines
	o := guarded(t, &roleReviews{})
	address := o.Addr(KeyAPI).String()
	before := runtime.NumGoroutine()
	var open []net.Conn
	const connections, streams = 10, 100
	for range connections {
		f := takesNothing(t, address, "127.0.0.1")
		open = append(open, f.conn)
		for i := range streams {
			f.post([]string{anyCall, anyWatch, "/"}[i%3], "nobody")
		}
		go func() { _, _ = io.Copy(io.Discard, f.conn) }() // ends with the connection
	}
	refused := func() string {
		_, text := get(t, o.url("http", KeyOps)+"/metrics")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, `rightsizer_http_calls_refused_total{of="requests"}`) {
				return strings.TrimSpace(line)
			}
		}
		return ""
	}
	most := connections*streams - requestsAtATime/2
	require.Eventually(t, func() bool {
		return refused() == fmt.Sprintf(`rightsizer_http_calls_refused_total{of="requests"} %d`, most)
	}, 10*time.Second, 10*time.Millisecond, "half of all places are one address's: %s", refused())
	assert.Less(t, runtime.NumGoroutine(), before+10*connections+2*requestsAtATime)
	elsewhere := takesNothing(t, address, "127.0.0.2")
	id := elsewhere.post(anyCall, "admin")
	require.NoError(t, elsewhere.WriteWindowUpdate(id, 1<<16))
	assert.Equal(t, "200", elsewhere.statusOf(id))
	for _, conn := range open {
		_ = conn.Close()
	}
	assert.Eventually(t, func() bool {
		req := o.call(t, anyCall, "admin")
		res, err := client(t, 1).Do(req)
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	}, 20*time.Second, 50*time.Millisecond, "its places are free again")
}

// A stream that its client takes back is kept no longer than its handler runs, with its
// headers and its body, though deadlines were set for it that have not come.
func TestAStreamThatIsTakenBackIsForgotten(t *testing.T) {
	t.Parallel()
	a := newApp(t, loopback())
	const streams = 100
	var forgotten atomic.Int32
	ended := make(chan struct{}, streams)
	bounded := a.inflight.bound(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		boundedBody(http.NotFoundHandler(), maxBodyBytes, bodyTimeout).ServeHTTP(w, r)
	}))
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runtime.SetFinalizer(r.Context(), func(any) { forgotten.Add(1) }) // the stream's own
		defer func() { ended <- struct{}{} }()
		bounded.ServeHTTP(w, r)
	}), a.logger)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	f := takesNothing(t, l.Addr().String(), "127.0.0.1")
	for range streams {
		require.NoError(t, f.WriteRSTStream(f.post(anyCall, "nobody"), http2.ErrCodeCancel))
	}
	for range streams {
		<-ended
	}
	assert.Eventually(t, func() bool {
		runtime.GC()
		return forgotten.Load() > streams/2 // net/http keeps some for the next ones
	}, 5*time.Second, 10*time.Millisecond)
}

// An answer that is not taken in time is broken off, whoever gives it.
func TestAnAnswerThatIsNotTakenIsBrokenOff(t *testing.T) {
	url := apiOf(t, func(a *App) { a.inflight.within = 50 * time.Millisecond })
	f := takesNothing(t, strings.TrimPrefix(url, "http://"), "127.0.0.1")
	for _, path := range []string{anyCall, "/", "/auth/config", "/rightsizer.v1.Nobody/Call"} {
		f.brokenOff(f.post(path, "nobody"))
	}
}

func (f *frames) brokenOff(id uint32) {
	f.t.Helper()
	require.NoError(f.t, f.conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	for {
		frame, err := f.ReadFrame()
		require.NoError(f.t, err)
		if _, ok := frame.(*http2.RSTStreamFrame); ok && frame.Header().StreamID == id {
			return
		}
	}
}

// statusOf reads until the headers of a stream.
func (f *frames) statusOf(id uint32) string {
	f.t.Helper()
	require.NoError(f.t, f.conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	for {
		frame, err := f.ReadFrame()
		require.NoError(f.t, err)
		if head, ok := frame.(*http2.MetaHeadersFrame); ok && head.StreamID == id {
			return head.PseudoValue("status")
		}
	}
}

func (o *operator) ask(t *testing.T, path, token string) (int, string) {
	t.Helper()
	return do(t, o.call(t, path, token))
}

func (o *operator) call(t *testing.T, path, token string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url("http", KeyAPI)+path, strings.NewReader("{}"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

// One identity has some requests at a time from wherever it calls; its streams, which
// are bounded as such, are none of them, and others have theirs.
func TestOneIdentityHasSoManyRequestsAtATime(t *testing.T) {
	o := guarded(t, &roleReviews{})
	address := o.Addr(KeyAPI).String()
	one, two := takesNothing(t, address, "127.0.0.1"), takesNothing(t, address, "127.0.0.2")
	for i := range requestsOfIdentity {
		f := []*frames{one, two}[i%2]
		assert.Equal(t, "200", f.statusOf(f.post(anyCall, "viewer")))
	}
	id := one.post(anyCall, "viewer")
	assert.Equal(t, "429", one.statusOf(id))
	assert.Equal(t, "200", one.statusOf(one.post(anyCall, "admin")))
	status, text := o.ask(t, anyCall, "viewer")
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, text, reasonBusy)

	watching := takesNothing(t, address, "127.0.0.1")
	require.NoError(t, watching.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16}))
	streams := requestsOfIdentity + 1
	for range streams {
		assert.Equal(t, "200", watching.statusOf(watching.send(anyWatch, "approver", "application/grpc", "\x00\x00\x00\x00\x00")))
	}
	status, text = o.ask(t, anyCall, "approver")
	assert.Equal(t, http.StatusOK, status, text)
}

// What is only announced costs nothing, and what is not taken is not piled up.
func TestFramesCostWhatTheyAre(t *testing.T) {
	o := guarded(t, &roleReviews{})
	address := o.Addr(KeyAPI).String()
	huge := takesNothing(t, address, "127.0.0.1")
	_, err := huge.conn.Write([]byte{0x0f, 0xff, 0xff, 0, 0, 0, 0, 0, 1}) // DATA of a MiB
	require.NoError(t, err)
	require.NoError(t, huge.conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	for {
		frame, err := huge.ReadFrame()
		require.NoError(t, err, "told why before the end")
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			assert.Equal(t, http2.ErrCodeFrameSize, away.ErrCode)
			break
		}
	}

	pings := takesNothing(t, address, "127.0.0.1")
	require.NoError(t, pings.conn.(*net.TCPConn).SetReadBuffer(4096))
	many := bytes.Repeat([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1000)
	for err = nil; err == nil; _, err = pings.conn.Write(many) {
		require.NoError(t, pings.conn.SetWriteDeadline(time.Now().Add(time.Second)))
	}
	assert.ErrorIs(t, err, errTimeout, "the operator reads no more; it does not queue answers until there are too many")
}
