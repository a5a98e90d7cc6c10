package devcluster

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// patience bounds each wait of the tests with a real cluster.
const patience = 3 * time.Minute

// shared is the cluster that most tests use, each in a namespace of its own.
var shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

func TestMain(m *testing.M) {
	// The tests wait far more than they compute, so more of them may run at a
	// time than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	code := m.Run()
	removeCLI()
	if shared.cluster != nil {
		if err := shared.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// sharedCluster starts the shared cluster on first use. It needs the control
// plane's binary, which the first run on a machine builds for some minutes.
func sharedCluster(t *testing.T) *Cluster {
	t.Helper()
	shared.once.Do(func() {
		began := time.Now()
		shared.cluster, shared.err = Start(context.Background(), Options{Progress: ProgressPrinter(os.Stderr, false)})
		t.Logf("the shared cluster was ready after %s", time.Since(began).Round(time.Millisecond))
	})
	require.NoError(t, shared.err)
	return shared.cluster
}

// eventually waits until check returns "", and fails with what it last said.
func eventually(t *testing.T, check func(ctx context.Context) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	missing := "nothing was looked at"
	err := waitFor(ctx, 100*time.Millisecond, func() (bool, error) {
		missing = check(ctx)
		return missing == "", nil
	})
	require.NoError(t, err, missing)
}

// processesAbout lists processes whose command line or environment names path.
func processesAbout(t *testing.T, path string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var found []string
	for _, dir := range dirs {
		if dir == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		for _, file := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err == nil && strings.Contains(string(data), path) {
				found = append(found, dir)
				break
			}
		}
	}
	return found
}

func TestTwoClustersAndStop(t *testing.T) {
	t.Parallel()
	first := sharedCluster(t)
	second, err := Start(t.Context(), Options{Nodes: 2})
	require.NoError(t, err)
	stopped := false
	defer func() {
		if !stopped {
			require.NoError(t, second.Stop())
		}
	}()
	assert.NotEqual(t, first.RESTConfig().Host, second.RESTConfig().Host)
	nodes, err := second.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, nodes.Items, 2)
	assert.Equal(t, "eu-central-1a", nodes.Items[0].Labels[corev1.LabelTopologyZone])
	assert.Len(t, second.Components(), 6)
	assert.NotEmpty(t, processesAbout(t, second.files.dir))

	// Another cluster's certificate opens nothing here.
	foreign := second.RESTConfig()
	foreign.Host, foreign.CAData = first.RESTConfig().Host, first.RESTConfig().CAData
	client, err := kubernetes.NewForConfig(foreign)
	require.NoError(t, err)
	_, err = client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.Error(t, err)

	require.NoError(t, second.Stop())
	stopped = true
	assert.Empty(t, processesAbout(t, second.files.dir))
	assert.NoDirExists(t, second.files.dir)
	for _, r := range second.ports.all() {
		_, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", (*r).port))
		require.Error(t, err, "something still listens on port %d", (*r).port)
	}
	require.NoError(t, second.Stop(), "stopping twice is no error")
}

func TestStartThatIsGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	sharedCluster(t) // so that there is a binary and the start gets somewhere
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	name := "given-up-" + randomSuffix()
	_, err := Start(ctx, Options{Name: name, Progress: func(p Progress) {
		if p.Phase == Starting && strings.Contains(p.Message, "kube-apiserver") {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	dir, err := stateFolder("")
	require.NoError(t, err)
	assert.NoDirExists(t, filepath.Join(dir, name))
	assert.Empty(t, processesAbout(t, filepath.Join(dir, name)))
}

func TestFaultsOfTheAPIServer(t *testing.T) {
	t.Parallel()
	c, err := Start(t.Context(), Options{Nodes: 1, AuditPolicy: "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}"})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()
	config := c.RESTConfig()
	config.Timeout = 2 * time.Second
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	get := func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
		return err
	}
	require.NoError(t, get())
	audit, err := os.ReadFile(c.AuditLogPath())
	require.NoError(t, err)
	assert.Contains(t, string(audit), `"namespaces"`)

	require.NoError(t, c.Pause(APIServer))
	var timeout interface{ Timeout() bool }
	err = get()
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout(), "a paused server does not answer: %v", err)
	require.NoError(t, c.Continue(APIServer))
	require.NoError(t, get())

	before := c.processes[APIServer].pid
	require.NoError(t, c.Kill(APIServer))
	address, err := url.Parse(config.Host)
	require.NoError(t, err)
	_, err = net.Dial("tcp4", address.Host)
	require.Error(t, err, "a killed server refuses connections")
	require.NoError(t, c.Restart(t.Context(), APIServer))
	require.NoError(t, get())
	assert.NotEqual(t, before, c.processes[APIServer].pid)
	require.NoError(t, c.Restart(t.Context(), APIServer), "also when it runs")
	require.NoError(t, get())
	require.ErrorContains(t, c.Kill("kube-proxy"), "no running component")

	// A component that ends by itself comes back without being asked.
	scheduler := c.processes[Scheduler]
	require.NoError(t, scheduler.cmd.Process.Kill())
	eventually(t, func(context.Context) string {
		for _, p := range c.Components() {
			if p.Name == Scheduler && p.PID != scheduler.pid {
				return ""
			}
		}
		return "no scheduler again"
	})
	require.NoError(t, c.Err())
}
