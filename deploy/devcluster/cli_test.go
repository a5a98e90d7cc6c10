package devcluster

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// builtCLI is where cli has put the command, for removeCLI.
var builtCLI string

// cli is the path of the devcluster command, built once.
var cli = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "devcluster-cli-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "devcluster")
	builtCLI = path
	out, err := exec.Command("go", "build", "-race", "-o", path, "./cmd/devcluster").CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: "go build: " + string(out), Err: err}
	}
	return path, nil
})

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := cli()
	require.NoError(t, err)
	return exec.Command(path, args...)
}

func output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestUpStatusScenarioDown(t *testing.T) {
	t.Parallel()
	sharedCluster(t)
	name := "cli-" + randomSuffix()
	out := output(t, "up", "--name", name, "--nodes", "1")
	s, err := ReadState("", name)
	require.NoError(t, err)
	defer func() { _ = Down(context.Background(), "", name) }()
	assert.Contains(t, out, "export KUBECONFIG="+s.Kubeconfig)
	assert.True(t, s.Detached)

	status := output(t, "status")
	for _, part := range []string{"cluster " + name, s.Server, s.Kubeconfig, "kube-apiserver", "MiB"} {
		assert.Contains(t, status, part)
	}
	assert.Contains(t, output(t, "scenario"), "OOM-killed")
	output(t, "scenario", "over-provisioned", "--name", name, "--namespace", "shop")
	again, err := command(t, "up", "--name", name).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(again), "up already")

	assert.Contains(t, output(t, "down", "--name", name), "is down")
	assertGone(t, s)
	assert.Contains(t, output(t, "down", "--name", name), "no cluster")
}

func TestSIGKILLOfTheSupervisorLeavesNoProcess(t *testing.T) {
	t.Parallel()
	sharedCluster(t)
	name := "kill-" + randomSuffix()
	output(t, "up", "--name", name, "--nodes", "1")
	s, err := ReadState("", name)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(s.Holder.PID, syscall.SIGKILL))
	eventually(t, func(context.Context) string {
		return strings.Join(processesAbout(t, filepath.Dir(s.Kubeconfig)), " ")
	})
	assert.Contains(t, output(t, "status"), "cluster "+name+": dead")
	assert.Contains(t, output(t, "down", "--name", name), "is down")
	assertGone(t, s)
}

func TestInterruptedUpLeavesNothing(t *testing.T) {
	t.Parallel()
	sharedCluster(t)
	name := "int-" + randomSuffix()
	cmd := command(t, "up", "--plain", "--name", name)
	lines, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	readUntil(t, lines, "starting kube-apiserver")
	s, err := ReadState("", name)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_, _ = io.Copy(io.Discard, lines)
	require.Error(t, cmd.Wait())
	assert.Equal(t, 130, cmd.ProcessState.ExitCode())
	assertGone(t, s)
}

func TestRunGivesTheCommandItsCluster(t *testing.T) {
	t.Parallel()
	sharedCluster(t)
	name := "run-" + randomSuffix()
	// The command sees the kubeconfig at once and ends by itself, with a code.
	cmd := command(t, "run", "--name", name, "--scenario", "", "--nodes", "1", "--", "sh", "-c", `test -s "$KUBECONFIG" && exit 7`)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, 7, cmd.ProcessState.ExitCode(), string(out))
	dir, err := stateFolder("")
	require.NoError(t, err)
	assert.NoDirExists(t, filepath.Join(dir, name))

	// It is stopped before the cluster, and gently.
	cmd = command(t, "run", "--plain", "--name", name, "--scenario", "oom", "--nodes", "1", "--", "sh", "-c", `trap 'echo gently; exit 3' TERM; while :; do sleep 0.1; done`)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	lines, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	readUntil(t, lines, "is ready")
	s, err := ReadState("", name)
	require.NoError(t, err)
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	require.NoError(t, err)
	kube, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	eventually(t, func(ctx context.Context) string {
		if _, err := kube.AppsV1().Deployments("sim-oom").Get(ctx, "checkout", metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, _ = io.Copy(io.Discard, lines)
	require.Error(t, cmd.Wait())
	assert.Equal(t, 3, cmd.ProcessState.ExitCode())
	assert.Contains(t, stdout.String(), "gently")
	assertGone(t, s)
}

// TestInterruptedBuildLeavesNothing interrupts a build from nothing, after the
// API server's port has told how far it is.
func TestInterruptedBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	cmd := command(t, "run", "--plain", "--", "sleep", "3600")
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache, "GOCACHE="+filepath.Join(cache, "go-build"))
	lines, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	readUntil(t, lines, "building the control plane")
	s, err := ReadState(filepath.Join(cache, "rightsizer", "devcluster", "clusters"), "default")
	require.NoError(t, err)
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	err = client.CoreV1().RESTClient().Get().Resource("pods").MaxRetries(0).Do(t.Context()).Error()
	require.Error(t, err)
	assert.True(t, apierrors.IsServiceUnavailable(err), "%v", err)
	assert.Contains(t, err.Error(), "building the control plane")
	var status *apierrors.StatusError
	require.ErrorAs(t, err, &status)
	assert.EqualValues(t, http.StatusServiceUnavailable, status.Status().Code)

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_, _ = io.Copy(io.Discard, lines)
	require.Error(t, cmd.Wait())
	assert.Empty(t, processesAbout(t, cache))
	assertGone(t, s)
	left, err := filepath.Glob(filepath.Join(cache, "rightsizer", "devcluster", "*", "*"))
	require.NoError(t, err)
	for _, path := range left {
		assert.Equal(t, "lock", filepath.Base(path), "%s is left", path)
	}
}

// assertGone checks that a cluster has no process, no listener and no folder.
func assertGone(t *testing.T, s State) {
	t.Helper()
	assert.False(t, s.Holder.Alive())
	assert.Empty(t, processesAbout(t, filepath.Dir(s.Kubeconfig)))
	assert.NoDirExists(t, filepath.Dir(s.Kubeconfig))
	if s.Server == "" {
		return
	}
	address, err := url.Parse(s.Server)
	require.NoError(t, err)
	_, err = net.DialTimeout("tcp4", address.Host, time.Second)
	require.Error(t, err, "something listens at %s", s.Server)
}

// readUntil reads lines until one contains text.
func readUntil(t *testing.T, r io.Reader, text string) {
	t.Helper()
	scanner := bufio.NewScanner(r)
	var seen []string
	for scanner.Scan() {
		seen = append(seen, scanner.Text())
		if strings.Contains(scanner.Text(), text) {
			return
		}
	}
	require.Failf(t, "no such line", "%q was expected among\n%s", text, strings.Join(seen, "\n"))
}

// removeCLI removes the command if a test has built it.
func removeCLI() {
	if builtCLI != "" {
		_ = os.RemoveAll(filepath.Dir(builtCLI))
	}
}
