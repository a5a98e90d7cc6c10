package stream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

func (s *server) events() rightsizerv1connect.EventServiceClient {
	return rightsizerv1connect.NewEventServiceClient(http.DefaultClient, s.url)
}

func names(events []*rightsizerv1.Event) []string {
	out := make([]string, len(events))
	for i, ev := range events {
		out[i] = ev.GetObject().GetName()
	}
	return out
}

func TestPagesAreStableWhileEventsArrive(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"", "asc"} {
		t.Run("order "+order, func(t *testing.T) {
			t.Parallel()
			s := start(t, bus.Options{}, stream.Options{})
			s.publish("a", 0, 10)
			var got []string
			req := &rightsizerv1.ListEventsRequest{PageSize: 4, OrderBy: order}
			for more := true; more; more = req.GetPageToken() != "" {
				resp, err := s.events().ListEvents(t.Context(), req)
				require.NoError(t, err)
				got = append(got, names(resp.GetEvents())...)
				req.PageToken = resp.GetNextPageToken()
				s.publish("a", 100, 103)
			}
			want := make([]string, 10)
			for n := range want {
				at := n
				if order != "asc" {
					at = 9 - n
				}
				want[at] = fmt.Sprintf("pod-%d", n)
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestListFiltersByFieldsAndTime(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{})
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 10 {
		ev := event([]string{"a", "b"}[n%2], n)
		ev.OccurredTime = timestamppb.New(begin.Add(time.Duration(n) * time.Minute))
		s.bus.Publish(ev)
	}
	s.bus.Resync(&rightsizerv1.StreamResync{Scope: "pods"})
	resp, err := s.events().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{
		Filter:    &rightsizerv1.EventFilter{Namespaces: []string{"a"}},
		StartTime: timestamppb.New(begin.Add(2 * time.Minute)),
		EndTime:   timestamppb.New(begin.Add(8 * time.Minute)),
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"pod-6", "pod-4", "pod-2"}, names(resp.GetEvents()))
	assert.Empty(t, resp.GetNextPageToken())
}

func TestStreamingAfterAListMissesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{})
	s.publish("a", 0, 3)
	resp, err := s.events().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{})
	require.NoError(t, err)
	s.publish("a", 3, 5)
	r := open(t, streamtest.Clients(s.url, nil)[0], nil, resp.GetNewest())
	assert.NotNil(t, r.next().GetOpened().GetResumed())
	assert.Equal(t, "pod-3", r.next().GetEvent().GetObject().GetName())
}

func TestListRefusesForeignTokensAndClusters(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{})
	s.publish("a", 0, 3)
	first, err := s.events().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{PageSize: 1})
	require.NoError(t, err)
	for _, req := range []*rightsizerv1.ListEventsRequest{
		{PageToken: "bogus"},
		{PageToken: first.GetNextPageToken(), OrderBy: "asc"},
	} {
		_, err := s.events().ListEvents(t.Context(), req)
		assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	}
	_, err = s.events().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Cluster: "another"})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	assert.Equal(t, rpcerr.ReasonClusterNotFound, rpcerr.Reason(err))
}

// connection is the only one that is open.
func (s *server) connection(t *testing.T) *rightsizerv1.Connection {
	t.Helper()
	resp, err := s.events().ListConnections(t.Context(), &rightsizerv1.ListConnectionsRequest{})
	require.NoError(t, err)
	require.Len(t, resp.GetConnections(), 1)
	return resp.GetConnections()[0]
}

func TestConnectionsSayWhatWasSent(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		r := open(t, c, nil, "")
		r.skip(isSynced)
		s.publish("a", 0, 3)
		for range 3 {
			r.next()
		}
		conn := s.connection(t)
		for conn.GetSent() < 5 { // what the client has may not be counted yet
			conn = s.connection(t)
		}
		assert.Equal(t, c.Name(), conn.GetProtocol())
		assert.Contains(t, conn.GetPeer(), "127.0.0.1:")
		assert.Positive(t, conn.GetBytes())
		assert.Zero(t, conn.GetLost())
	})
}

// mixed is event n of a stream in which the namespace and the severity change.
func mixed(n int) *rightsizerv1.Event {
	ev := event([]string{"a", "b", "c"}[n%3], n)
	if n%5 == 0 {
		ev.Severity = rightsizerv1.Severity_SEVERITY_WARNING
	}
	return ev
}

// A client that comes and goes at random ends with what one that stayed has, or
// knows exactly how much it lost; and one whose filter is narrower than its
// namespaces knows where it may have lost, and at most how much.
func TestReconnectingAtRandomLosesNothingUntold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		filter *rightsizerv1.EventFilter
		exact  bool
	}{
		"everything":  {nil, true},
		"a namespace": {&rightsizerv1.EventFilter{Namespaces: []string{"b"}}, true},
		"severe in two namespaces": {&rightsizerv1.EventFilter{
			Namespaces: []string{"a", "c"}, MinSeverity: rightsizerv1.Severity_SEVERITY_ERROR, EventTypes: []string{"pod.*"},
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overAll(t, bus.Options{Entries: 64, Remember: 4096}, stream.Options{Heartbeat: 100 * time.Millisecond}, func(t *testing.T, s *server, client streamtest.Client) {
				t.Helper()
				comeAndGo(t, s, client, c.filter, c.exact)
			})
		})
	}
}

// comeAndGo reads a stream of 3,000 events with a filter and hangs up at random.
func comeAndGo(t *testing.T, s *server, c streamtest.Client, filter *rightsizerv1.EventFilter, exact bool) {
	t.Helper()
	const total = 3000
	passes := bus.Compile(filter, bus.AllNamespaces())
	var want []int // what passes the filter
	for n := range total {
		if passes.MatchesEvent(mixed(n)) {
			want = append(want, n)
		}
	}
	r := open(t, c, filter, "")
	position := r.skip(isSynced).GetPosition()
	go s.publishAtTheirPace(t.Context(), total)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	next, lost, told := 0, int64(0), false // place in want of what is due; told of a loss since the last event
	for next < len(want) {
		for range chance.IntN(80) {
			msg := r.next()
			if msg.GetPosition() != "" {
				position = msg.GetPosition()
			}
			if l := msg.GetLost(); l != nil {
				require.Equal(t, exact, l.GetExact())
				lost, told = lost+l.GetCount(), true
			}
			ev := msg.GetEvent()
			if ev == nil {
				continue
			}
			var n int
			_, err := fmt.Sscanf(ev.GetObject().GetName(), "pod-%d", &n)
			require.NoError(t, err)
			at, known := slices.BinarySearch(want, n)
			require.True(t, known, "%d passes no filter", n)
			require.GreaterOrEqual(t, at, next, "in order, nothing twice")
			require.True(t, at == next || told, "%d to %d are lost without a word", next, at)
			if missed := int64(at - next); exact {
				require.Equal(t, lost, missed, "as told")
			} else {
				require.LessOrEqual(t, missed, lost, "at most as told")
			}
			next, lost, told = at+1, 0, false
		}
		r.close()
		r = open(t, c, filter, position)
	}
}

// A list says since when it is whole: since the start, or the oldest event that there
// is still room for, or the last that was given up. Of namespaces where nothing was it
// goes back as far as namespaces are remembered.
func TestAListSaysSinceWhenItIsWhole(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := start(t, bus.Options{Entries: 4}, stream.Options{})
	since := func(namespaces ...string) time.Time {
		resp, err := s.events().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{
			PageSize: 1, Filter: &rightsizerv1.EventFilter{Namespaces: namespaces, EventTypes: []string{"node.*"}},
		})
		require.NoError(t, err)
		return resp.GetCompleteSince().AsTime()
	}
	fromTheStart := func(namespaces ...string) {
		t.Helper()
		assert.WithinRange(t, since(namespaces...), began, time.Now())
	}
	at := func(n int) time.Time { return began.Add(time.Duration(n-100) * time.Minute).UTC() }
	publish := func(namespace string, n int) {
		ev := event(namespace, n)
		ev.ObservedTime = timestamppb.New(at(n))
		s.bus.Publish(ev)
	}
	for n := 1; n <= 4; n++ {
		publish("a", n)
		fromTheStart()
	}
	publish("b", 5)
	publish("b", 6)
	assert.Equal(t, at(3), since(), "two were given up")
	assert.Equal(t, at(3), since("a"))
	fromTheStart("b")
	fromTheStart("c")
	publish("b", 7)
	publish("b", 8)
	assert.Equal(t, at(5), since())
	fromTheStart("b")
	assert.WithinRange(t, since("a"), began, time.Now(), "nothing of it is held, and nothing was since")
	for n := 9; n < 9+23; n++ { // 32 are remembered
		publish("b", n)
	}
	fromTheStart("c")
	passed := time.Now()
	for n := range 70 {
		publish("b", n)
	}
	forgotten := since("c")
	assert.WithinRange(t, forgotten, passed, time.Now(), "beyond what is remembered")
	assert.Equal(t, forgotten, since("c"), "it does not go on by itself")
	last := time.Now()
	publish("a", 200)
	for range 4 {
		publish("b", 200)
	}
	assert.WithinRange(t, since("a"), last, time.Now(), "one of it was given up")
}

// publishAtTheirPace publishes as fast as one reader that stays can follow.
func (s *server) publishAtTheirPace(ctx context.Context, total int) {
	stayed := s.bus.Subscribe(bus.Compile(nil, bus.AllNamespaces()), "")
	defer stayed.Close()
	room := make([]*bus.Entry, 16)
	for n := range total {
		s.bus.Publish(mixed(n))
		for got := 0; n%16 == 15 && got < 16; {
			batch, err := stayed.Next(ctx, time.Minute, room)
			if err != nil {
				return
			}
			got += len(batch.Entries)
		}
	}
}
