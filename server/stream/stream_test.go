package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// What cannot be encoded is a loss of one, there and live, and all else is told.
func TestWhatCannotBeEncodedIsALossOfOne(t *testing.T) {
	t.Parallel()
	quiet := stream.Options{Logger: slog.New(slog.DiscardHandler)}
	overAll(t, bus.Options{}, quiet, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		bad := func(n int) *rightsizerv1.Event {
			ev := event("shop", n)
			ev.Message = "\xff"
			return ev
		}
		s.problems = []*rightsizerv1.Event{bad(1), event("shop", 2)}
		r := open(t, c, nil, "")
		require.NotNil(t, r.next().GetOpened())
		assert.EqualValues(t, 1, r.next().GetLost().GetCount())
		assert.Equal(t, "pod-2", r.next().GetEvent().GetObject().GetName())
		synced := r.next()
		require.NotNil(t, synced.GetSynced())
		s.bus.Publish(bad(3))
		s.publish("shop", 4, 5)
		for _, r := range []*reading{r, open(t, c, nil, synced.GetPosition())} {
			msg := r.next()
			if msg.GetOpened() != nil {
				require.NotNil(t, msg.GetOpened().GetResumed())
				msg = r.next()
			}
			assert.EqualValues(t, 1, msg.GetLost().GetCount())
			assert.True(t, msg.GetLost().GetExact())
			assert.Equal(t, msg.GetPosition(), msg.GetLost().GetTo())
			assert.NotEmpty(t, msg.GetLost().GetFrom())
			assert.Equal(t, "pod-4", r.next().GetEvent().GetObject().GetName())
		}
	})
}

func TestAFreshStreamIsResetSnapshotSyncedLive(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		s.publish("old", 0, 3) // in the ring, but before this client's time
		s.problems = []*rightsizerv1.Event{event("a", 100), event("b", 101)}
		r := open(t, c, &rightsizerv1.EventFilter{Namespaces: []string{"a"}}, "")

		opened := r.next().GetOpened()
		require.NotNil(t, opened, "the first message")
		assert.NotNil(t, opened.GetReset_())
		assert.NotEmpty(t, opened.GetOldest())
		assert.NotEmpty(t, opened.GetNewest())
		assert.Equal(t, "pod-100", r.next().GetEvent().GetObject().GetName(), "the snapshot, filtered")
		synced := r.next()
		assert.NotEmpty(t, synced.GetSynced().GetPosition())
		assert.Equal(t, synced.GetSynced().GetPosition(), synced.GetPosition())

		s.publish("b", 0, 1)
		s.publish("a", 7, 8)
		live := r.next()
		assert.Equal(t, "pod-7", live.GetEvent().GetObject().GetName())
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_ERROR, live.GetEvent().GetSeverity())
		assert.Equal(t, map[string]string{"app": "web"}, live.GetEvent().GetTags())
		assert.NotEmpty(t, live.GetPosition())
	})
}

func TestAPositionResumesWithoutLossOrRepetition(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, nil, "")
		r.skip(isSynced)
		s.publish("a", 0, 10)
		var position string
		for n := range 4 {
			msg := r.skip(isEvent)
			require.Equal(t, fmt.Sprintf("pod-%d", n), msg.GetEvent().GetObject().GetName())
			position = msg.GetPosition()
		}
		r.close()

		r = open(t, c, nil, position)
		assert.NotNil(t, r.next().GetOpened().GetResumed())
		for n := 4; n < 10; n++ {
			require.Equal(t, fmt.Sprintf("pod-%d", n), r.next().GetEvent().GetObject().GetName())
		}
	})
}

// What is larger than a batch goes out alone, in its turn.
func TestAMessageLargerThanABatchComesInItsTurn(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{Bytes: 64 << 20}, stream.Options{}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, nil, "")
		r.skip(isSynced)
		sizes := []int{10, 60 << 10, 60 << 10, 200 << 10, 10, 64 << 10, 10}
		for n, size := range sizes {
			s.bus.Publish(heavy(n, size))
		}
		for n, size := range sizes {
			ev := r.next().GetEvent()
			require.Equal(t, fmt.Sprintf("pod-%d", n), ev.GetObject().GetName())
			require.Len(t, ev.GetMessage(), size)
		}
	})
}

func TestAnOvertakenPositionIsAGapWithItsExactLossFirst(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{Entries: 8}, stream.Options{}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, nil, "")
		position := r.skip(isSynced).GetPosition()
		r.close()
		s.publish("a", 0, 20)
		s.publish("b", 20, 30)

		r = open(t, c, nil, position)
		assert.NotNil(t, r.next().GetOpened().GetGap())
		lost := r.next().GetLost()
		require.NotNil(t, lost, "the loss goes ahead of the events")
		assert.EqualValues(t, 22, lost.GetCount())
		assert.True(t, lost.GetExact())
		assert.Equal(t, "pod-22", r.next().GetEvent().GetObject().GetName())
		r.close()

		r = open(t, c, &rightsizerv1.EventFilter{Namespaces: []string{"a"}}, position)
		r.next()
		lost = r.next().GetLost()
		assert.EqualValues(t, 20, lost.GetCount(), "only what this reader may see counts")
		assert.True(t, lost.GetExact())
		r.close()

		r = open(t, c, &rightsizerv1.EventFilter{EventTypes: []string{"pod.*"}, Namespaces: []string{"a"}}, position)
		r.next()
		assert.False(t, r.next().GetLost().GetExact(), "narrower than its namespaces")
	})
}

func TestAForeignPositionIsAReset(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{}, func(t *testing.T, _ *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, nil, "AAAAAAAAAAAAAAAAAAAAAA")
		assert.Contains(t, r.next().GetOpened().GetReset_().GetReason(), "epoch")
		assert.NotNil(t, r.next().GetSynced())
	})
}

func TestHeartbeatsMoveAFilteredPosition(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{Heartbeat: 100 * time.Millisecond}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, &rightsizerv1.EventFilter{Namespaces: []string{"quiet"}}, "")
		before := r.skip(isSynced).GetPosition()
		s.publish("loud", 0, 5)
		newest := s.bus.Newest()
		beat := r.skip(func(m *rightsizerv1.StreamEventsResponse) bool {
			return m.GetHeartbeat() != nil && m.GetPosition() != before
		})
		assert.Equal(t, newest, beat.GetHeartbeat().GetPosition())
	})
}

func TestResyncReachesEverybody(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, &rightsizerv1.EventFilter{Namespaces: []string{"quiet"}}, "")
		r.skip(isSynced)
		s.bus.Resync(&rightsizerv1.StreamResync{Scope: "pods", Reason: "410 Gone"})
		assert.Equal(t, "pods", r.next().GetResync().GetScope())
	})
}

func TestShutdownTellsWhyAndWhereToGoOn(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, nil, "")
		r.skip(isSynced)
		s.publish("a", 0, 1)
		position := r.next().GetPosition()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		// A WebSocket's closing handshake needs its client to go on reading.
		closed := make(chan error, 1)
		go func() { closed <- s.hub.Shutdown(ctx) }()
		closing := r.next().GetClosing()
		assert.Equal(t, "Shutdown", closing.GetReason())
		assert.Equal(t, position, closing.GetPosition())
		_, err := r.Next()
		require.Error(t, err, "nothing follows")
		require.NoError(t, <-closed)

		_, err = c.Open(ctx, nil, "")
		if err == nil { // some protocols tell only on reading
			_, err = open(t, c, nil, "").Next()
		}
		require.Error(t, err, "no stream opens any more")
	})
}

func TestTheBoundOnStreamsRefuses(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{MaxSessions: 1}, func(t *testing.T, _ *server, c streamtest.Client) {
		t.Helper()
		first := open(t, c, nil, "")
		first.skip(isSynced)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		second, err := c.Open(ctx, nil, "")
		if err == nil {
			_, err = second.Next()
		}
		assert.ErrorContains(t, err, "too many")
	})
}

// Who comes before the first picture is complete is told so by `synced` alone, not
// by an empty snapshot that reads as all being well.
func TestBeforeTheFirstPictureSyncedComesWithIt(t *testing.T) {
	t.Parallel()
	var synced atomic.Bool
	overAll(t, bus.Options{}, stream.Options{Synced: synced.Load}, func(t *testing.T, s *server, c streamtest.Client) {
		r := open(t, c, &rightsizerv1.EventFilter{Namespaces: []string{"a"}}, "")
		assert.NotNil(t, r.next().GetOpened().GetReset_())
		s.publish("a", 0, 1)
		assert.Equal(t, "pod-0", r.next().GetEvent().GetObject().GetName(), "no synced before what was found")
		s.bus.Synced()
		msg := r.next()
		assert.Equal(t, s.bus.Newest(), msg.GetSynced().GetPosition())
		assert.Equal(t, s.bus.Newest(), msg.GetPosition())
	})
}

// A stream that ends because its client gave it no more time did not end well.
func TestTheClientsOwnDeadlineIsTold(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{})
	body := append([]byte{0, 0, 0, 0, 2}, "{}"...)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+rightsizerv1connect.EventServiceStreamEventsProcedure, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/connect+json")
	req.Header.Set("Connect-Timeout-Ms", "200")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"opened"`)
	assert.Contains(t, string(text), `"code":"deadline_exceeded"`)
}
