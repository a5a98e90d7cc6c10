package ws_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/ws"
)

const patience = 30 * time.Second

// wrong are the problems of the cluster.
type wrong []*rightsizerv1.Event

func (w wrong) Problems() []*rightsizerv1.Event { return w }

// start serves a bridge on loopback and returns its bus and address.
func start(t testing.TB, wait time.Duration) (*bus.Bus, string) {
	t.Helper()
	return startWith(t, wait, 0)
}

func startWith(t testing.TB, wait, ping time.Duration) (*bus.Bus, string) {
	t.Helper()
	return startLogged(t, wait, ping, slog.New(slog.DiscardHandler))
}

func startLogged(t testing.TB, wait, ping time.Duration, logger *slog.Logger) (*bus.Bus, string) {
	t.Helper()
	return serve(t, stream.Options{}, ws.Options{FilterWait: wait, PingInterval: ping, Logger: logger})
}

// serve is a bridge with options, to which what every bridge needs is added.
func serve(t testing.TB, so stream.Options, wo ws.Options) (*bus.Bus, string) {
	t.Helper()
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	so.Bus, so.Cluster = b, func() string { return "c1" }
	if so.Problems == nil {
		so.Problems = wrong(nil)
	}
	hub, err := stream.NewHub(so)
	require.NoError(t, err)
	wo.Hub, wo.Logger = hub, cmp.Or(wo.Logger, slog.New(slog.DiscardHandler))
	bridge, err := ws.NewHandler(wo)
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: bridge, ReadHeaderTimeout: patience}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	running.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		stopping, done := context.WithTimeout(context.Background(), patience)
		defer done()
		_ = hub.Shutdown(stopping)
		_ = srv.Close()
		cancel()
		running.Wait()
	})
	return b, "ws://" + l.Addr().String() + "/events"
}

type socket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func dial(t *testing.T, url string) socket {
	t.Helper()
	return dialWith(t, url, nil)
}

func dialWith(t *testing.T, url string, o *websocket.DialOptions) socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, url, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return socket{t, ctx, conn}
}

func (s socket) send(text string) {
	s.t.Helper()
	require.NoError(s.t, s.conn.Write(s.ctx, websocket.MessageText, []byte(text)))
}

// next is the next message as a client without the schema sees it.
func (s socket) next() map[string]any {
	s.t.Helper()
	kind, data, err := s.conn.Read(s.ctx)
	require.NoError(s.t, err)
	require.Equal(s.t, websocket.MessageText, kind)
	var msg map[string]any
	require.NoError(s.t, json.Unmarshal(data, &msg))
	return msg
}

// closed reads until the server closes and returns how.
func (s socket) closed() websocket.CloseError {
	s.t.Helper()
	for {
		if _, _, err := s.conn.Read(s.ctx); err != nil {
			var closed websocket.CloseError
			require.ErrorAs(s.t, err, &closed)
			return closed
		}
	}
}

func event(kind, namespace string, severity rightsizerv1.Severity) *rightsizerv1.Event {
	id := strings.Repeat("0", 32)
	now := timestamppb.Now()
	return &rightsizerv1.Event{
		Id: id, ProblemId: id, CorrelationId: id, Phase: rightsizerv1.Phase_PHASE_POINT, Type: kind,
		Severity: severity, OccurredTime: now, ObservedTime: now, Cluster: "c1", Namespace: namespace,
		Object:  &rightsizerv1.ObjectRef{Kind: "Pod", Name: "web-1"},
		Details: &rightsizerv1.Event_OomKilled{OomKilled: &rightsizerv1.OomKilledDetails{ExitCode: 137}},
	}
}

const (
	warning  = rightsizerv1.Severity_SEVERITY_WARNING
	errored  = rightsizerv1.Severity_SEVERITY_ERROR
	critical = rightsizerv1.Severity_SEVERITY_CRITICAL
)

// The filter as the design shows it, word for word.
func TestTheDocumentedFilterIsTaken(t *testing.T) {
	t.Parallel()
	b, url := start(t, time.Hour)
	s := dial(t, url)
	s.send(`{"eventTypes":["pod.oom_killed","resource.exhaustion"],"namespaces":["production"],"severities":["warning","critical"]}`)
	assert.Contains(t, s.next(), "opened")
	assert.Contains(t, s.next(), "synced")
	b.Publish(event("pod.oom_killed", "staging", critical))
	b.Publish(event("pod.oom_killed", "production", errored))
	b.Publish(event("pod.crash_loop", "production", critical))
	b.Publish(event("pod.oom_killed", "production", critical))
	msg := s.next()
	ev, ok := msg["event"].(map[string]any)
	require.True(t, ok, "%v", msg)
	assert.Equal(t, "critical", ev["severity"], "the WebSocket sends the short form")
	assert.Equal(t, "production", ev["namespace"])
	assert.Equal(t, "pod.oom_killed", ev["type"])
	assert.Equal(t, "PHASE_POINT", ev["phase"])
	assert.NotEmpty(t, msg["position"])
}

func TestEverythingIsSentToWhoSendsNoFilter(t *testing.T) {
	t.Parallel()
	b, url := start(t, 10*time.Millisecond)
	s := dial(t, url)
	assert.Contains(t, s.next(), "opened", "after the wait")
	assert.Contains(t, s.next(), "synced")
	b.Publish(event("pod.oom_killed", "any", errored))
	assert.Contains(t, s.next(), "event")
}

// The timer that starts a stream without a filter has a goroutine of its own.
func TestAPanicOfOneWebSocketIsItsOwn(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Options{})
	require.NoError(t, err)
	hub, err := stream.NewHub(stream.Options{
		Bus: b, Problems: wrong(nil), Cluster: func() string { return "c1" },
		Scope: func(context.Context, *rightsizerv1.EventFilter) (bus.Scope, error) { panic("no") },
	})
	require.NoError(t, err)
	bridge, err := ws.NewHandler(ws.Options{Hub: hub, FilterWait: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	server := httptest.NewServer(bridge)
	t.Cleanup(server.Close)
	for range 2 {
		s := dial(t, "ws"+strings.TrimPrefix(server.URL, "http"))
		_, _, err := s.conn.Read(s.ctx)
		require.Error(t, err)
		require.NoError(t, s.ctx.Err(), "it was closed")
	}
	require.NoError(t, hub.Shutdown(t.Context()))
}

func TestAnEmptyFilterMeansEverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, url := start(t, time.Hour)
	s := dial(t, url)
	s.send(`{}`)
	assert.Contains(t, s.next(), "opened")
}

func TestALaterFilterReplacesTheFormer(t *testing.T) {
	t.Parallel()
	b, url := start(t, time.Hour)
	s := dial(t, url)
	s.send(`{"namespaces":["a"]}`)
	s.next()
	first := s.next()
	s.send(`{"namespaces":["b"]}`)
	assert.Contains(t, s.next(), "synced", "the answer to a changed filter")
	b.Publish(event("pod.oom_killed", "a", errored))
	b.Publish(event("pod.oom_killed", "b", errored))
	ev, ok := s.next()["event"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "b", ev["namespace"])

	synced, ok := first["synced"].(map[string]any)
	require.True(t, ok)
	s.send(`{"after":"` + synced["position"].(string) + `"}`)
	assert.Contains(t, s.next(), "opened", "a position starts anew")
	assert.Contains(t, s.next(), "synced")
	assert.Contains(t, s.next(), "event")
	assert.Contains(t, s.next(), "event")
}

func TestEachOfManyFiltersIsAnswered(t *testing.T) {
	t.Parallel()
	b, url := start(t, time.Hour)
	s := dial(t, url)
	const changes = 20
	s.send(`{}`)
	for n := range changes {
		s.send(fmt.Sprintf(`{"namespaces":["n%d"]}`, n))
	}
	assert.Contains(t, s.next(), "opened")
	for range changes + 1 {
		assert.Contains(t, s.next(), "synced")
	}
	b.Publish(event("pod.oom_killed", "n0", errored))
	b.Publish(event("pod.oom_killed", fmt.Sprintf("n%d", changes-1), errored))
	ev, ok := s.next()["event"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, fmt.Sprintf("n%d", changes-1), ev["namespace"], "the last one is in force")
}

func TestAMalformedFilterIsAnsweredWithItsField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ send, field string }{
		"unknown field":    {`{"eventType":["pod.oom_killed"]}`, "eventType"},
		"unknown severity": {`{"severities":["bad"]}`, "severities[0]"},
		"wrong type":       {`{"namespaces":"production"}`, "namespaces"},
		"bad namespace":    {`{"namespaces":["Not A Label"]}`, "namespaces[0]"},
		"bad event type":   {`{"eventTypes":["pod.ok","NO"]}`, "eventTypes[1]"},
		"bad severity":     {`{"minSeverity":"loud"}`, "minSeverity"},
		"not JSON":         {`hello`, ""},
		"not an object":    {`[]`, ""},
		"empty":            {` `, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, url := start(t, time.Hour)
			s := dial(t, url)
			s.send(c.send)
			refusal, ok := s.next()["error"].(map[string]any)
			require.True(t, ok)
			assert.Equal(t, "invalid_argument", refusal["code"])
			assert.NotEmpty(t, refusal["message"])
			if c.field != "" {
				assert.Equal(t, c.field, refusal["field"])
			}
			closed := s.closed()
			assert.Equal(t, websocket.StatusInvalidFramePayloadData, closed.Code)
			assert.Contains(t, closed.Reason, c.field)
		})
	}
}

func TestAMalformedLaterFilterEndsTheStream(t *testing.T) {
	t.Parallel()
	_, url := start(t, time.Hour)
	s := dial(t, url)
	s.send(`{}`)
	s.next()
	s.next()
	s.send(`{"nodes":[1]}`)
	refusal, ok := s.next()["error"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "nodes[0]", refusal["field"])
	assert.Equal(t, websocket.StatusInvalidFramePayloadData, s.closed().Code)
}

func TestAnOversizedFilterIsRefused(t *testing.T) {
	t.Parallel()
	_, url := start(t, time.Hour)
	s := dial(t, url)
	s.send(`{"namespaces":["` + strings.Repeat("a", 70<<10) + `"]}`)
	assert.Equal(t, websocket.StatusMessageTooBig, s.closed().Code)
}

func TestABinaryFilterIsRefused(t *testing.T) {
	t.Parallel()
	_, url := start(t, time.Hour)
	s := dial(t, url)
	require.NoError(t, s.conn.Write(s.ctx, websocket.MessageBinary, []byte(`{}`)))
	assert.Equal(t, websocket.StatusUnsupportedData, s.closed().Code)
}

func TestPingsAreAnsweredBetweenBatches(t *testing.T) {
	t.Parallel()
	b, url := start(t, time.Hour)
	s := dial(t, url)
	s.send(`{}`)
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for {
			if _, _, err := s.conn.Read(s.ctx); err != nil {
				return
			}
		}
	}()
	for range 20 {
		b.Publish(event("pod.oom_killed", "a", errored))
		require.NoError(t, s.conn.Ping(s.ctx))
	}
	require.NoError(t, s.conn.Close(websocket.StatusNormalClosure, ""))
	<-reading
}

func TestAForeignOriginIsRefusedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	_, url := start(t, time.Hour)
	host := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/events")
	for _, origin := range []string{"https://evil.example", "null", "http://" + host + ".evil.example", "http://evil.example/" + host} {
		_, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		require.Error(t, err, origin)
		require.NotNil(t, resp)
		assert.Equal(t, http.StatusForbidden, resp.StatusCode, origin)
		_ = resp.Body.Close()
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`{"eventTypes":["pod.*"],"severities":["warning",3,"SEVERITY_ERROR"],"tags":{"a":"b"}}`)
	f.Add(`{"after":"AAAA","allowedOnly":true,"minSeverity":"error","workloads":["Deployment/web"],"nodes":["n"]}`)
	f.Add(`{"namespaces":[null]}`)
	f.Fuzz(func(_ *testing.T, text string) {
		filter, err := ws.ParseFilter([]byte(text))
		if err == nil {
			bus.Compile(filter, bus.AllNamespaces()).MatchesEvent(event("pod.oom_killed", "a", warning))
		}
	})
}
