package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait; nothing takes that long on a machine that works.
const patience = 5 * time.Minute

// operator is one running rightsizer serve, with its memory under measurement.
type operator struct {
	*gauge

	cmd     *exec.Cmd
	exited  chan struct{}
	err     error // how it ended
	log     lockedBuffer
	url     string
	metrics string
	pprof   string
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

// ensureBinary builds the operator where it is missing.
func ensureBinary(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	say("building %s", path)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", abs, "./server/cmd/rightsizer") //nolint:gosec // the path that -bin names
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the operator: %w\n%s", err, out)
	}
	return nil
}

// serve starts the operator in a cgroup of its own and waits until it is ready.
func serve(ctx context.Context, s *settings, cluster *controlPlane, flags ...string) (*operator, error) {
	addresses := make([]string, 4)
	for i := range addresses {
		var err error
		if addresses[i], err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	o := &operator{
		gauge: newGauge(s.limit, s.millicores), exited: make(chan struct{}),
		url: "http://" + addresses[0], metrics: "http://" + addresses[2],
	}
	args := append([]string{
		"serve", "--kubeconfig=" + cluster.KubeconfigPath(), "--log-format=json", "--cluster-name=bench",
		"--grpc-bind-address=" + addresses[0], "--events-bind-address=" + addresses[1], "--metrics-bind-address=" + addresses[2],
	}, flags...)
	if s.profiles != "" {
		o.pprof = "http://" + addresses[3]
		args = append(args, "--pprof-bind-address="+addresses[3])
	}
	binary, err := filepath.Abs(s.binary)
	if err != nil {
		return nil, err
	}
	o.cmd = o.command(ctx, binary, args...)
	o.cmd.Cancel = func() error { return o.cmd.Process.Signal(syscall.SIGTERM) }
	o.cmd.Stdout, o.cmd.Stderr = &o.log, &o.log
	o.cmd.Env = append(os.Environ(), "KUBECONFIG=")
	if s.memLimit != "" {
		o.cmd.Env = append(o.cmd.Env, "GOMEMLIMIT="+s.memLimit)
	}
	if err := o.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the operator: %w", err)
	}
	go func() {
		o.err = o.cmd.Wait()
		close(o.exited)
	}()
	o.follow(o.cmd.Process.Pid)
	if err := o.until(ctx, "is ready", func() bool { _, err := get(ctx, o.metrics+"/readyz"); return err == nil }); err != nil {
		return nil, errors.Join(err, o.stopServing())
	}
	return o, nil
}

// until waits for something of the operator.
func (o *operator) until(ctx context.Context, what string, yes func() bool) error {
	deadline := time.After(patience)
	for !yes() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.exited:
			return fmt.Errorf("the operator ended before it %s: %w\n%s", what, o.err, &o.log)
		case <-deadline:
			return fmt.Errorf("within %s the operator never %s\n%s", patience, what, &o.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// stopServing asks the operator to end, then makes it.
func (o *operator) stopServing() error {
	_ = o.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	select {
	case <-o.exited:
	case <-time.After(25 * time.Second):
		_ = o.cmd.Process.Kill()
		<-o.exited
	}
	o.end()
	if o.err != nil {
		return fmt.Errorf("the operator ended badly: %w\n%s", o.err, &o.log)
	}
	return nil
}

// sum is that of the operator's metrics; 0 where it does not answer.
func (o *operator) sum(ctx context.Context, name, labels string) float64 {
	text, err := get(ctx, o.metrics+"/metrics")
	if err != nil {
		return 0
	}
	return sum(text, name, labels)
}

// sum adds up the values of a metric whose labels contain a text.
func sum(metrics []byte, name, labels string) float64 {
	total := 0.0
	for line := range strings.Lines(string(metrics)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != ' ' && rest[0] != '{' || !strings.Contains(rest, labels) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
		if err == nil {
			total += value
		}
	}
	return total
}

// profile keeps a heap profile under a name; nothing without a folder for it.
func (o *operator) profile(ctx context.Context, s *settings, name string) error {
	if s.profiles == "" {
		return nil
	}
	raw, err := get(ctx, o.pprof+"/debug/pprof/heap")
	if err != nil {
		return fmt.Errorf("read a heap profile: %w", err)
	}
	return os.WriteFile(filepath.Join(s.profiles, name+".pb.gz"), raw, 0o600)
}

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, err
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
