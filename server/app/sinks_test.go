package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/config"
)

// loadSinks reads a configuration from a file.
func loadSinks(t *testing.T, text string) config.Result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	r, err := config.Load(config.Input{Flags: map[string]string{"config": path}})
	require.NoError(t, err)
	return r
}

// newWithSinks makes the operator from a configuration, beside a cluster of the
// test's.
func newWithSinks(t *testing.T, text string) (*App, error) {
	t.Helper()
	r := loadSinks(t, text)
	return New(r.Config, Options{
		Logger: slog.New(slog.DiscardHandler), Source: r.Source,
		NewCluster: func(p Publisher, _ prometheus.Registerer) (Cluster, error) { return &fakeCluster{publisher: p}, nil },
	})
}

// What the configuration names is sent what it asks for, signed.
func TestSinksOfTheConfiguration(t *testing.T) {
	type delivery struct {
		header http.Header
		body   []byte
	}
	got := make(chan delivery, 8)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		got <- delivery{r.Header, body}
	}))
	defer server.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600))
	a, err := newWithSinks(t, fmt.Sprintf(`
grpc-bind-address: 127.0.0.1:0
events-bind-address: "off"
metrics-bind-address: "off"
outbound-networks: 127.0.0.0/8
sinks:
- {name: pager, url: %q, insecure-plaintext: true, secret-file: %q, filter: {eventTypes: ["pod.*"], minSeverity: error}}
`, server.URL, secret))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		assert.NoError(t, <-done)
	}()
	<-a.Listening()

	source := bustest.NewSource(bustest.Options{Types: []string{"pod.oom_killed"}})
	quiet, loud := source.Event(), source.Event()
	quiet.Severity, loud.Severity = rightsizerv1.Severity_SEVERITY_INFO, rightsizerv1.Severity_SEVERITY_CRITICAL
	a.bus.Publish(quiet)
	a.bus.Publish(loud)
	select {
	case d := <-got:
		var event struct {
			ID   string
			Type string
			Data map[string]any
		}
		require.NoError(t, json.Unmarshal(d.body, &event))
		assert.Equal(t, loud.GetId(), event.ID)
		assert.Equal(t, "dev.rightsizer.pod.oom_killed", event.Type)
		assert.Equal(t, "critical", event.Data["severity"])
		assert.Regexp(t, `^v1,`, d.header.Get("webhook-signature"))
		assert.Equal(t, loud.GetId(), d.header.Get("webhook-id"))
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing came", a.sinks[0].Health().String())
	}
	require.Eventually(t, func() bool { return a.sinks[0].Ledger().Sent == 1 }, 5*time.Second, time.Millisecond)
	found := false
	for _, c := range a.health.Components() {
		found = found || c.GetComponent() == "sink/pager" && c.GetState() == rightsizerv1.HealthState_HEALTH_STATE_OK
	}
	assert.True(t, found, "health lists the sink")
}

// A sink's mistake that only using it shows is named with its place.
func TestSinksThatCannotBeUsed(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for text, want := range map[string]string{
		`filter: {eventTyp: [x]}`:              `sinks[0].filter (`,
		`filter: {minSeverity: loud}`:          `minSeverity`,
		`filter: {after: abc}`:                 `not for a sink`,
		`filter: {eventTypes: ["Not A Type"]}`: `event_types[0]`,
		`secret-file: /no/such/file`:           `sinks[0].secret-file (`,
		fmt.Sprintf("secret-file: %q", empty):  `the file is empty`,
		fmt.Sprintf("ca-file: %q", empty):      `no certificate in PEM`,
	} {
		_, err := newWithSinks(t, "sinks:\n- name: a\n  url: https://example.com\n  "+text+"\n")
		var wrong config.SettingError
		require.ErrorAs(t, err, &wrong, text)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "config.yaml:4")
	}
}
