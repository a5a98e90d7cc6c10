package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/watcher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCluster is a Cluster that the test sets.
type fakeCluster struct {
	publisher Publisher

	mu    sync.Mutex
	ready error
	tuned []watcher.Tuning
}

// Tune keeps what it was told.
func (c *fakeCluster) Tune(t watcher.Tuning) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tuned = append(c.tuned, t)
	return nil
}

func (c *fakeCluster) lastTuned() watcher.Tuning {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tuned) == 0 {
		return watcher.Tuning{}
	}
	return c.tuned[len(c.tuned)-1]
}

func (c *fakeCluster) set(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = err
}

func (c *fakeCluster) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

func (c *fakeCluster) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (c *fakeCluster) Health() []*rightsizerv1.ComponentHealth {
	state := rightsizerv1.HealthState_HEALTH_STATE_OK
	if c.Ready() != nil {
		state = rightsizerv1.HealthState_HEALTH_STATE_STARTING
	}
	return []*rightsizerv1.ComponentHealth{{Component: "kubernetes", State: state}}
}
func (c *fakeCluster) Synced() bool      { return c.Ready() == nil }
func (c *fakeCluster) ClusterID() string { return "uid-1" }
func (c *fakeCluster) Cluster() *rightsizerv1.Cluster {
	return &rightsizerv1.Cluster{Id: "uid-1", Name: "one", SyncedTime: timestamppb.Now()}
}
func (c *fakeCluster) Nodes() []*rightsizerv1.Node { return nil }
func (c *fakeCluster) Workloads() []*rightsizerv1.Workload {
	return []*rightsizerv1.Workload{
		{Namespace: "shop", Ref: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"}},
		{Namespace: "bank", Ref: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "vault"}},
	}
}
func (c *fakeCluster) Problems() []*rightsizerv1.Event                { return nil }
func (c *fakeCluster) Incidents() []*rightsizerv1.Incident            { return nil }
func (c *fakeCluster) IncidentOf(string) (incident, namespace string) { return "", "" }
func (c *fakeCluster) Workload(string, string, string) (*rightsizerv1.GetWorkloadResponse, bool) {
	return nil, false
}

// log is a log that tests read while it is written.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// operator is a running App.
type operator struct {
	*App

	cluster *fakeCluster
	log     *log
	stop    func() error // stops it, once, and returns what Run did
}

func loopback() config.Config {
	c := config.Default()
	c.GRPCAddress, c.EventsAddress, c.MetricsAddress = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return c
}

func start(t *testing.T, cfg config.Config) *operator {
	t.Helper()
	return startWith(t, cfg, nil)
}

// startWith starts an operator whose callers are decided on by reviews.
func startWith(t *testing.T, cfg config.Config, reviews auth.Reviews, change ...func(*Options)) *operator {
	t.Helper()
	o := &operator{cluster: &fakeCluster{}, log: &log{}}
	opts := Options{
		Logger: slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Version: "test", Reviews: reviews,
		NewCluster: func(p Publisher, _ prometheus.Registerer) (Cluster, error) {
			o.cluster.publisher = p
			return o.cluster, nil
		},
	}
	for _, f := range change {
		f(&opts)
	}
	var err error
	o.App, err = New(cfg, opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	select {
	case <-o.Listening():
	case err := <-done:
		cancel()
		require.NoError(t, err)
	}
	o.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("the stop took more than 20 s")
		}
	})
	t.Cleanup(func() { require.NoError(t, o.stop()) })
	return o
}

func (o *operator) url(scheme, key string) string {
	_, port, _ := net.SplitHostPort(o.Addr(key).String())
	return scheme + "://127.0.0.1:" + port
}

// client speaks HTTP/1.1 or HTTP/2, the latter in clear text to http URLs.
func client(t *testing.T, version int) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	if version == 1 {
		protocols.SetHTTP1(true)
	} else {
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(true)
	}
	transport := &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

var errTimeout = os.ErrDeadlineExceeded

// newApp makes an App that is not run.
func newApp(t *testing.T, cfg config.Config) *App {
	t.Helper()
	a, err := New(cfg, Options{
		Logger:     slog.New(slog.DiscardHandler),
		NewCluster: func(Publisher, prometheus.Registerer) (Cluster, error) { return &fakeCluster{}, nil },
	})
	require.NoError(t, err)
	return a
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	once := client(t, 1)
	defer once.CloseIdleConnections()
	res, err := once.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return do(t, req)
}

// probeOf asks grpc.health.v1 in JSON.
func probeOf(t *testing.T, url, service string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/grpc.health.v1.Health/Check",
		strings.NewReader(`{"service":"`+service+`"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	_, text := do(t, req)
	return text
}

// readUntil reads a WebSocket up to a frame that contains text.
func readUntil(t *testing.T, socket *websocket.Conn, text string) {
	t.Helper()
	for {
		_, frame, err := socket.Read(t.Context())
		require.NoError(t, err)
		if strings.Contains(string(frame), text) {
			return
		}
	}
}

// dial opens the WebSocket of a listener and returns it, nil where it is refused,
// with the HTTP status.
func dial(t *testing.T, url, origin string) (*websocket.Conn, int) {
	t.Helper()
	options := &websocket.DialOptions{HTTPClient: client(t, 1)}
	if origin != "" {
		options.HTTPHeader = http.Header{"Origin": {origin}}
	}
	socket, res, err := websocket.Dial(t.Context(), url+"/events", options)
	if err != nil {
		require.NotNil(t, res, "%v", err)
		require.NoError(t, res.Body.Close())
	}
	return socket, res.StatusCode
}
