package ws_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines is a log whose lines can be waited for.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

func (l lines) next(t *testing.T) map[string]any {
	t.Helper()
	select {
	case line := <-l:
		var out map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &out))
		return out
	case <-time.After(patience):
		require.Fail(t, "no line in the log")
		return nil
	}
}

// Each WebSocket leaves one line at its end, like an RPC.
func TestEachWebSocketIsLogged(t *testing.T) {
	for name, tt := range map[string]struct {
		do           func(socket)
		code, reason string
	}{
		"the client goes": {func(s socket) {
			s.send("{}")
			s.next() // opened
			s.next() // synced
			require.NoError(t, s.conn.Close(websocket.StatusNormalClosure, ""))
		}, "ok", ""},
		"a filter that is none": {func(s socket) {
			s.send(`{"eventTypes":["secret-token"],"nope":1}`)
			assert.Equal(t, websocket.StatusInvalidFramePayloadData, s.closed().Code)
		}, "invalid_argument", ""},
	} {
		t.Run(name, func(t *testing.T) {
			log := make(lines, 16)
			_, url := startLogged(t, time.Minute, 0, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			tt.do(dial(t, url))
			line := log.next(t)
			assert.Equal(t, "call ended", line["msg"])
			assert.Equal(t, "/events", line["procedure"])
			assert.Equal(t, "websocket", line["protocol"])
			assert.Contains(t, line["peer"], "127.0.0.1:")
			assert.Equal(t, tt.code, line["code"])
			if tt.code == "ok" {
				assert.InDelta(t, 2, line["messages"], 0)
				assert.Greater(t, line["bytes"], 100.0)
			}
			assert.NotContains(t, line, "filter")
			assert.Empty(t, log, "one line")
		})
	}

	log := make(lines, 16)
	_, url := startLogged(t, time.Minute, 0, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	resp, err := http.Get(strings.Replace(url, "ws://", "http://", 1))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	line := log.next(t)
	assert.Equal(t, "invalid_argument", line["code"])
	assert.Equal(t, "NO_WEBSOCKET", line["reason"])
}
