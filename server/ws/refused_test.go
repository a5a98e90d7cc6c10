package ws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/ws"
)

var errNotAll = errors.New("not all of it")

// drained is what comes until the server closes.
func drained(t *testing.T, conn net.Conn) string {
	t.Helper()
	rest, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(rest)
}

// Who sends no filter asks for everything, and is told like any other why he does not
// get it, though nobody but the timer ever starts his stream.
func TestARefusalReachesWhoSendsNoFilter(t *testing.T) {
	t.Parallel()
	t.Run("who may not see everything", func(t *testing.T) {
		t.Parallel()
		_, url := serve(t, stream.Options{
			Scope: func(context.Context, *rightsizerv1.EventFilter) (bus.Scope, error) {
				return bus.Scope{}, connect.NewError(connect.CodePermissionDenied, errNotAll)
			},
		}, ws.Options{FilterWait: 10 * time.Millisecond})
		s := dial(t, url)
		refusal, ok := s.next()["error"].(map[string]any)
		require.True(t, ok)
		assert.Equal(t, "permission_denied", refusal["code"])
		closed := s.closed()
		assert.Equal(t, websocket.StatusPolicyViolation, closed.Code)
		assert.Equal(t, errNotAll.Error(), closed.Reason)
	})
	t.Run("one stream too many", func(t *testing.T) {
		t.Parallel()
		_, url := serve(t, stream.Options{MaxSessions: 1}, ws.Options{FilterWait: 10 * time.Millisecond})
		first := dial(t, url)
		assert.Contains(t, first.next(), "opened")
		s := dial(t, url)
		refusal, ok := s.next()["error"].(map[string]any)
		require.True(t, ok)
		assert.Equal(t, "resource_exhausted", refusal["code"])
		assert.Equal(t, websocket.StatusTryAgainLater, s.closed().Code)
	})
}

// A filter that comes while a refusal is on its way opens nothing.
func TestNothingIsOpenedBehindARefusal(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 2)
	b, url := serve(t, stream.Options{
		Scope: func(_ context.Context, f *rightsizerv1.EventFilter) (bus.Scope, error) {
			asked <- struct{}{}
			if f == nil {
				return bus.Scope{}, connect.NewError(connect.CodePermissionDenied, errNotAll)
			}
			return bus.AllNamespaces(), nil
		},
	}, ws.Options{FilterWait: 10 * time.Millisecond})
	conn := handshake(t, url)
	<-asked
	var first [1]byte
	_, err := conn.Read(first[:]) // the refusal is being sent
	require.NoError(t, err)
	_, err = conn.Write(masked(0x81, []byte(`{}`)))
	require.NoError(t, err)
	rest := drained(t, conn)
	assert.NotContains(t, rest, "opened")
	assert.Contains(t, rest, errNotAll.Error())
	assert.Zero(t, b.Stats().Subscriptions)
}
