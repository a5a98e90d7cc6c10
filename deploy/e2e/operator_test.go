package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// patience bounds every wait. A real control plane on two busy cores may take
// long; nothing waits that long when all is well.
const patience = 3 * time.Minute

// binary is the operator under test: the one that make built, or one built now.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("RIGHTSIZER_BIN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "rightsizer-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rightsizer")
	build := exec.Command("go", "build", "-o", path, "./server/cmd/rightsizer")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the operator: %w\n%s", err, out)
	}
	return path, nil
})

// operator is one running rightsizer serve.
type operator struct {
	t       *testing.T
	cmd     *exec.Cmd
	exited  chan struct{}
	err     error
	log     *lockedBuffer
	url     string // :9090
	events  string // :8082
	metrics string // :8080
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // only its number was wanted
	return l.Addr().String()
}

// serve starts the operator on a kubeconfig; it is stopped with the test. It need
// not be ready: see ready.
func serve(t *testing.T, kubeconfig string, flags ...string) *operator {
	t.Helper()
	return serveIn(t, nil, kubeconfig, flags...)
}

// serveIn is serve with variables of the environment.
func serveIn(t *testing.T, environment []string, kubeconfig string, flags ...string) *operator {
	t.Helper()
	return serveUnder(t, nil, environment, kubeconfig, flags...)
}

// serveUnder is serveIn by a command that becomes the one in its last arguments.
func serveUnder(t *testing.T, under, environment []string, kubeconfig string, flags ...string) *operator {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	api, events, metrics := freeAddress(t), freeAddress(t), freeAddress(t)
	args := slices.Concat(under, []string{
		path, "serve", "--kubeconfig=" + kubeconfig, "--log-format=json", "--cluster-name=e2e",
		"--grpc-bind-address=" + api, "--events-bind-address=" + events, "--metrics-bind-address=" + metrics,
	}, flags)
	o := &operator{
		t: t, cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{}), log: &lockedBuffer{},
		url: "http://" + api, events: "http://" + events, metrics: "http://" + metrics,
	}
	o.cmd.Stdout, o.cmd.Stderr = o.log, o.log
	o.cmd.Env = slices.Concat(os.Environ(), []string{"KUBECONFIG="}, environment)
	require.NoError(t, o.cmd.Start())
	go func() {
		o.err = o.cmd.Wait()
		close(o.exited)
	}()
	t.Cleanup(func() {
		o.stop()
		o.speaksAsDocumented()
		if t.Failed() {
			t.Logf("the operator's log:\n%s", o.log)
		}
	})
	return o
}

// ready waits for /readyz.
func (o *operator) ready() *operator {
	o.t.Helper()
	require.Eventually(o.t, func() bool {
		select {
		case <-o.exited:
			o.t.Fatalf("the operator ended: %v\n%s", o.err, o.log)
		default:
		}
		return o.status(o.metrics+"/readyz") == http.StatusOK
	}, patience, 50*time.Millisecond, "readyz")
	return o
}

// status is the HTTP status of a GET, 0 where there is no answer.
func (o *operator) status(url string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// stop asks the operator to end and waits; it returns how long that took. More
// than the promised 20 s fails the test.
func (o *operator) stop() time.Duration {
	o.t.Helper()
	begin := time.Now()
	if err := o.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		o.t.Errorf("stop the operator: %v", err)
	}
	select {
	case <-o.exited:
	case <-time.After(20 * time.Second):
		o.t.Errorf("the operator did not end within 20 s of SIGTERM")
		_ = o.cmd.Process.Kill()
		<-o.exited
	}
	return time.Since(begin)
}

// kill ends the operator without a word.
func (o *operator) kill() {
	_ = o.cmd.Process.Kill()
	<-o.exited
}

func (o *operator) clusterClient() rightsizerv1connect.ClusterServiceClient {
	return rightsizerv1connect.NewClusterServiceClient(http.DefaultClient, o.url)
}

func (o *operator) eventClient() rightsizerv1connect.EventServiceClient {
	return rightsizerv1connect.NewEventServiceClient(http.DefaultClient, o.url)
}

func (o *operator) workloadClient() rightsizerv1connect.WorkloadServiceClient {
	return rightsizerv1connect.NewWorkloadServiceClient(http.DefaultClient, o.url)
}
