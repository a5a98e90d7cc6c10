package stream_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// refused opens one stream too many and returns why it was refused.
func refused(t *testing.T, c streamtest.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s, err := c.Open(ctx, nil, "")
	if err != nil { // some protocols tell only on reading
		return err
	}
	_, err = s.Next()
	require.Error(t, err)
	return err
}

func TestOnePeerMayHaveSoManyStreams(t *testing.T) {
	t.Parallel()
	overAll(t, bus.Options{}, stream.Options{MaxPerPeer: 2}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		first, second := open(t, c, nil, ""), open(t, c, nil, "")
		first.skip(isSynced)
		second.skip(isSynced)
		err := refused(t, c)
		require.ErrorContains(t, err, "too many open streams of one peer: at most 2")
		if c.Name() != "websocket" {
			assert.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err))
			assert.Equal(t, "TOO_MANY_STREAMS_OF_PEER", rpcerr.Reason(err))
			assert.Equal(t, map[string]string{"limit": "2"}, rpcerr.Info(err).GetMetadata())
		}
		assert.InDelta(t, 1, s.metric(t, "rightsizer_stream_refused_total", "reason", "peer"), 0)

		first.close() // its place is free again
		for s.bus.Stats().Subscriptions == 2 {
			resp, err := s.events().ListConnections(t.Context(), &rightsizerv1.ListConnectionsRequest{})
			require.NoError(t, err)
			if len(resp.GetConnections()) == 1 {
				break
			}
		}
		open(t, c, nil, "").skip(isSynced)
	})
}

// nowhere is a sink for sessions that are only counted.
type nowhere struct{}

func (nowhere) Format() bus.Format { return bus.FormatProto }

func (nowhere) Encode(*rightsizerv1.StreamEventsResponse) ([]byte, error) { return nil, nil }

func (nowhere) Write([]byte, time.Duration) error { return nil }

func (nowhere) Hurry(time.Duration) {}

func TestOneIdentityMayHaveSoManyStreamsFromWhereverItCalls(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{MaxPerIdentity: 1, MaxPerPeer: -1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	openVia := func(via, user, peer string) error {
		session, err := s.hub.Open(ctx, stream.Reader{Via: via, Identity: user, Peer: peer, Scope: bus.AllNamespaces()}, nowhere{})
		if err == nil {
			go func() { assert.NoError(t, session.Run()) }() // joined by the hub's Shutdown
		}
		return err
	}
	openAs := func(user, peer string) error { return openVia("kubernetes", user, peer) }
	require.NoError(t, openAs("alice", "10.0.0.1:1"))
	require.NoError(t, openVia("static", "alice", "10.0.0.1:1"), "another alice")
	require.NoError(t, openAs("bob", "10.0.0.1:2"))
	err := openAs("alice", "[2001:db8::1]:3")
	require.Error(t, err)
	refusal := stream.Refusal(err)
	assert.Equal(t, connect.CodeResourceExhausted, refusal.Code())
	assert.Equal(t, "TOO_MANY_STREAMS_OF_IDENTITY", rpcerr.Reason(refusal))
	for range 3 {
		require.NoError(t, openVia("", "", "10.0.0.1:4"), "nobody has a name where the API is open")
	}
}

// A filter is kept as long as its stream: one of many names counts as several streams,
// also where it comes later.
func TestALargeFilterCountsAsSeveralStreams(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{MaxPerIdentity: 4, MaxPerPeer: -1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	large := &rightsizerv1.EventFilter{}
	for i := range 150 {
		large.Workloads = append(large.Workloads, fmt.Sprintf("Deployment/%0240d", i))
	}
	openWith := func(filter *rightsizerv1.EventFilter) (*stream.Session, error) {
		session, err := s.hub.Open(ctx, stream.Reader{Via: "kubernetes", Identity: "alice", Scope: bus.AllNamespaces(), Filter: filter}, nowhere{})
		if err == nil {
			go func() { assert.NoError(t, session.Run()) }() // joined by the hub's Shutdown
		}
		return session, err
	}
	_, err := openWith(large) // 37 KiB: as three
	require.NoError(t, err)
	_, err = openWith(large)
	require.ErrorContains(t, err, "one with a filter of more than 16 KiB counts as several")
	small, err := openWith(nil)
	require.NoError(t, err)
	quota := &stream.QuotaError{}
	require.ErrorAs(t, small.Change(large, bus.AllNamespaces(), ""), &quota)
	assert.Equal(t, "identity", quota.Of)
	require.NoError(t, small.Change(&rightsizerv1.EventFilter{Namespaces: []string{"shop"}}, bus.AllNamespaces(), ""))
}
