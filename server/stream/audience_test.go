package stream_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/presence"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// sightOf is what people of these tests may see, by their name.
func sightOf(ctx context.Context, _ *rightsizerv1.EventFilter) (bus.Scope, error) {
	id, ok := auth.FromContext(ctx)
	switch {
	case !ok: // the API is open
		return bus.AllNamespaces().WithConfidential(), nil
	case id.User == "admin":
		return bus.AllNamespaces().WithConfidential(), nil
	case id.User == "viewer":
		return bus.AllNamespaces(), nil
	default:
		return bus.Namespaces("a"), nil
	}
}

func dashboards() *rightsizerv1.EventFilter {
	return &rightsizerv1.EventFilter{EventTypes: []string{"dashboard.*"}}
}

// Who reads is told to those alone who may know, live and in the snapshot; to others
// nothing shows of it, asked for or not.
func TestWhoReadsIsToldToThoseAloneWhoMayKnow(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{Scope: sightOf, Heartbeat: 100 * time.Millisecond}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		is := func(m *rightsizerv1.StreamEventsResponse, eventType, user string) {
			t.Helper()
			assert.Equal(t, eventType, m.GetEvent().GetType())
			assert.Equal(t, "User/"+user, m.GetEvent().GetObject().GetKind()+"/"+m.GetEvent().GetObject().GetName())
		}
		s.as("admin")
		admin := open(t, c, nil, "")
		require.NotNil(t, admin.next().GetOpened())
		is(admin.next(), presence.Connected, "admin") // the snapshot
		require.NotNil(t, admin.next().GetSynced())

		var others []*reading
		for _, user := range []string{"viewer", "of-a"} {
			s.as(user)
			for _, filter := range []*rightsizerv1.EventFilter{nil, dashboards()} {
				r := open(t, c, filter, "")
				require.NotNil(t, r.next().GetOpened())
				require.NotNil(t, r.next().GetSynced(), "no snapshot of who reads")
				others = append(others, r)
			}
			told := admin.skip(isEvent)
			is(told, presence.Connected, user)
			assert.Equal(t, c.Name(), told.GetEvent().GetDashboard().GetProtocol())
			assert.NotEmpty(t, told.GetPosition())
		}
		s.publish("a", 1, 2)
		assert.Equal(t, "pod-1", admin.skip(isEvent).GetEvent().GetObject().GetName(), "once each, however many streams")
		for i, r := range others {
			if i%2 == 0 {
				assert.Equal(t, "pod-1", r.skip(isEvent).GetEvent().GetObject().GetName())
				continue
			}
			assert.NotNil(t, r.next().GetHeartbeat(), "who asks for it alone hears nothing")
		}
	})
}

func TestWhoReadsIsListedForThoseAloneWhoMayKnow(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{Scope: sightOf})
	clients := streamtest.Clients(s.url, nil)
	for i, user := range []string{"admin", "viewer", "of-a"} {
		s.as(user)
		open(t, clients[i], nil, "").skip(isSynced)
	}
	h := &http.Client{Transport: &http.Transport{}}
	defer h.CloseIdleConnections()
	list := func(filter *rightsizerv1.EventFilter) int {
		t.Helper()
		resp, err := rightsizerv1connect.NewEventServiceClient(h, s.url).ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: filter})
		require.NoError(t, err)
		return len(resp.GetEvents())
	}
	for user, want := range map[string]int{"admin": 3, "viewer": 0, "of-a": 0} {
		s.as(user)
		assert.Equal(t, want, list(nil), user)
		assert.Equal(t, want, list(dashboards()), user)
	}
}

func TestNobodyIsToldOfWhereTheAPIIsOpen(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{Scope: sightOf}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		before := s.bus.Newest()
		r := open(t, c, nil, "")
		r.next()
		require.NotNil(t, r.next().GetSynced())
		assert.Equal(t, before, s.bus.Newest())
		assert.Empty(t, s.readers.Told())
	})
}

// The end of a stay shows when the grace is over. Who may no longer know is told
// nothing more, and who may again is told again; neither needs a new stream.
func TestTheEndOfAStayIsToldAndARightThatGoesIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bus.New(bus.Options{})
		require.NoError(t, err)
		readers, err := presence.New(presence.Options{
			Cluster: func() string { return "c1" }, Replica: "r", Publish: b.PublishConfidential, Registerer: prometheus.NewRegistry(),
		})
		require.NoError(t, err)
		j, n := &judge{}, &notes{}
		trusted := bus.AllNamespaces().WithConfidential()
		j.set(trusted, nil)
		h, err := stream.NewHub(stream.Options{
			Bus: b, Problems: &server{}, Cluster: func() string { return "c1" }, Recheck: j.recheck, Audience: readers, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { assert.NoError(t, b.Run(ctx)) })
		all.Go(func() { assert.NoError(t, readers.Run(ctx)) })
		all.Go(func() { assert.NoError(t, h.Recheck(ctx)) })
		admin, err := h.Open(ctx, stream.Reader{
			Scope: trusted, Identity: "admin", Via: "oidc", Protocol: "grpc", Caller: auth.WithIdentity(t.Context(), &auth.Identity{User: "admin"}),
		}, n)
		require.NoError(t, err)
		all.Go(func() { assert.NoError(t, admin.Run()) })
		synctest.Wait() // his snapshot is sent
		visit := func(user string) {
			t.Helper()
			s, err := h.Open(ctx, stream.Reader{Scope: bus.Namespaces("a"), Identity: user, Via: "oidc", Protocol: "websocket"}, nowhere{})
			require.NoError(t, err)
			all.Go(func() { assert.NoError(t, s.Run()) })
			time.Sleep(time.Minute)
			s.End(errors.New("enough"))
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		visit("alice")
		assert.Equal(t, []string{"+admin", "+alice", "-alice"}, n.presence())
		j.set(bus.AllNamespaces(), nil)
		time.Sleep(20 * time.Second)
		visit("bob")
		assert.Equal(t, []string{"+admin", "+alice", "-alice"}, n.presence())
		j.set(trusted, nil)
		time.Sleep(20 * time.Second)
		visit("carol")
		assert.Equal(t, []string{"+admin", "+alice", "-alice", "+carol", "-carol"}, n.presence())
		cancel()
		all.Wait()
	})
}

// presence is who came (+) and went (-) by what the sink was told.
func (n *notes) presence() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, m := range n.told {
		switch ev := m.GetEvent(); ev.GetType() {
		case presence.Connected:
			all = append(all, "+"+ev.GetObject().GetName())
		case presence.Disconnected:
			all = append(all, "-"+ev.GetObject().GetName())
		}
	}
	return all
}
