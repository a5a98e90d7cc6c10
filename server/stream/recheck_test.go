package stream_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	for code, err := range map[string]error{
		"unauthenticated":   connect.NewError(connect.CodeUnauthenticated, errors.New("gone")),
		"permission denied": connect.NewError(connect.CodePermissionDenied, errors.New("not any more")),
	} {
		t.Run(code, func(t *testing.T) {
			watching(t, alice(), func(t *testing.T, _ *bus.Bus, _ *stream.Hub, j *judge, n *notes, ended chan error) {
				time.Sleep(5 * time.Minute)
				assert.False(t, over(ended))
				j.set(bus.Scope{}, err)
				time.Sleep(20 * time.Second) // with the 10 s of a remembered answer that is 30 s
				assert.True(t, over(ended))
				assert.Equal(t, "Unauthorized", n.closing())
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
