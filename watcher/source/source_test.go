package source_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/watcher/meter"
	"github.com/rightsizer/rightsizer/watcher/source"
)

// kubelet serves the fixtures to whoever shows the token.
func kubelet(t *testing.T) (*httptest.Server, source.Target, *[]string) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		files := map[string]string{
			"/metrics/resource": "kubelet-resource.txt", "/metrics/cadvisor": "kubelet-cadvisor.txt",
			"/stats/summary": "kubelet-summary-cgroup2.json", "/elsewhere": "kubelet-resource.txt",
		}
		if name := files[r.URL.Path]; name != "" {
			http.ServeFile(w, r, filepath.Join("testdata", name))
			return
		}
		http.Redirect(w, r, "/metrics/resource", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	return server, source.Target{Node: "node-1", Host: host, Port: int32(number)}, &asked
}

func TestKubeletsAreAskedDirectly(t *testing.T) {
	server, target, asked := kubelet(t)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, pemOf(server), 0o600))
	k, err := source.NewKubelets(source.KubeletOptions{
		Config: &rest.Config{Host: "https://api.test", BearerToken: "secret"}, CAFile: ca,
	})
	require.NoError(t, err)
	defer k.Close()
	for _, s := range []source.Source{source.KubeletResource{Kubelets: k}, source.KubeletThrottling{Kubelets: k}, source.KubeletPressure{Kubelets: k}} {
		count := 0
		require.NoError(t, s.Read(t.Context(), &target, func(s *meter.Sample) {
			count++
			assert.Equal(t, "node-1", s.Node)
		}), s.Name())
		assert.Positive(t, count, s.Name())
		assert.Equal(t, source.PerNode, s.Scope())
	}
	assert.Equal(t, []string{"/metrics/resource", "/metrics/cadvisor", "/stats/summary"}, *asked)

	at := target
	at.ResourcePath = "/elsewhere"
	require.NoError(t, source.KubeletResource{Kubelets: k}.Read(t.Context(), &at, func(*meter.Sample) {}))
	at.ResourcePath = "/redirect"
	var status *source.StatusError
	require.ErrorAs(t, source.KubeletResource{Kubelets: k}.Read(t.Context(), &at, func(*meter.Sample) {}), &status)
	assert.Equal(t, http.StatusFound, status.Code, "the token follows nobody")
	at.ResourcePath = "http://evil.test/"
	require.ErrorContains(t, source.KubeletResource{Kubelets: k}.Read(t.Context(), &at, func(*meter.Sample) {}), "begins with /")
	require.ErrorContains(t, source.KubeletResource{Kubelets: k}.Read(t.Context(), &source.Target{Node: "n"}, func(*meter.Sample) {}), "no address")
}

func TestKubeletsAreVerifiedUnlessToldOtherwise(t *testing.T) {
	_, target, asked := kubelet(t)
	read := func(o source.KubeletOptions) error {
		o.Config = &rest.Config{Host: "https://api.test", BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{CAData: []byte(otherCA(t))}}
		k, err := source.NewKubelets(o)
		require.NoError(t, err)
		defer k.Close()
		return source.KubeletResource{Kubelets: k}.Read(t.Context(), &target, func(*meter.Sample) {})
	}
	require.ErrorContains(t, read(source.KubeletOptions{}), "certificate")
	assert.Empty(t, *asked, "no token goes to an unknown kubelet")
	require.NoError(t, read(source.KubeletOptions{Insecure: true}))
}

// fake answers about targets by their names.
type fake struct {
	mu    sync.Mutex
	asked map[string][]time.Time
	fail  map[string]error
	block chan struct{}
}

func (*fake) Name() string        { return "fake" }
func (*fake) Scope() source.Scope { return source.PerNode }
func (*fake) Rank() uint8         { return 0 }

func (f *fake) Read(ctx context.Context, t *source.Target, take func(*meter.Sample)) error {
	f.mu.Lock()
	f.asked[t.Node] = append(f.asked[t.Node], time.Now())
	err, block := f.fail[t.Node], f.block
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	take(&meter.Sample{Node: t.Node})
	return err
}

func targets(n int) func() ([]source.Target, bool) {
	return func() ([]source.Target, bool) {
		var out []source.Target
		for i := range n {
			out = append(out, source.Target{Node: fmt.Sprintf("node-%02d", i)})
		}
		return out, true
	}
}

func TestAPollIsSpreadOverItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{asked: map[string][]time.Time{}}
		begin := time.Now()
		var rounds []source.Round
		p, err := source.NewPoller(source.PollerOptions{
			Source: f, Interval: 30 * time.Second, Targets: targets(10), Take: func(*source.Target, []meter.Sample, error) {},
			Round: func(r source.Round) { rounds = append(rounds, r) },
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		cancel()
		<-done
		for i := range 10 {
			at := f.asked[fmt.Sprintf("node-%02d", i)]
			require.Len(t, at, 2)
			assert.Equal(t, time.Duration(i)*500*time.Millisecond, at[0].Sub(begin), "the first round takes 5 s")
			assert.Equal(t, 30*time.Second+time.Duration(i)*3*time.Second, at[1].Sub(begin))
		}
		require.Len(t, rounds, 2)
		assert.Equal(t, 10, rounds[0].Targets)
		assert.Zero(t, rounds[0].Failed)
	})
}

func TestAFailingTargetIsLeftAloneForSomeRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{asked: map[string][]time.Time{}, fail: map[string]error{"node-01": errors.New("refused")}}
		var rounds []source.Round
		p, err := source.NewPoller(source.PollerOptions{
			Source: f, Interval: 10 * time.Second, Targets: targets(2), Take: func(*source.Target, []meter.Sample, error) {},
			Round: func(r source.Round) { rounds = append(rounds, r) },
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		time.Sleep(99 * time.Second)
		cancel()
		<-done
		assert.Len(t, f.asked["node-00"], 10)
		assert.Len(t, f.asked["node-01"], 4, "asked in rounds 0, 1, 3, 7")
		assert.Equal(t, 1, rounds[0].Failed)
		assert.Equal(t, "node-01", rounds[0].Target)
		assert.Equal(t, 1, rounds[2].Resting)
	})
}

func TestAStoppedPollerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{asked: map[string][]time.Time{}, block: make(chan struct{})}
		p, err := source.NewPoller(source.PollerOptions{
			Source: f, Targets: targets(100), Take: func(*source.Target, []meter.Sample, error) { t.Error("taken after the end") },
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		time.Sleep(10 * time.Second)
		cancel()
		<-done // and synctest.Test fails where a goroutine is left
	})
}

func TestPollerOptionsAreChecked(t *testing.T) {
	_, err := source.NewPoller(source.PollerOptions{Interval: time.Millisecond, Workers: 100})
	for _, want := range []string{"Source", "Targets", "Take", "Interval is 1ms", "Workers is 100"} {
		require.ErrorContains(t, err, want)
	}
}

// A source that is down altogether is asked about a few targets each round, and
// about all as soon as one of them answers.
func TestASourceThatIsDownIsFoundBackSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{asked: map[string][]time.Time{}, fail: map[string]error{}}
		for i := range 10 {
			f.fail[fmt.Sprintf("node-%02d", i)] = errors.New("refused")
		}
		var rounds []source.Round
		p, err := source.NewPoller(source.PollerOptions{
			Source: f, Interval: 10 * time.Second, Targets: targets(10), Take: func(*source.Target, []meter.Sample, error) {},
			Round: func(r source.Round) { rounds = append(rounds, r) },
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		time.Sleep(55 * time.Second)
		synctest.Wait()
		require.Len(t, rounds, 6)
		assert.Equal(t, 10, rounds[0].Failed)
		for _, r := range rounds[1:] {
			assert.Equal(t, 3, r.Failed)
			assert.True(t, r.Down())
		}
		f.mu.Lock()
		clear(f.fail)
		f.mu.Unlock()
		time.Sleep(15 * time.Second)
		cancel()
		<-done
		assert.Zero(t, rounds[6].Failed+rounds[6].Resting)
		for i := range 10 {
			at := f.asked[fmt.Sprintf("node-%02d", i)]
			assert.GreaterOrEqual(t, at[len(at)-1].Sub(at[0]), 50*time.Second)
		}
	})
}

// Targets that are gone for good keep those that answer from being asked for some
// rounds at most, wherever they are in the list.
func TestASourceIsFoundBackThoughSomeTargetsStayAway(t *testing.T) {
	for name, away := range map[string]func(i int) bool{
		"the first of the list":   func(i int) bool { return i < 3 },
		"most of it":              func(i int) bool { return i < 16 },
		"all but the last":        func(i int) bool { return i < 19 },
		"those at equal distance": func(i int) bool { return i == 0 || i == 6 || i == 13 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{asked: map[string][]time.Time{}, fail: map[string]error{}}
				gone := 0
				for i := range 20 {
					f.fail[fmt.Sprintf("node-%02d", i)] = errors.New("refused")
					if away(i) {
						gone++
					}
				}
				var rounds []source.Round
				p, err := source.NewPoller(source.PollerOptions{
					Source: f, Interval: 10 * time.Second, Targets: targets(20), Take: func(*source.Target, []meter.Sample, error) {},
					Round: func(r source.Round) { rounds = append(rounds, r) },
				})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); p.Run(ctx) }()
				time.Sleep(9 * time.Second)
				f.mu.Lock()
				for i := range 20 {
					if !away(i) {
						delete(f.fail, fmt.Sprintf("node-%02d", i))
					}
				}
				f.mu.Unlock()
				time.Sleep(80 * time.Second)
				cancel()
				<-done
				assert.True(t, rounds[0].Down())
				last := rounds[len(rounds)-1]
				assert.False(t, last.Down())
				assert.Equal(t, gone, last.Failed+last.Resting, "all that answer are asked")
			})
		})
	}
}
