package stream_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
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

// A client that comes and goes at random ends with what one that stayed has, or
// knows exactly how much it lost.
func TestReconnectingAtRandomLosesNothingUntold(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{Entries: 64}, stream.Options{Heartbeat: 100 * time.Millisecond}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		const total = 3000
		r := open(t, c, nil, "")
		position := r.skip(isSynced).GetPosition()
		seen, lost := 0, int64(0)
		go func() { // as fast as one reader that stays can follow
			stayed := s.bus.Subscribe(bus.Compile(nil, bus.AllNamespaces()), "")
			defer stayed.Close()
			room := make([]*bus.Entry, 16)
			for n := range total {
				s.bus.Publish(event("a", n))
				for got := 0; n%16 == 15 && got < 16; {
					batch, err := stayed.Next(t.Context(), time.Minute, room)
					if err != nil {
						return
					}
					got += len(batch.Entries)
				}
			}
		}()
		chance := rand.New(rand.NewPCG(3, 4))
		for last := -1; last != total-1; {
			for range chance.IntN(80) {
				msg := r.next()
				if msg.GetPosition() != "" {
					position = msg.GetPosition()
				}
				lost += msg.GetLost().GetCount()
				if ev := msg.GetEvent(); ev != nil {
					var n int
					_, err := fmt.Sscanf(ev.GetObject().GetName(), "pod-%d", &n)
					require.NoError(t, err)
					require.Greater(t, n, last, "in order, nothing twice")
					last = n
					seen++
				}
			}
			r.close()
			r = open(t, c, nil, position)
		}
		assert.EqualValues(t, total, int64(seen)+lost)
	})
}
