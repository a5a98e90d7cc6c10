package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documented are the metrics of deploy/dashboards with their labels.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../dashboards/README.md")
	require.NoError(t, err)
	found := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(rightsizer_[a-z_]+)` \\| [a-z]+ \\| [^|]* \\| ([^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		found[row[1]] = regexp.MustCompile("[a-z_]+").FindAllString(row[2], -1)
	}
	require.NotEmpty(t, found)
	return found
}

// maxSeries bounds the series of one metric, whatever runs in the cluster: the
// types of events by their phases are the most.
const maxSeries = 400

// scrape holds what the operator tells against the table: names, labels, and that
// none of them grows with the cluster.
func (o *operator) scrape() {
	o.t.Helper()
	text := o.fetch(o.metrics + "/metrics")
	known := documented(o.t)
	series := map[string]int{}
	for line := range strings.Lines(text) {
		parts := regexp.MustCompile(`^(rightsizer_[a-z_]+?)(_bucket|_sum|_count)?(?:\{([^}]*)\})? `).FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		name := parts[1]
		if _, ok := known[name]; !ok {
			name += parts[2]
		}
		labels, ok := known[name]
		if !assert.Truef(o.t, ok, "%s is in no table", name) {
			continue
		}
		series[name]++
		for _, pair := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(parts[3], -1) {
			assert.Contains(o.t, append(labels, "le"), pair[1], name)
		}
	}
	assert.Greater(o.t, len(series), 40)
	for name, n := range series {
		assert.Less(o.t, n, maxSeries, name)
	}
}

func (o *operator) fetch(at string) string {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, at, http.NoBody)
	require.NoError(o.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(o.t, err)
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(resp.Body)
	require.NoError(o.t, err)
	return string(body)
}

// What the operator tells is in the table; and where there is a Prometheus in PATH,
// it scrapes the operator, takes the shipped rules, and an alert of theirs fires for
// a configuration that is refused.
func TestMetricsAndAlerts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rightsizer.yaml")
	require.NoError(t, os.WriteFile(file, []byte("log-level: info\n"), 0o600))
	o := serve(t, cluster.KubeconfigPath(), "--config="+file).ready()
	_, err := o.cli("events")
	require.NoError(t, err)
	o.scrape()

	require.NoError(t, os.WriteFile(file, []byte("log-level: debug\nring-entries: 64\n"), 0o600))
	require.Eventually(t, func() bool {
		out, err := o.cli("events", "--type=system.config_changed")
		return err == nil && strings.Contains(out, "log-level: info → debug. Waiting for a restart: ring-entries: 4096 → 64")
	}, patience, poll)
	require.Eventually(t, func() bool { return strings.Contains(o.log.String(), `"level":"DEBUG"`) }, patience, poll)
	require.NoError(t, os.WriteFile(file, []byte("log-level: loud\n"), 0o600))
	require.Eventually(t, func() bool {
		return strings.Contains(o.fetch(o.metrics+"/metrics"), "rightsizer_config_refused 1\n")
	}, patience, poll)

	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus in PATH: that it takes the rules is left out")
	}
	query := scraping(t, program, o)
	require.Eventually(t, func() bool {
		return strings.Contains(query(`ALERTS{alertname="RightSizerFileRefused",alertstate="firing"}`), `"instance"`)
	}, patience, poll)
	assert.NotContains(t, query(`ALERTS{alertname!~"RightSizerFileRefused|RightSizerComponentNotWell|RightSizerRestartPending",alertstate="firing"}`), `"instance"`)
	assert.Contains(t, query(`count by (__name__) ({__name__=~"rightsizer_.+"}) > 0`), "rightsizer_ready")
}

// scraping starts a Prometheus that scrapes the operator with the shipped rules, their
// waits taken away, and returns a way to ask it.
func scraping(t *testing.T, program string, o *operator) (query func(expr string) string) {
	t.Helper()
	dir := t.TempDir()
	rules, err := os.ReadFile("../dashboards/alerts.yaml")
	require.NoError(t, err)
	now := regexp.MustCompile(`for: \S+`).ReplaceAllString(string(rules), "for: 0s")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), []byte(now), 0o600))
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yaml]\nscrape_configs:\n- job_name: rightsizer\n  static_configs: [{targets: ['%s']}]\n", strings.TrimPrefix(o.metrics, "http://"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600))
	address := freeAddress(t)
	cmd := exec.CommandContext(context.Background(), program, "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	said := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus:\n%s", said)
		}
	})
	require.Eventually(t, func() bool { return o.status("http://"+address+"/-/ready") == http.StatusOK }, patience, poll, said)
	return func(expr string) string {
		answer := o.fetch("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expr))
		var parsed struct{ Status, Error string }
		require.NoError(t, json.Unmarshal([]byte(answer), &parsed))
		require.Equal(t, "success", parsed.Status, parsed.Error)
		return answer
	}
}
