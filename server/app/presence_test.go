package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/presence"
)

// asRole is a client of EventService with somebody's token.
func asRole(h *http.Client, url, role string, options ...connect.ClientOption) rightsizerv1connect.EventServiceClient {
	return rightsizerv1connect.NewEventServiceClient(bearer{h, role}, url, options...)
}

// bearer sends a token with each request.
type bearer struct {
	h     *http.Client
	token string
}

func (b bearer) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.h.Do(r) //nolint:wrapcheck // as it comes
}

// reading reads a stream until an event of pod.* and returns the types before it.
type reading func(t *testing.T) []string

func typesUntilPod(t *testing.T, next func() (*rightsizerv1.StreamEventsResponse, error)) []string {
	t.Helper()
	types := []string{}
	for {
		m, err := next()
		require.NoError(t, err)
		ev := m.GetEvent()
		switch {
		case ev == nil:
		case strings.HasPrefix(ev.GetType(), "pod."):
			return types
		default:
			types = append(types, ev.GetType())
		}
	}
}

// watch opens a stream and takes what comes up to `synced`.
func watch(ctx context.Context, t *testing.T, o *operator, protocol, role string) reading {
	t.Helper()
	all := &rightsizerv1.EventFilter{AllowedOnly: true}
	if protocol == "websocket" {
		socket, _, err := websocket.Dial(ctx, o.url("ws", KeyAPI)+"/events", &websocket.DialOptions{
			HTTPClient: client(t, 1), HTTPHeader: http.Header{"Authorization": {"Bearer " + role}},
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = socket.CloseNow() })
		require.NoError(t, socket.Write(ctx, websocket.MessageText, []byte(`{"allowedOnly":true}`)))
		readUntil(t, socket, `"synced"`)
		return func(t *testing.T) []string {
			t.Helper()
			return typesUntilPod(t, func() (*rightsizerv1.StreamEventsResponse, error) {
				_, frame, err := socket.Read(ctx)
				if err != nil {
					return nil, err //nolint:wrapcheck // as it comes
				}
				m := &rightsizerv1.StreamEventsResponse{}
				return m, codec.UnmarshalJSON(frame, m)
			})
		}
	}
	options := map[string][]connect.ClientOption{"grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()}}[protocol]
	version := 1
	if protocol == "grpc" {
		version = 2
	}
	s, err := asRole(client(t, version), o.url("http", KeyAPI), role, options...).StreamEvents(ctx, &rightsizerv1.StreamEventsRequest{Filter: all})
	require.NoError(t, err)
	next := func() (*rightsizerv1.StreamEventsResponse, error) {
		if s.Receive() {
			return s.Msg(), nil
		}
		return nil, fmt.Errorf("the stream ended: %w", s.Err())
	}
	for {
		m, err := next()
		require.NoError(t, err)
		if m.GetSynced() != nil {
			break
		}
	}
	return func(t *testing.T) []string {
		t.Helper()
		return typesUntilPod(t, next)
	}
}

// TestWhoMayKnowWhoReads is the matrix's part for events of who reads: who may list
// connections of all sees them, on every protocol; nobody else does, live or listed.
func TestWhoMayKnowWhoReads(t *testing.T) {
	o := guarded(t, &roleReviews{})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	want := map[string]int{"viewer-a": 0, "viewer": 0, "approver": 0, "admin": 1}
	var expect []int
	var streams []reading
	for role, sees := range want {
		for _, protocol := range []string{"connect", "grpc", "grpc-web", "websocket"} {
			streams = append(streams, watch(ctx, t, o, protocol, role))
			expect = append(expect, sees)
		}
	}
	// Somebody new, whom all of them might be told of.
	o.readers.Came("oidc", "somebody", "websocket")
	source := bustest.NewSource(bustest.Options{Namespaces: []string{"shop"}, Types: []string{"pod.oom_killed"}})
	o.bus.Publish(source.Event())
	for i, read := range streams {
		types := read(t)
		if expect[i] == 0 {
			assert.Empty(t, types)
			continue
		}
		require.NotEmpty(t, types)
		assert.Equal(t, presence.Connected, types[len(types)-1])
	}
	for role, sees := range want {
		listed, err := asRole(client(t, 1), o.url("http", KeyAPI), role).ListEvents(ctx, &rightsizerv1.ListEventsRequest{
			Filter: &rightsizerv1.EventFilter{AllowedOnly: true, EventTypes: []string{"dashboard.*"}},
		})
		require.NoError(t, err)
		assert.Len(t, listed.GetEvents(), sees*(len(want)+1), role)
		connections, err := asRole(client(t, 1), o.url("http", KeyAPI), role).ListConnections(ctx, &rightsizerv1.ListConnectionsRequest{})
		assert.Equal(t, sees == 1, err == nil, "%s: the right is that of ListConnections", role)
		if err == nil {
			assert.Len(t, connections.GetConnections(), len(streams))
		}
	}
}

// Of an open API, of checks of the health and of lists nobody is told.
func TestNobodyIsToldOfWhoHasNoNameOrNoStream(t *testing.T) {
	o := start(t, loopback())
	socket, _ := dial(t, o.url("ws", KeyAPI), "")
	require.NotNil(t, socket)
	defer func() { _ = socket.CloseNow() }()
	require.NoError(t, socket.Write(t.Context(), websocket.MessageText, []byte(`{}`)))
	readUntil(t, socket, `"synced"`)
	assert.Empty(t, o.readers.Told())

	o = guarded(t, &roleReviews{})
	probeOf(t, o.url("http", KeyAPI), "")
	_, err := asRole(client(t, 1), o.url("http", KeyAPI), "admin").ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{})
	require.NoError(t, err)
	assert.Empty(t, o.readers.Told())
}

// A sink is sent who reads only where its filter says so by name.
func TestASinkIsToldWhoReadsOnlyWhereItsFilterNamesThat(t *testing.T) {
	got := make(chan string, 64)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		kind := "other"
		for _, known := range []string{presence.Connected, "pod.oom_killed"} {
			if strings.Contains(string(body), `"type":"dev.rightsizer.`+known+`"`) {
				kind = known
			}
		}
		got <- r.URL.Path + " " + kind
	}))
	defer server.Close()
	a, err := newWithSinks(t, fmt.Sprintf(`
grpc-bind-address: 127.0.0.1:0
events-bind-address: "off"
metrics-bind-address: "off"
outbound-networks: 127.0.0.0/8
sinks:
- {name: all, url: "%[1]s/all", insecure-plaintext: true}
- {name: both, url: "%[1]s/both", insecure-plaintext: true, filter: {eventTypes: ["pod.*", dashboard.connected]}}
- {name: family, url: "%[1]s/family", insecure-plaintext: true, filter: {eventTypes: ["dashboard.*"]}}
- {name: pods, url: "%[1]s/pods", insecure-plaintext: true, filter: {eventTypes: ["pod.*"]}}
`, server.URL))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		assert.NoError(t, <-done)
	}()
	<-a.Listening()
	a.readers.Came("oidc", "somebody", "websocket")
	a.bus.Publish(bustest.NewSource(bustest.Options{Types: []string{"pod.oom_killed"}}).Event())
	// Sinks send in the order of each problem alone; all that is sent is waited for.
	want := []string{"/all pod.oom_killed", "/both dashboard.connected", "/both pod.oom_killed", "/family dashboard.connected", "/pods pod.oom_killed"}
	var all []string
	for range want {
		select {
		case one := <-got:
			all = append(all, one)
		case <-time.After(20 * time.Second):
			require.Fail(t, "nothing more came", "%v", all)
		}
	}
	slices.Sort(all)
	assert.Equal(t, want, all)
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(a.sinks, func(s outlet) bool { return s.Ledger().Waiting > 0 })
	}, 10*time.Second, time.Millisecond)
	assert.Empty(t, got, "nothing else was sent")
}

// The table of types says of these what the code says.
func TestTheTaxonomyListsWhatStreamsTell(t *testing.T) {
	text, err := os.ReadFile("../../watcher/README.md")
	require.NoError(t, err)
	var want []string
	for _, doc := range presence.Docs() {
		want = append(want, "| `"+doc.Type+"` | "+strings.Join([]string{doc.Severity, doc.Source, doc.Details, doc.Resolves}, " | ")+" |")
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `dashboard.") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	assert.Equal(t, want, got)
}
