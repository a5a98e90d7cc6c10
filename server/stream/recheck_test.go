package stream_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/stream"
)

// notes is a sink that remembers what it was told.
type notes struct {
	nowhere

	mu   sync.Mutex
	told []*rightsizerv1.StreamEventsResponse
}

func (n *notes) Encode(m *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, m)
	return []byte("x"), nil
}

func (n *notes) namespaces() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, m := range n.told {
		if ev := m.GetEvent(); ev != nil {
			all = append(all, ev.GetNamespace())
		}
	}
	return all
}

func (n *notes) closing() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.told[len(n.told)-1].GetClosing().GetReason()
}

// judge decides on callers of open streams.
type judge struct {
	mu    sync.Mutex
	scope bus.Scope
	err   error
	asked int
}

func (j *judge) set(scope bus.Scope, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.scope, j.err = scope, err
}

func (j *judge) recheck(context.Context, *rightsizerv1.EventFilter, bus.Scope) (bus.Scope, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked++
	return j.scope, j.err
}

// watching runs body with a session of somebody who may see shop and bank.
func watching(t *testing.T, id *auth.Identity, body func(t *testing.T, b *bus.Bus, h *stream.Hub, j *judge, n *notes, ended chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := bus.New(bus.Options{})
		require.NoError(t, err)
		j, n := &judge{}, &notes{}
		both := bus.Namespaces("bank", "shop")
		j.set(both, nil)
		h, err := stream.NewHub(stream.Options{Bus: b, Problems: &server{}, Cluster: func() string { return "c1" }, Recheck: j.recheck})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { assert.NoError(t, b.Run(ctx)) })
		all.Go(func() { assert.NoError(t, h.Recheck(ctx)) })
		session, err := h.Open(ctx, stream.Reader{Scope: both, Caller: auth.WithIdentity(t.Context(), id)}, n)
		require.NoError(t, err)
		ended := make(chan error, 1)
		all.Go(func() { ended <- session.Run() })
		synctest.Wait()
		body(t, b, h, j, n, ended)
		cancel()
		all.Wait()
	})
}

func alice() *auth.Identity {
	return &auth.Identity{User: "alice", Groups: []string{"team"}, Proof: "p1"}
}

func over(ended chan error) bool {
	synctest.Wait()
	select {
	case err := <-ended:
		return err == nil // the client was told
	default:
		return false
	}
}

func TestARevokedCallersStreamEndsWithin60Seconds(t *testing.T) {
	for code, reason := range map[connect.Code]string{
		connect.CodeUnauthenticated:    "Unauthorized",
		connect.CodePermissionDenied:   "Unauthorized",
		connect.CodeFailedPrecondition: "TooManyNamespaces",
	} {
		t.Run(code.String(), func(t *testing.T) {
			watching(t, alice(), func(t *testing.T, _ *bus.Bus, _ *stream.Hub, j *judge, n *notes, ended chan error) {
				time.Sleep(5 * time.Minute)
				assert.False(t, over(ended))
				j.set(bus.Scope{}, connect.NewError(code, errors.New("not any more")))
				time.Sleep(20 * time.Second) // with the 10 s of a remembered answer that is 30 s
				assert.True(t, over(ended))
				assert.Equal(t, reason, n.closing())
			})
		})
	}
}

func TestAStreamOutlivesAReviewerThatIsDownForAWhileButNotForLong(t *testing.T) {
	down := connect.NewError(connect.CodeUnavailable, errors.New("connection refused"))
	watching(t, alice(), func(t *testing.T, _ *bus.Bus, _ *stream.Hub, j *judge, n *notes, ended chan error) {
		time.Sleep(time.Minute)
		j.set(bus.Scope{}, down)
		time.Sleep(25 * time.Second) // an API server restarts
		assert.False(t, over(ended))
		j.set(bus.Namespaces("bank", "shop"), nil)
		time.Sleep(time.Minute)
		assert.False(t, over(ended))
		j.set(bus.Scope{}, down)
		time.Sleep(55 * time.Second)
		assert.True(t, over(ended))
		assert.Equal(t, "ReviewUnavailable", n.closing())
	})
}

func TestAScopeThatNarrowsHoldsForWhatComes(t *testing.T) {
	watching(t, alice(), func(t *testing.T, b *bus.Bus, _ *stream.Hub, j *judge, n *notes, ended chan error) {
		publish := func() {
			for i, ns := range []string{"shop", "bank", "other"} {
				b.Publish(event(ns, i))
			}
			synctest.Wait()
		}
		publish()
		assert.Equal(t, []string{"shop", "bank"}, n.namespaces())
		j.set(bus.Namespaces("shop"), nil)
		time.Sleep(20 * time.Second)
		publish()
		assert.Equal(t, []string{"shop", "bank", "shop"}, n.namespaces())
		j.set(bus.Namespaces("other", "shop"), nil)
		time.Sleep(20 * time.Second)
		publish()
		assert.Equal(t, []string{"shop", "bank", "shop", "shop", "other"}, n.namespaces())
		assert.False(t, over(ended))
		synced := slices.ContainsFunc(n.told, func(m *rightsizerv1.StreamEventsResponse) bool { return m.GetSynced() != nil })
		assert.True(t, synced, "a changed scope is told")
	})
}

func TestAStreamEndsWhenItsProofRunsOut(t *testing.T) {
	id := alice()
	watching(t, id, func(t *testing.T, _ *bus.Bus, _ *stream.Hub, _ *judge, _ *notes, ended chan error) {
		time.Sleep(10 * time.Minute)
		assert.False(t, over(ended), "no end is known")
	})
	// A bubble's clock begins at midnight UTC 2000-01-01.
	id = alice()
	id.Expires = time.Date(2000, 1, 1, 0, 7, 0, 0, time.UTC)
	watching(t, id, func(t *testing.T, _ *bus.Bus, _ *stream.Hub, _ *judge, n *notes, ended chan error) {
		time.Sleep(7*time.Minute - time.Second)
		assert.False(t, over(ended))
		time.Sleep(2 * time.Second)
		assert.True(t, over(ended))
		assert.Equal(t, "Expired", n.closing())
	})
}

func TestLoggingOutEndsTheStreamsOfThatLoginAlone(t *testing.T) {
	watching(t, alice(), func(t *testing.T, _ *bus.Bus, h *stream.Hub, _ *judge, n *notes, ended chan error) {
		assert.Zero(t, h.LogOut("p2"))
		assert.Zero(t, h.LogOut(""))
		assert.False(t, over(ended))
		assert.Equal(t, 1, h.LogOut("p1"))
		assert.True(t, over(ended))
		assert.Equal(t, "LoggedOut", n.closing())
	})
}

func TestLoggingOutRefusesStreamsThatWereAboutToBegin(t *testing.T) {
	watching(t, alice(), func(t *testing.T, _ *bus.Bus, h *stream.Hub, _ *judge, _ *notes, _ chan error) {
		open := func(caller context.Context) error {
			session, err := h.Open(t.Context(), stream.Reader{Scope: bus.AllNamespaces(), Caller: caller}, &notes{})
			if err == nil {
				session.End(errors.New("enough"))
				require.NoError(t, session.Run())
			}
			return err
		}
		waiting := auth.WithIdentity(t.Context(), alice()) // as a WebSocket that has sent no filter
		other := alice()
		other.Proof = "p2"
		others := auth.WithIdentity(t.Context(), other)
		time.Sleep(time.Second)
		h.LogOut("p1")
		require.ErrorIs(t, open(waiting), stream.ErrLoggedOut)
		require.NoError(t, open(others), "another login of his")
		time.Sleep(time.Second)
		require.NoError(t, open(auth.WithIdentity(t.Context(), alice())), "who comes again, with a token that is still good")
	})
}

// hanging is an API server whose connections hang once hang is closed.
type hanging struct{ hang chan struct{} }

func (h hanging) ReviewToken(context.Context, authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
	return authenticationv1.TokenReviewStatus{}, errors.New("not asked for")
}

func (h hanging) ReviewAccess(ctx context.Context, _ authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	select {
	case <-h.hang:
		<-ctx.Done()
		return authorizationv1.SubjectAccessReviewStatus{}, ctx.Err()
	default:
		return authorizationv1.SubjectAccessReviewStatus{Allowed: true}, nil
	}
}

// crowd opens a thousand streams of a thousand callers, who are asked about by
// recheck, and returns how many are open still.
func crowd(t *testing.T, recheck func(context.Context, *rightsizerv1.EventFilter, bus.Scope) (bus.Scope, error), body func(open func() int)) {
	t.Helper()
	const streams = 1000
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	h, err := stream.NewHub(stream.Options{
		Bus: b, Problems: &server{}, Cluster: func() string { return "c1" }, Recheck: recheck, MaxPerPeer: -1,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var all, readers sync.WaitGroup
	all.Go(func() { assert.NoError(t, b.Run(ctx)) })
	all.Go(func() { assert.NoError(t, h.Recheck(ctx)) })
	var open atomic.Int64
	for i := range streams {
		who := auth.WithIdentity(t.Context(), &auth.Identity{User: strconv.Itoa(i), Groups: []string{"team"}})
		session, err := h.Open(ctx, stream.Reader{Scope: bus.AllNamespaces(), Caller: who}, &notes{})
		require.NoError(t, err)
		open.Add(1)
		readers.Go(func() {
			defer open.Add(-1)
			assert.NoError(t, session.Run())
		})
	}
	body(func() int {
		synctest.Wait()
		return int(open.Load())
	})
	cancel()
	readers.Wait()
	all.Wait()
}

func TestStreamsEndInTimeWhereTheReviewerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := hanging{make(chan struct{})}
		rights, err := auth.NewRights(auth.RightsOptions{
			Reviews: api, Namespaces: func() []string { return nil }, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		})
		require.NoError(t, err)
		recheck := func(ctx context.Context, f *rightsizerv1.EventFilter, _ bus.Scope) (bus.Scope, error) {
			id, _ := auth.FromContext(ctx)
			_, err := rights.WatchEvents(ctx, id, f, nil)
			return bus.AllNamespaces(), err
		}
		crowd(t, recheck, func(open func() int) {
			time.Sleep(2 * time.Minute)
			assert.Equal(t, 1000, open(), "all are asked about in time")
			close(api.hang)
			time.Sleep(20 * time.Second)
			assert.Equal(t, 1000, open(), "for a while")
			time.Sleep(40 * time.Second)
			assert.Zero(t, open(), "60 s are promised, to the last of a thousand")
		})
	})
}

func TestStreamsEndInTimeWhateverTheRoundWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		recheck := func(context.Context, *rightsizerv1.EventFilter, bus.Scope) (bus.Scope, error) {
			<-never
			return bus.Scope{}, errors.New("too late")
		}
		crowd(t, recheck, func(open func() int) {
			time.Sleep(time.Minute)
			assert.Zero(t, open())
			close(never)
		})
	})
}

func TestAPanicOfTheReviewerIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crowd(t, func(context.Context, *rightsizerv1.EventFilter, bus.Scope) (bus.Scope, error) { panic("no") }, func(open func() int) {
			time.Sleep(20 * time.Second)
			assert.Equal(t, 1000, open())
			time.Sleep(40 * time.Second)
			assert.Zero(t, open())
		})
	})
}
