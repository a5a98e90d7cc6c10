//go:build soak

package soak_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait.
const patience = 2 * time.Minute

// operator is a rightsizer serve that is killed and started again at the same
// addresses.
type operator struct {
	kubeconfig           string
	api, events, metrics string
	log                  tail
	// life counts the processes; a stream belongs to the one it was opened to.
	life atomic.Int64

	cmd    *exec.Cmd
	exited chan struct{}
}

// tail keeps the end of a log.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 64 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	if over := len(l.b) - tailBytes; over > 0 {
		l.b = bytes.Clone(l.b[over:])
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

func newOperator(t *testing.T, kubeconfig string) *operator {
	t.Helper()
	o := &operator{kubeconfig: kubeconfig}
	for _, address := range []*string{&o.api, &o.events, &o.metrics} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		*address = l.Addr().String()
		require.NoError(t, l.Close())
	}
	t.Cleanup(func() {
		o.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the end of the operator's log:\n%s", &o.log)
		}
	})
	return o
}

// start runs the next life. The ring is small, so that it is full, and its memory
// taken, before the measuring begins.
func (o *operator) start(t *testing.T) {
	t.Helper()
	path := os.Getenv("RIGHTSIZER_BIN")
	require.NotEmpty(t, path, "RIGHTSIZER_BIN names the binary: make soak sets it")
	o.life.Add(1)
	o.cmd = exec.Command(path, "serve", "--kubeconfig="+o.kubeconfig, "--log-format=json", "--ring-entries=512", "--ring-bytes=1Mi",
		"--grpc-bind-address="+o.api, "--events-bind-address="+o.events, "--metrics-bind-address="+o.metrics)
	o.cmd.Stdout, o.cmd.Stderr = &o.log, &o.log
	o.cmd.Env = append(os.Environ(), "KUBECONFIG=")
	require.NoError(t, o.cmd.Start())
	exited := make(chan struct{})
	o.exited = exited
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // how it ended shows in what is measured
		close(exited)
	}(o.cmd)
	require.Eventually(t, func() bool {
		_, err := o.get(t.Context(), "/readyz")
		return err == nil
	}, patience, 100*time.Millisecond, "the operator is ready")
}

// end sends a signal and waits.
func (o *operator) end(signal syscall.Signal) {
	if o.cmd == nil {
		return
	}
	_ = o.cmd.Process.Signal(signal) // it may have ended
	select {
	case <-o.exited:
	case <-time.After(20 * time.Second):
		_ = o.cmd.Process.Kill()
		<-o.exited
	}
}

func (o *operator) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.metrics+path, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return string(text), err
}

// gauges reads metrics without labels.
func (o *operator) gauges(t *testing.T, names ...string) []float64 {
	t.Helper()
	text, err := o.get(t.Context(), "/metrics")
	require.NoError(t, err)
	values := make([]float64, len(names))
	for i, name := range names {
		_, rest, ok := strings.Cut(text, "\n"+name+" ")
		require.True(t, ok, "%s is a metric", name)
		line, _, _ := strings.Cut(rest, "\n")
		values[i], err = strconv.ParseFloat(line, 64)
		require.NoError(t, err)
	}
	return values
}
