package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/config"
)

var update = flag.Bool("update", false, "write the table of metrics into deploy/dashboards/README.md")

// recorder is a registry that remembers what was registered.
type recorder struct {
	*prometheus.Registry

	mu         sync.Mutex
	collectors []prometheus.Collector
}

func (r *recorder) Register(c prometheus.Collector) error {
	r.mu.Lock()
	r.collectors = append(r.collectors, c)
	r.mu.Unlock()
	return r.Registry.Register(c)
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// metric is a row of the table.
type metric struct {
	name, kind, unit, labels, help string
}

func (m metric) row() string {
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", m.name, m.kind, m.unit, m.labels, m.help)
}

var descPattern = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)"(?:, unit: "[^"]*")?, constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// describe is every metric that was registered, by name, without Go's own.
func (r *recorder) describe(t *testing.T) map[string]metric {
	t.Helper()
	kinds := map[string]string{}
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(dto.MetricType_name[int32(f.GetType())])
	}
	found := map[string]metric{}
	for _, c := range r.collectors {
		descs := make(chan *prometheus.Desc, 1024)
		c.Describe(descs)
		close(descs)
		for d := range descs {
			parts := descPattern.FindStringSubmatch(d.String())
			require.NotNil(t, parts, d.String())
			name := parts[1]
			if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") {
				continue
			}
			kind := kindOf(c, name)
			if seen, ok := kinds[name]; ok {
				kind = seen
			}
			var labels []string
			for pair := range strings.SplitSeq(parts[3], ",") {
				if key, _, ok := strings.Cut(pair, "="); ok {
					labels = append(labels, "`"+key+"`")
				}
			}
			for key := range strings.SplitSeq(parts[4], ",") {
				if key != "" {
					labels = append(labels, "`"+key+"`")
				}
			}
			slices.Sort(labels)
			m := metric{name, kind, unitOf(name), strings.Join(labels, ", "), strings.ReplaceAll(parts[2], `\"`, `"`)}
			if was, ok := found[name]; ok {
				assert.Equal(t, was, m, "one name, one meaning")
			}
			found[name] = m
		}
	}
	return found
}

// kindOf is the kind of what has no value yet.
func kindOf(c prometheus.Collector, name string) string {
	switch c.(type) {
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	}
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}

func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return "Unix time"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	default:
		return "–"
	}
}

// certificate writes one with its key and returns their paths.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rightsizer"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}

// everything is a configuration in which every part is on, on a cluster that nobody
// reaches.
func everything(t *testing.T) config.Input {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	cert, key := certificate(t)
	return config.Input{Flags: map[string]string{
		"config":             file("config", "outbound-networks: 10.0.0.0/8\nsinks:\n- {name: pager, url: https://10.0.0.1/in}\n"),
		"kubeconfig":         file("kubeconfig", "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\ncontexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"),
		"static-token-file":  file("tokens", "# none\n"),
		"oidc-issuer-url":    "http://127.0.0.1:1",
		"oidc-client-id":     "rightsizer",
		"client-ca-file":     cert,
		"tls-cert-file":      cert,
		"tls-key-file":       key,
		"audit-dir":          filepath.Join(dir, "audit"),
		"usage-sources":      "metrics-api,kubelet,kubelet-throttling,kubelet-pressure",
		"usage-checkpoints":  "on",
		"prometheus-url":     "http://127.0.0.1:1",
		"otlp-endpoint":      "http://127.0.0.1:1",
		"leader-elect":       "on",
		"grpc-bind-address":  "127.0.0.1:0",
		"pprof-bind-address": "127.0.0.1:0", "events-bind-address": "127.0.0.1:0", "metrics-bind-address": "127.0.0.1:0",
	}}
}

// The table of the documentation has every metric that an operator with everything
// on registers, and no other.
func TestEachMetricIsDocumented(t *testing.T) {
	in := everything(t)
	loaded, err := config.Load(in)
	require.NoError(t, err)
	registry := &recorder{Registry: prometheus.NewRegistry()}
	a, err := New(loaded.Config, Options{Logger: slog.New(slog.DiscardHandler), Version: "test", Source: loaded.Source, File: loaded.File, Input: in, registry: registry})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	select {
	case <-a.Listening():
	case err := <-done:
		require.NoError(t, err)
	}
	found := registry.describe(t)
	cancel()
	require.NoError(t, <-done)

	var table strings.Builder
	table.WriteString("| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(found)) {
		m := found[name]
		assert.True(t, strings.HasPrefix(name, "rightsizer_"), name)
		assert.NotEmpty(t, m.help, name)
		for _, label := range []string{"pod", "namespace", "workload", "container", "node", "user", "name"} {
			assert.NotContains(t, m.labels, "`"+label+"`", "%s would grow with the cluster", name)
		}
		table.WriteString(m.row() + "\n")
	}
	const readme, begin, end = "../../deploy/dashboards/README.md", "<!-- begin: generated by go test ./server/app -run Documented -update -->\n", "<!-- end -->"
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	was, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(before+begin+table.String()+end+after), 0o644))
		return
	}
	assert.Equal(t, table.String(), was, "run: go test ./server/app -run Documented -update")
}
