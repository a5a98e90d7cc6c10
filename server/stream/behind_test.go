package stream_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/stream"
)

// behind is a sink whose client takes everything and is never up to date: during
// each write more is published in shop.
type behind struct {
	notes

	bus     *bus.Bus
	step    time.Duration // how long a write takes
	entries int           // published meanwhile
	at      map[int]func()
	writes  int
}

var errEndless = errors.New("nothing ends it")

func (b *behind) Write([]byte, time.Duration) error {
	if b.writes++; b.writes > 2000 {
		return errEndless
	}
	time.Sleep(b.step)
	for range b.entries {
		b.bus.Publish(event("shop", b.writes))
	}
	if do := b.at[b.writes]; do != nil {
		do()
	}
	return nil
}

// alwaysBehind runs a session of alice, who sees shop and bank, and calls do in the
// middle of its tenth write after it is synced.
func alwaysBehind(t *testing.T, do func(h *stream.Hub, s *stream.Session)) *behind {
	t.Helper()
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	h, err := stream.NewHub(stream.Options{Bus: b, Problems: &server{}, Cluster: func() string { return "c1" }})
	require.NoError(t, err)
	sink := &behind{bus: b, entries: 1}
	session, err := h.Open(t.Context(), stream.Reader{
		Scope: bus.Namespaces("bank", "shop"), Caller: auth.WithIdentity(t.Context(), alice()),
	}, sink)
	require.NoError(t, err)
	sink.at = map[int]func(){12: func() { do(h, session) }}
	require.NoError(t, session.Run(), "it ended, and was told")
	return sink
}

// A client that is behind all the time, and takes each batch in time, is told of its
// end like any other.
func TestTheEndReachesWhoIsAlwaysBehind(t *testing.T) {
	t.Parallel()
	for reason, do := range map[string]func(h *stream.Hub, s *stream.Session){
		"Enough":    func(_ *stream.Hub, s *stream.Session) { s.End(errors.New("Enough")) },
		"LoggedOut": func(h *stream.Hub, _ *stream.Session) { h.LogOut("p1") },
		"Shutdown": func(h *stream.Hub, _ *stream.Session) {
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			_ = h.Shutdown(ended) // it would wait for this very write
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			sink := alwaysBehind(t, do)
			assert.Equal(t, reason, sink.closing())
			assert.Equal(t, 13, sink.writes, "nothing but closing after it")
			last := sink.told[len(sink.told)-1]
			assert.Equal(t, sink.told[len(sink.told)-2].GetPosition(), last.GetClosing().GetPosition())
		})
	}
}

// Neither does he go on with a filter, or a scope, that was changed.
func TestAChangeReachesWhoIsAlwaysBehind(t *testing.T) {
	t.Parallel()
	sink := alwaysBehind(t, func(_ *stream.Hub, s *stream.Session) {
		assert.NoError(t, s.Change(nil, bus.Namespaces("bank"), ""))
		time.AfterFunc(10*time.Millisecond, func() { s.End(errors.New("Enough")) }) // nothing comes any more
	})
	assert.Equal(t, "Enough", sink.closing())
	assert.Equal(t, 14, sink.writes, "synced and closing after it")
	assert.NotNil(t, sink.told[len(sink.told)-2].GetSynced())
}

// Of what one batch holds, nothing is begun after the end beyond a write of 64 KiB;
// and what was not sent is not passed over.
func TestTheEndIsSeenWithinALargeBatch(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Options{Bytes: 64 << 20})
	require.NoError(t, err)
	h, err := stream.NewHub(stream.Options{Bus: b, Problems: &server{}, Cluster: func() string { return "c1" }})
	require.NoError(t, err)
	sink := &behind{bus: b}
	session, err := h.Open(t.Context(), stream.Reader{Scope: bus.AllNamespaces()}, large{sink})
	require.NoError(t, err)
	for n := range 100 {
		b.Publish(event("shop", n))
	}
	sink.at = map[int]func(){5: func() { session.End(errors.New("Enough")) }}
	require.NoError(t, session.Run())
	assert.Equal(t, "Enough", sink.closing())
	assert.LessOrEqual(t, sink.writes, 7, "opened, synced, three of events, what was gathered, closing")
	told := sink.told
	sent := told[len(told)-2]
	require.NotNil(t, sent.GetEvent())
	assert.Equal(t, sent.GetPosition(), told[len(told)-1].GetClosing().GetPosition(), "resuming there repeats nothing")
}

// large makes 16 KiB of each message.
type large struct{ *behind }

func (l large) Encode(m *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	_, err := l.behind.Encode(m)
	return make([]byte, 16<<10), err
}

// A snapshot of thousands of problems to a client that is slow is no reason to go on
// telling who was logged out.
func TestTheEndIsSeenWithinASnapshot(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	wrong := &server{}
	for n := range 4096 {
		wrong.problems = append(wrong.problems, event("shop", n))
	}
	h, err := stream.NewHub(stream.Options{Bus: b, Problems: wrong, Cluster: func() string { return "c1" }})
	require.NoError(t, err)
	sink := &behind{bus: b}
	session, err := h.Open(t.Context(), stream.Reader{Scope: bus.AllNamespaces()}, large{sink})
	require.NoError(t, err)
	sink.at = map[int]func(){3: func() { session.End(errors.New("Enough")) }}
	require.NoError(t, session.Run())
	assert.Equal(t, "Enough", sink.closing())
	assert.Empty(t, sink.told[len(sink.told)-1].GetClosing().GetPosition(), "who resumes there would never hear of the rest")
	assert.LessOrEqual(t, sink.writes, 5, "opened, two of problems, what was gathered, closing")
}

// quietly runs body with a session of scope shop on a bus that runs, on fake time.
func quietly(t *testing.T, body func(b *bus.Bus, s *stream.Session, n *notes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := bus.New(bus.Options{})
		require.NoError(t, err)
		h, err := stream.NewHub(stream.Options{Bus: b, Problems: &server{}, Cluster: func() string { return "c1" }})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { assert.NoError(t, b.Run(ctx)) })
		n := &notes{}
		session, err := h.Open(ctx, stream.Reader{Scope: bus.Namespaces("shop")}, n)
		require.NoError(t, err)
		all.Go(func() { assert.NoError(t, session.Run()) })
		synctest.Wait()
		body(b, session, n)
		cancel()
		all.Wait()
	})
}

// A position that a client is given has behind it what was considered and left out.
func TestSyncedAndClosingAreAsFarAsWasConsidered(t *testing.T) {
	quietly(t, func(b *bus.Bus, s *stream.Session, n *notes) {
		elsewhere := func() string {
			for i := range 5 {
				b.Publish(event("bank", i))
			}
			synctest.Wait() // judged for all who sleep
			return b.Newest()
		}
		considered := elsewhere()
		assert.NoError(t, s.Change(nil, bus.Namespaces("shop"), ""))
		synctest.Wait()
		assert.Equal(t, considered, n.told[len(n.told)-1].GetSynced().GetPosition())
		considered = elsewhere()
		s.End(errors.New("Enough"))
		synctest.Wait()
		assert.Equal(t, considered, n.told[len(n.told)-1].GetClosing().GetPosition())
	})
}

// Who is concerned by messages again and again of which nothing is left for him
// hears that the stream lives, and where it is.
func TestHeartbeatsComeWhileWhatIsThereIsWithheld(t *testing.T) {
	quietly(t, func(b *bus.Bus, _ *stream.Session, n *notes) {
		whole := incident(4, warning, isOpen, "", "shop", "bank")
		b.PublishIncident(whole)
		synctest.Wait()
		before := len(n.told)
		var places []string
		for range 12 { // two minutes
			time.Sleep(10 * time.Second)
			whole = proto.CloneOf(whole)
			whole.Summary += "More."
			b.PublishIncident(whole)
			places = append(places, b.Newest())
			synctest.Wait()
		}
		beats := n.told[before:]
		require.GreaterOrEqual(t, len(beats), 7, "each 15 s")
		for _, m := range beats {
			require.NotNil(t, m.GetHeartbeat())
		}
		assert.Contains(t, places[10:], beats[len(beats)-1].GetPosition(), "withheld, and left behind")
	})
}
