package source

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exposition is what a kubelet's cAdvisor told of a pod for three hours: a container
// that uses 250 millicores, the sandbox, the pod's own cgroup, and another namespace; of
// the container also what another job scraped.
func exposition(begin, end time.Time) string {
	var out strings.Builder
	series := []string{
		`namespace="shop",pod="web-1",container="app"`, `namespace="shop",pod="web-1",container="POD"`,
		`namespace="shop",pod="web-1",container=""`, `namespace="bank",pod="vault-1",container="app"`,
		`namespace="shop",pod="web-1",container="app",metrics_path="/metrics/resource"`,
	}
	out.WriteString("# TYPE container_cpu_usage_seconds counter\n")
	for _, labels := range series {
		for at := begin; at.Before(end); at = at.Add(15 * time.Second) {
			fmt.Fprintf(&out, "container_cpu_usage_seconds_total{%s} %g %d\n", labels, at.Sub(begin).Seconds()/4, at.Unix())
		}
	}
	out.WriteString("# TYPE container_memory_working_set_bytes gauge\n")
	for _, labels := range series {
		for at := begin; at.Before(end); at = at.Add(15 * time.Second) {
			bytes := 30 << 20
			if at.Sub(begin).Truncate(15*time.Second)%(5*time.Minute) == 0 {
				bytes = 50 << 20 // A peak between two steps.
			}
			fmt.Fprintf(&out, "container_memory_working_set_bytes{%s} %d %d\n", labels, bytes, at.Unix())
		}
	}
	out.WriteString("# EOF\n")
	return out.String()
}

// startPrometheus runs a real one over a past that is made up, and returns its URL.
func startPrometheus(t *testing.T, past string) string {
	t.Helper()
	server, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus in PATH")
	}
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool in PATH")
	}
	dir := t.TempDir()
	in, config, data := filepath.Join(dir, "past"), filepath.Join(dir, "config.yaml"), filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(in, []byte(past), 0o600))
	require.NoError(t, os.WriteFile(config, nil, 0o600))
	said, err := exec.CommandContext(t.Context(), tool, "tsdb", "create-blocks-from", "openmetrics", in, data).CombinedOutput()
	require.NoError(t, err, string(said))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := listener.Addr().String()
	require.NoError(t, listener.Close())
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, server, "--config.file="+config, "--storage.tsdb.path="+data, "--web.listen-address="+at)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/-/ready", http.NoBody)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	return "http://" + at
}

func TestARealPrometheusTellsThePast(t *testing.T) {
	end := time.Now().Truncate(5 * time.Minute)
	begin := end.Add(-3 * time.Hour)
	p, err := NewPrometheus(PrometheusOptions{URL: startPrometheus(t, exposition(begin, end)), PerSecond: 100})
	require.NoError(t, err)
	defer p.Close()
	q := PastQuery{Namespace: "shop", Start: begin.Add(10 * time.Minute), End: end.Add(-5 * time.Minute), Step: 5 * time.Minute}
	for memory, want := range map[bool]float64{false: 250, true: 50 << 20} {
		q.Memory = memory
		got, err := past(t, p, q)
		require.NoError(t, err)
		require.Len(t, got, 1, "one container of one namespace")
		assert.Equal(t, "web-1/app", got[0].Pod+"/"+got[0].Container)
		require.Len(t, got[0].Times, 34)
		assert.Equal(t, q.Start.Unix(), got[0].Times[0])
		for _, v := range got[0].Values {
			assert.InEpsilon(t, want, v, 0.01)
		}
	}
	q.Namespace = `no"such\place`
	got, err := past(t, p, q)
	require.NoError(t, err)
	assert.Empty(t, got)
}
