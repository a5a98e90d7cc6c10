package app

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/rightsizer/rightsizer/server/config"
)

// An identity has so many connections, from however many addresses and by whatever
// protocol; others have theirs, and what is closed is free again.
func TestOneIdentityHasSoManyConnections(t *testing.T) {
	const most = 4
	o := guarded(t, &roleReviews{}, func(c *config.Config) { c.MaxConnections = 4 * most })
	address := o.Addr(KeyAPI).String()
	var open []*frames
	for i := range most {
		f := takesNothing(t, address, []string{"127.0.0.1", "127.0.0.2"}[i%2])
		require.Equal(t, "200", f.statusOf(f.post(anyCall, "viewer")))
		open = append(open, f)
	}
	assert.Equal(t, "200", open[0].statusOf(open[0].post(anyCall, "viewer")), "its own are of use")
	assert.Equal(t, "200", open[0].statusOf(open[0].post(anyCall, "admin")), "whoever shares one")

	status, text := o.ask(t, anyCall, "viewer") // HTTP/1.1
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, text, reasonConnections)
	assert.Contains(t, text, "at most 4;")

	res, err := client(t, 1).Do(o.call(t, anyCall, "viewer"))
	require.NoError(t, err)
	assert.True(t, res.Close, "the connection ends with it")
	require.NoError(t, res.Body.Close())

	_, res, err = websocket.Dial(t.Context(), "ws://"+o.Addr(KeyEvents).String()+"/events", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer viewer"}},
	})
	require.Error(t, err)
	assert.Equal(t, http.StatusTooManyRequests, res.StatusCode)

	one := takesNothing(t, address, "127.0.0.3")
	one.post(anyCall, "viewer")
	assert.Equal(t, "429", one.sentAway(), "over HTTP/2 too")
	status, text = o.ask(t, anyCall, "admin")
	assert.Equal(t, http.StatusOK, status, text)

	_, text = get(t, o.url("http", KeyOps)+"/metrics")
	assert.Contains(t, text, `rightsizer_http_calls_refused_total{of="identity_connections"} 4`)
	require.NoError(t, open[1].conn.Close())
	assert.Eventually(t, func() bool {
		status, _ := o.ask(t, anyCall, "viewer")
		return status == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond)
}

// sentAway reads until both the headers of an answer and the end of the connection
// have been told, and returns the answer's status.
func (f *frames) sentAway() (status string) {
	f.t.Helper()
	require.NoError(f.t, f.conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	for away := false; status == "" || !away; {
		frame, err := f.ReadFrame()
		require.NoError(f.t, err)
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status = frame.PseudoValue("status")
		case *http2.GoAwayFrame:
			away = true
		}
	}
	return status
}
