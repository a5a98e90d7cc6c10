package devcluster

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestPortsAreDistinctLoopbackAndHeld(t *testing.T) {
	p, err := reservePorts()
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, r := range p.all() {
		port := (*r).port
		assert.False(t, seen[port], "port %d was given twice", port)
		seen[port] = true
		assert.GreaterOrEqual(t, port, firstPort)
		assert.LessOrEqual(t, port, lastPort)
		_, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		require.Error(t, err, "port %d is not held", port)
	}
	p.release()
	for port := range seen {
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		require.NoError(t, err, "port %d was not let go", port)
		require.NoError(t, l.Close())
	}
}

func TestPKI(t *testing.T) {
	dir := t.TempDir()
	p, err := newPKI(dir)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(p.caPEM))

	server, err := p.issue(certificate{name: "server", commonName: "s", hosts: []string{"127.0.0.1", "localhost"}})
	require.NoError(t, err)
	client, err := p.issue(certificate{name: "client", commonName: "c", organization: []string{"system:masters"}, client: true})
	require.NoError(t, err)

	for _, name := range []string{"127.0.0.1", "localhost"} {
		_, err = parse(t, server.cert).Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		require.NoError(t, err, name)
	}
	_, err = parse(t, client.cert).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	require.Error(t, err, "a client's certificate must not serve")
	assert.Equal(t, []string{"system:masters"}, parse(t, client.cert).Subject.Organization)

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
	}
}

func parse(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	require.NotNil(t, block)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return cert
}

func TestPlaceholderTellsProgressToClients(t *testing.T) {
	p, err := newPKI(t.TempDir())
	require.NoError(t, err)
	made, err := p.issue(certificate{name: "server", commonName: "s", hosts: []string{"127.0.0.1"}})
	require.NoError(t, err)
	cert, err := made.tls()
	require.NoError(t, err)
	r, err := reservePort()
	require.NoError(t, err)
	holder := startPlaceholder(r.listener, cert)
	holder.say("devcluster is building the control plane: 412 of 1380 packages, about 3 min left")

	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            loopbackURL(r.port),
		TLSClientConfig: rest.TLSClientConfig{CAData: p.caPEM},
	})
	require.NoError(t, err)
	err = client.CoreV1().RESTClient().Get().Resource("pods").MaxRetries(0).Do(t.Context()).Error()
	require.Error(t, err)
	assert.True(t, apierrors.IsServiceUnavailable(err), "%v", err)
	assert.Contains(t, err.Error(), "412 of 1380 packages")
	seconds, ok := apierrors.SuggestsClientDelay(err)
	assert.True(t, ok)
	assert.Equal(t, retryAfterSeconds, seconds)

	require.NoError(t, holder.stop())
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)))
	require.NoError(t, err, "the port has to be free once stop returns")
	require.NoError(t, l.Close())
}

func TestProgressSentences(t *testing.T) {
	for _, c := range []struct {
		progress Progress
		want     string
	}{
		{Progress{Phase: Starting, Message: "starting etcd"}, "devcluster is starting etcd"},
		{Progress{Phase: Ready, Message: "cluster a is ready with 5 nodes"}, "devcluster: cluster a is ready with 5 nodes"},
		{
			Progress{Phase: Building, Message: "building the control plane", Done: 412, Total: 1380, Unit: "packages", Left: 170 * time.Second},
			"devcluster is building the control plane: 412 of 1380 packages, about 3 min left",
		},
		{
			Progress{Phase: Downloading, Message: "downloading modules", Done: 3, Total: 190, Unit: "modules", About: true},
			"devcluster is downloading modules: 3 of about 190 modules",
		},
		{Progress{Phase: Building, Message: "linking", Left: 44 * time.Second}, "devcluster is linking, about 40 s left"},
		{Progress{Phase: Building, Message: "linking", Left: 4 * time.Second}, "devcluster is linking, a few seconds left"},
	} {
		assert.Equal(t, c.want, c.progress.String())
	}
}

func TestEstimate(t *testing.T) {
	start := time.Now()
	e := estimator{total: 1000, tail: 10 * time.Second, started: start}
	assert.Zero(t, e.left(5, start.Add(time.Minute)), "too little done to tell")
	assert.Zero(t, e.left(500, start.Add(time.Second)), "too early to tell")
	assert.Equal(t, 70*time.Second, e.left(500, start.Add(time.Minute)))
	assert.Equal(t, 10*time.Second, e.left(1000, start.Add(time.Minute)))
	assert.Zero(t, estimator{started: start}.left(0, start.Add(time.Minute)))
}

func TestProgressPrinter(t *testing.T) {
	building := Progress{Phase: Building, Message: "building", Total: 9, Unit: "packages"}
	t.Run("a log gets a line a step, and one every few seconds within it", func(t *testing.T) {
		var out bytes.Buffer
		now := time.Now()
		p := &printer{w: &out, now: func() time.Time { return now }}
		p.print(building)
		building.Done = 1
		p.print(building)
		now = now.Add(logInterval)
		building.Done = 2
		p.print(building)
		p.print(Progress{Phase: Starting, Message: "starting etcd"})
		assert.Equal(t, "devcluster is building: 0 of 9 packages\ndevcluster is building: 2 of 9 packages\ndevcluster is starting etcd\n", out.String())
	})
	t.Run("a terminal gets one line that is rewritten", func(t *testing.T) {
		var out bytes.Buffer
		tell := ProgressPrinter(&out, true)
		tell(Progress{Phase: Starting, Message: "starting the whole of it"})
		tell(Progress{Phase: Ready, Message: "ready"})
		assert.Equal(t, 1, strings.Count(out.String(), "\n"))
		assert.True(t, strings.HasSuffix(out.String(), "\n"))
	})
}

func TestProcessIdentity(t *testing.T) {
	self, err := processID(os.Getpid())
	require.NoError(t, err)
	assert.True(t, self.Alive())
	another := self
	another.Start++
	assert.False(t, another.Alive(), "the same pid with another start time is another process")

	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	child, err := processID(cmd.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	assert.False(t, child.Alive())
}

func TestClaim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "clusters")
	files, err := claim(dir, "a")
	require.NoError(t, err)
	info, err := os.Stat(files.dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	_, err = claim(dir, "a")
	require.ErrorContains(t, err, "up already")
	require.ErrorContains(t, removeStale(dir, "a"), "held by process")
	require.ErrorContains(t, Down(t.Context(), dir, "a"), "no supervisor", "a cluster that a test holds is not down's to end")

	s, err := ReadState(dir, "a")
	require.NoError(t, err)
	s.Holder.Start++ // as if that process had ended and its pid were used again
	require.NoError(t, s.write(files.state()))
	require.NoError(t, os.WriteFile(filepath.Join(files.dir, "left"), nil, 0o600))
	_, err = claim(dir, "a")
	require.NoError(t, err, "a stale folder is no obstacle")
	assert.NoFileExists(t, filepath.Join(files.dir, "left"))

	require.NoError(t, s.write(files.state()))
	require.NoError(t, Down(t.Context(), dir, "a"))
	assert.NoDirExists(t, files.dir)
	require.ErrorIs(t, Down(t.Context(), dir, "a"), ErrNoCluster)
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	_, err := Options{Name: "Not A Label", Nodes: 5000, MetricResolution: time.Second}.withDefaults()
	require.Error(t, err)
	for _, part := range []string{"Not A Label", "1 to 1000", "10s or more"} {
		require.ErrorContains(t, err, part)
	}
	o, err := Options{}.withDefaults()
	require.NoError(t, err)
	require.NoError(t, ValidateName(o.Name))
	assert.Equal(t, 5, o.Nodes)
}

func TestKeyFollowsFromTheSource(t *testing.T) {
	src, err := findSource(t.Context(), BuildOptions{CacheDir: t.TempDir()})
	require.NoError(t, err)
	before, err := src.key()
	require.NoError(t, err)
	copied := source{dir: t.TempDir(), goVersion: src.goVersion}
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join(src.dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(copied.dir, name), data, 0o600))
		if name == "go.mod" {
			assert.Contains(t, string(data), "k8s.io/kubernetes "+kubernetesVersion+"\n", "kubernetesVersion is the linker's, go.mod the compiler's: they have to agree")
		}
	}
	same, err := copied.key()
	require.NoError(t, err)
	assert.Equal(t, before, same, "where the folder lies is no matter")
	copied.goVersion = "go9.99"
	other, err := copied.key()
	require.NoError(t, err)
	assert.NotEqual(t, before, other)
	src.optimized = true
	fast, err := src.key()
	require.NoError(t, err)
	assert.NotEqual(t, before, fast, "one that is optimized is another binary")
}

func TestFindSourceSaysWhereItLooked(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := findSource(context.Background(), BuildOptions{CacheDir: t.TempDir()})
	require.ErrorContains(t, err, "--source")
}

func TestModulesAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "go.sum")
	require.NoError(t, os.WriteFile(path, []byte("a v1 h1:x=\na v1/go.mod h1:y=\nb v2/go.mod h1:z=\n"), 0o600))
	n, err := modulesInSum(path)
	require.NoError(t, err)
	assert.Equal(t, 1, n, "b is known by its go.mod alone, so nobody compiles it")
}

func TestPackagesAreWeighed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), make([]byte, 5000), 0o600))
	weights, err := weigh(strings.NewReader("p\t" + dir + "\ta.go \nempty\t" + dir + "\t\n"))
	require.NoError(t, err)
	assert.InDelta(t, 5000, weights["p"]-weights["empty"], 0.1)
}

func TestStagesAreComplete(t *testing.T) {
	text, err := stageDocuments()
	require.NoError(t, err)
	assert.NotRegexp(t, `@[a-z-]+@`, text, "a part that does not exist, or stands too deep")
	assert.Contains(t, text, "def alive:")
}

func TestEveryScenarioReads(t *testing.T) {
	all, err := Scenarios()
	require.NoError(t, err)
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		assert.NotEmpty(t, s.Description, s.Name)
		assert.Positive(t, len(s.objects)+len(s.include), s.Name)
		for _, i := range s.include {
			_, err := readScenario(i.Scenario)
			require.NoError(t, err)
		}
	}
	assert.Equal(t, []string{
		"crash-loop", "daily-curve", "failures", "hpa-maximum", "image-pull", "init-oom", "job-oom", "leak", "limit-range", "mixed",
		"node-pressure", "oom", "over-provisioned", "pdb-blocking", "placement", "quota", "sidecar-oom", "troubles",
		"under-provisioned", "unschedulable", "workloads",
	}, names)
	_, err = readScenario("none")
	require.ErrorContains(t, err, "lists them")
}
