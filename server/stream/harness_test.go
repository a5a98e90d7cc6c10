package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/presence"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/stream/envelope"
	"github.com/rightsizer/rightsizer/server/streamtest"
	"github.com/rightsizer/rightsizer/server/ws"

	"connectrpc.com/connect"
)

// TestMain holds that no test leaves a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// patience bounds every wait of these tests; none of them is expected to use it.
const patience = 60 * time.Second

// server is a bus behind the real handlers on a loopback listener.
type server struct {
	url string
	bus *bus.Bus
	hub *stream.Hub

	registry *prometheus.Registry
	readers  *presence.Presence
	caller   atomic.Pointer[auth.Identity] // who calls from now on; nil is nobody, where the API is open
	mu       sync.Mutex
	problems []*rightsizerv1.Event
}

// as makes somebody of this name the caller from now on.
func (s *server) as(user string) {
	s.caller.Store(&auth.Identity{User: user, Groups: []string{"people"}, Via: "oidc"})
}

// Problems implements stream.Problems.
func (s *server) Problems() []*rightsizerv1.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problems
}

func start(t *testing.T, ring bus.Options, o stream.Options) *server {
	t.Helper()
	b, err := bus.New(ring)
	require.NoError(t, err)
	s := &server{bus: b}
	s.registry = prometheus.NewRegistry()
	o.Registerer = s.registry
	o.Bus, o.Problems, o.Cluster = b, s, func() string { return "c1" }
	s.readers, err = presence.New(presence.Options{
		Cluster: o.Cluster, Replica: "replica-1", Publish: b.PublishConfidential, Registerer: s.registry,
	})
	require.NoError(t, err)
	o.Audience = s.readers
	s.hub, err = stream.NewHub(o)
	require.NoError(t, err)
	bridge, err := ws.NewHandler(ws.Options{Hub: s.hub, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	mux := http.NewServeMux()
	var opts []connect.HandlerOption
	for _, c := range codec.Codecs() {
		opts = append(opts, connect.WithCodec(c))
	}
	mux.Handle(stream.Handler(s.hub, opts...))
	mux.Handle("/events", bridge)
	s.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := s.caller.Load(); id != nil {
			r = r.WithContext(auth.WithIdentity(r.Context(), id))
		}
		mux.ServeHTTP(w, r)
	}))
	return s
}

// bounded is a listener as the operator has it.
type bounded struct{ net.Listener }

func (b bounded) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	if err == nil {
		stream.Bound(c)
	}
	return c, err
}

// serve runs the bus and the listener until the test ends, and joins them.
func (s *server) serve(t *testing.T, h http.Handler) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.url = "http://" + l.Addr().String()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler: h, Protocols: protocols, ReadHeaderTimeout: patience,
		ConnContext: envelope.WithConnection,
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.bus.Run(ctx) })
	running.Go(func() { _ = s.readers.Run(ctx) })
	running.Go(func() {
		if err := srv.Serve(bounded{l}); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		stopping, done := context.WithTimeout(context.Background(), patience)
		defer done()
		_ = s.hub.Shutdown(stopping)
		_ = srv.Close()
		cancel()
		running.Wait()
	})
}

// overAll runs a test once a protocol, each against a server of its own.
func overAll(t *testing.T, ring bus.Options, o stream.Options, test func(t *testing.T, s *server, c streamtest.Client)) {
	t.Helper()
	overAllOf(t, ring, o, func(t *testing.T, s *server, which int) {
		t.Helper()
		test(t, s, streamtest.Clients(s.url, nil)[which])
	})
}

// overAllOf is overAll for tests that open their own kinds of clients: which is
// the client's place in streamtest.Clients.
func overAllOf(t *testing.T, ring bus.Options, o stream.Options, test func(t *testing.T, s *server, which int)) {
	t.Helper()
	eachClient(t, func(t *testing.T, which int) {
		t.Helper()
		t.Parallel()
		test(t, start(t, ring, o), which)
	})
}

// oneByOne is overAllOf for tests that keep the machine busy, which side by side
// would wait for each other until their patience ends.
func oneByOne(t *testing.T, ring bus.Options, o stream.Options, test func(t *testing.T, s *server, which int)) {
	t.Helper()
	eachClient(t, func(t *testing.T, which int) {
		t.Helper()
		test(t, start(t, ring, o), which)
	})
}

func eachClient(t *testing.T, test func(t *testing.T, which int)) {
	t.Helper()
	for i, c := range streamtest.Clients("http://unused", nil) {
		t.Run(fmt.Sprintf("%d-%s", i, c.Name()), func(t *testing.T) { test(t, i) })
	}
}

// metric sums the counters of a name that have this label, over the others.
func (s *server) metric(t *testing.T, name, label, value string) float64 {
	t.Helper()
	families, err := s.registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, pair := range m.GetLabel() {
				if family.GetName() == name && pair.GetName() == label && pair.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// event is number n in a namespace.
func event(namespace string, n int) *rightsizerv1.Event {
	now := timestamppb.Now()
	return &rightsizerv1.Event{
		Id: fmt.Sprintf("%032x", n), ProblemId: fmt.Sprintf("%032x", n), CorrelationId: fmt.Sprintf("%032x", n),
		Phase: rightsizerv1.Phase_PHASE_POINT, Type: "pod.oom_killed", Severity: rightsizerv1.Severity_SEVERITY_ERROR,
		OccurredTime: now, ObservedTime: now, Cluster: "c1", Namespace: namespace,
		Object:   &rightsizerv1.ObjectRef{Kind: "Pod", Name: fmt.Sprintf("pod-%d", n), Uid: "u"},
		Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"},
		Node:     "node-1", Reason: "OOMKilled", Message: "killed", Tags: map[string]string{"app": "web"},
	}
}

// publish puts events from..to-1 on the bus.
func (s *server) publish(namespace string, from, to int) {
	for n := from; n < to; n++ {
		s.bus.Publish(event(namespace, n))
	}
}

// reading is a stream whose messages are taken one by one.
type reading struct {
	t *testing.T
	streamtest.Stream

	cancel context.CancelFunc
}

func open(t *testing.T, c streamtest.Client, filter *rightsizerv1.EventFilter, after string) *reading {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	s, err := c.Open(ctx, filter, after)
	require.NoError(t, err)
	r := &reading{t, s, cancel}
	t.Cleanup(r.close)
	return r
}

func (r *reading) close() {
	r.cancel()
	_ = r.Stream.Close()
}

func (r *reading) next() *rightsizerv1.StreamEventsResponse {
	r.t.Helper()
	msg, err := r.Next()
	require.NoError(r.t, err)
	return msg
}

// skip takes messages up to the first that ok says yes to.
func (r *reading) skip(ok func(*rightsizerv1.StreamEventsResponse) bool) *rightsizerv1.StreamEventsResponse {
	r.t.Helper()
	for {
		if msg := r.next(); ok(msg) {
			return msg
		}
	}
}

func isSynced(m *rightsizerv1.StreamEventsResponse) bool { return m.GetSynced() != nil }
func isEvent(m *rightsizerv1.StreamEventsResponse) bool  { return m.GetEvent() != nil }
