package stream_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// heavy is event n with a text of this many bytes.
func heavy(n, bytes int) *rightsizerv1.Event {
	ev := event("a", n)
	ev.Message = strings.Repeat("x", bytes)
	return ev
}

// Clients whose processes stop are dropped at the write timeout, with a reason in
// the metrics; one beside them gets every event meanwhile. How late is for the
// benchmark to say.
func TestClientsThatStopReadingAreDroppedAndDelayNobody(t *testing.T) { //nolint:paralleltest // keeps the machine busy
	const stopped = 4
	const timeout = 2 * time.Second // a busy machine must not make the quick one slow
	ring := bus.Options{Entries: 1 << 12, Bytes: 1 << 30}
	oneByOne(t, ring, stream.Options{WriteTimeout: timeout}, func(t *testing.T, s *server, which int) {
		t.Helper()
		var freezer streamtest.Freezer
		t.Cleanup(freezer.Thaw)
		positions := make([]string, stopped)
		for i := range stopped {
			r := open(t, streamtest.FrozenClients(s.url, &freezer)[which], nil, "")
			positions[i] = r.skip(isSynced).GetPosition()
		}
		c := streamtest.Clients(s.url, nil)[which]
		quick := open(t, c, nil, "")
		quick.skip(isSynced)
		freezer.Freeze()
		until := time.Now().Add(patience)
		for n := 0; s.bus.Stats().Subscriptions > 1; n++ {
			require.True(t, time.Now().Before(until), "still there")
			ev := heavy(n, 16<<10)
			s.bus.Publish(ev)
			require.Equal(t, ev.GetObject().GetName(), quick.skip(isEvent).GetEvent().GetObject().GetName())
		}
		require.Eventually(t, func() bool {
			return s.metric(t, "rightsizer_stream_ended_total", "reason", "slow") == stopped
		}, patience, time.Millisecond, "each by name")

		again := open(t, c, nil, positions[0])
		assert.Nil(t, again.next().GetOpened().GetReset_(), "the dropped go on where they were")
	})
}

// What a client that takes nothing costs is its socket's buffer and one batch,
// however much is published.
func TestAClientThatStopsReadingCostsBoundedBytes(t *testing.T) { //nolint:paralleltest // looks at the process's memory
	const stopped, budget = 32, 100 << 10
	for which, c := range streamtest.Clients("http://unused", nil) {
		t.Run(c.Name(), func(t *testing.T) {
			// A ring that holds little, so that what grows is the clients'.
			s := start(t, bus.Options{Entries: 64, Bytes: 1 << 20}, stream.Options{WriteTimeout: time.Hour})
			var freezer streamtest.Freezer
			t.Cleanup(freezer.Thaw)
			for range stopped {
				open(t, streamtest.FrozenClients(s.url, &freezer)[which], nil, "").skip(isSynced)
			}
			quick := open(t, streamtest.Clients(s.url, nil)[which], nil, "")
			quick.skip(isSynced)
			freezer.Freeze()
			before := held()
			for n := range 1000 {
				s.bus.Publish(heavy(n, 16<<10))
				quick.skip(func(m *rightsizerv1.StreamEventsResponse) bool { return isEvent(m) || m.GetLost() != nil })
			}
			grown := held() - before
			t.Logf("%d KiB for each of %d", grown/stopped>>10, stopped)
			assert.Less(t, grown, int64(stopped*budget+2<<20), "16 MB went by")
			assert.EqualValues(t, stopped+1, s.bus.Stats().Subscriptions, "none was dropped yet")
		})
	}
}

func held() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A stop that comes while everybody is being written to, and while some take
// nothing, ends in time and tells those who listen why.
func TestShutdownUnderLoadEndsEverybody(t *testing.T) { //nolint:paralleltest // keeps the machine busy
	oneByOne(t, bus.Options{Entries: 1 << 12}, stream.Options{WriteTimeout: 10 * time.Second}, func(t *testing.T, s *server, which int) {
		t.Helper()
		var freezer streamtest.Freezer
		t.Cleanup(freezer.Thaw)
		for range 3 {
			open(t, streamtest.FrozenClients(s.url, &freezer)[which], nil, "").skip(isSynced)
		}
		freezer.Freeze()
		const listening = 8
		ended := make(chan *rightsizerv1.StreamEventsResponse, listening)
		var heard [listening]atomic.Int64 // events so far
		for i := range listening {
			r := open(t, streamtest.Clients(s.url, nil)[which], nil, "")
			r.skip(isSynced)
			go func() {
				var last *rightsizerv1.StreamEventsResponse
				for {
					msg, err := r.Next()
					if err != nil {
						ended <- last
						return
					}
					if last = msg; isEvent(msg) {
						heard[i].Add(1)
					}
				}
			}()
		}
		follow := func(n int) bool { // they do, however slow the machine is: who does not is dropped
			for i := range heard {
				if int64(n)-heard[i].Load() > 64 {
					return false
				}
			}
			return true
		}
		publishing, stop := context.WithCancel(t.Context())
		defer stop()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			tick := time.NewTicker(5 * time.Millisecond) // 13 MB/s to those who listen
			defer tick.Stop()
			for n := 0; publishing.Err() == nil; <-tick.C {
				if follow(n) {
					s.bus.Publish(heavy(n, 8<<10))
					n++
				}
			}
		}()
		beat := time.NewTicker(time.Millisecond)
		defer beat.Stop()
		for s.bus.Stats().Published < 200 {
			<-beat.C
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.NoError(t, s.hub.Shutdown(ctx))
		stop()
		<-stopped
		for range listening {
			last := <-ended
			require.NotNil(t, last.GetClosing(), "the last message of who listens")
			assert.Equal(t, "Shutdown", last.GetClosing().GetReason())
			assert.NotEmpty(t, last.GetClosing().GetPosition())
		}
		assert.Zero(t, s.bus.Stats().Subscriptions)
	})
}

func TestConnectionsSayHowFarBehindAClientIs(t *testing.T) {
	t.Parallel()
	overAllOf(t, bus.Options{Bytes: 1 << 30}, stream.Options{WriteTimeout: patience}, func(t *testing.T, s *server, which int) {
		t.Helper()
		var freezer streamtest.Freezer
		t.Cleanup(freezer.Thaw)
		r := open(t, streamtest.FrozenClients(s.url, &freezer)[which], nil, "")
		r.skip(isSynced)
		conn := s.connection(t)
		assert.Zero(t, conn.GetLag())
		assert.Nil(t, conn.GetLagTime(), "none at no lag")
		freezer.Freeze()
		const ago = time.Hour
		for n := 0; conn.GetLag() < 200 || conn.GetLagTime() == nil; n++ {
			ev := heavy(n, 16<<10)
			ev.ObservedTime = timestamppb.New(time.Now().Add(-ago))
			s.bus.Publish(ev)
			if n%50 == 49 {
				conn = s.connection(t)
			}
		}
		assert.InDelta(t, ago, conn.GetLagTime().AsDuration(), float64(patience))
	})
}
