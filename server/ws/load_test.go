package ws_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/ws"
)

// TestMain holds that no test leaves a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// While two namespaces are busy, each `synced` divides the stream: behind it
// nothing comes that the filter asked for last leaves out.
func TestAFilterChangedUnderLoadHoldsFromItsAnswerOn(t *testing.T) {
	t.Parallel()
	b, url := start(t, time.Hour)
	s := dial(t, url)
	s.conn.SetReadLimit(1 << 20)
	s.send(`{"namespaces":["a"]}`)
	s.next()
	s.next()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				b.Publish(event("pod.oom_killed", "a", errored))
				b.Publish(event("pod.oom_killed", "b", errored))
			}
		}
	}()
	now := "a"
	for n := range 50 {
		wanted := []string{"a", "b"}[(n+1)%2]
		s.send(`{"namespaces":["` + wanted + `"]}`)
		for synced := false; !synced; {
			msg := s.next()
			if ev, ok := msg["event"].(map[string]any); ok {
				require.Equal(t, now, ev["namespace"], "before the answer the former filter holds")
			}
			_, synced = msg["synced"]
		}
		now = wanted
		for seen := 0; seen < 3; {
			if ev, ok := s.next()["event"].(map[string]any); ok {
				require.Equal(t, now, ev["namespace"])
				seen++
			}
		}
	}
	close(stop)
	<-stopped
}

// A client whose process is stopped takes what its kernel takes for it, and answers
// nothing.
func TestAClientThatAnswersNoPingsIsDropped(t *testing.T) {
	t.Parallel()
	b, url := startWith(t, time.Hour, 20*time.Millisecond)
	conn := handshake(t, url)
	_, err := conn.Write(masked(0x81, []byte(`{}`)))
	require.NoError(t, err)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for until := time.After(patience); b.Stats().Subscriptions > 0 || b.Stats().Published == 0; {
		select {
		case <-until:
			t.Fatal("still there")
		case <-tick.C:
			b.Publish(event("pod.oom_killed", "a", errored)) // a ping goes with some of them
		}
	}
}

func TestAClientThatAnswersPingsStays(t *testing.T) {
	t.Parallel()
	b, url := startWith(t, time.Hour, 300*time.Millisecond)
	s := dial(t, url)
	s.send(`{}`)
	s.next()
	s.next()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		<-tick.C
		b.Publish(event("pod.oom_killed", "a", errored))
		s.next()
	}
}

// A client that reads slowly, and has asked for more changes than are answered at a
// time, is not heard meanwhile; it is there all the same.
func TestAClientWhoseChangesWaitStays(t *testing.T) {
	t.Parallel()
	problems := make(wrong, 6000)
	for i := range problems {
		problems[i] = event("pod.oom_killed", "a", errored)
		problems[i].Message = strings.Repeat("m", 500)
	}
	const ping = 400 * time.Millisecond
	_, url := serve(t, stream.Options{Problems: problems}, ws.Options{FilterWait: time.Hour, PingInterval: ping})
	s := dial(t, url)
	for range 3 {
		s.send(`{}`)
	}
	began, seen := time.Now(), 0
	for synced := 0; synced < 3; {
		if _, ok := s.next()["synced"]; ok {
			synced++
		}
		if seen++; seen%100 == 0 {
			time.Sleep(30 * time.Millisecond) // it is what this client is like
		}
	}
	assert.Greater(t, time.Since(began), 3*ping, "long enough for pings to stay without an answer")
}

// handshake opens a WebSocket and hands out the bare connection.
func handshake(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, _ := upgraded(t, url, "")
	return conn
}

// upgraded is handshake with more headers, and its answer.
func upgraded(t *testing.T, url, headers string) (net.Conn, *http.Response) {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/events")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+headers+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, 1<<10)), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	_ = resp.Body.Close()
	return conn, resp
}

// masked is one short frame of a client.
func masked(first byte, payload []byte) []byte {
	frame := append([]byte{first, 0x80 | byte(len(payload)), 1, 2, 3, 4}, payload...)
	for i := range payload {
		frame[6+i] ^= frame[2+i%4]
	}
	return frame
}

// Whatever a client sends behind the handshake, the bridge answers in frames or
// closes, ends its session, and serves the next.
func FuzzFrames(f *testing.F) {
	f.Add(masked(0x81, []byte(`{}`)))
	f.Add(masked(0x81, []byte(`{"namespaces":["a"],"after":"AAAAAAAAAAAAAAAAAAAAAA"}`)))
	f.Add(bytes.Join([][]byte{masked(0x01, []byte(`{"name`)), masked(0x89, nil), masked(0x80, []byte(`spaces":[]}`))}, nil))
	f.Add(masked(0x82, []byte(`{}`)))
	f.Add(masked(0x88, []byte{3, 0xe8}))
	f.Add(masked(0x8a, []byte("pong")))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
	f.Add([]byte{0xf1, 0x02, '{', '}'})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	b, url := start(f, time.Millisecond)
	f.Fuzz(func(t *testing.T, frames []byte) {
		conn := handshake(t, url)
		if _, err := conn.Write(append(frames, masked(0x88, []byte{3, 0xe8})...)); err != nil {
			return // refused before all was written
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		b.Publish(&rightsizerv1.Event{Id: "x"})
		_, err := io.Copy(io.Discard, conn)
		if netErr, ok := err.(net.Error); ok { //nolint:errorlint // as the copy returns it
			assert.False(t, netErr.Timeout(), "the bridge neither answers nor closes")
		}
	})
}
