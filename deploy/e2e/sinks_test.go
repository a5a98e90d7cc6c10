package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// received are the events of one sink, as the CloudEvents SDK reads them, and how
// often each came.
type received struct {
	mu     sync.Mutex
	events []cloudevents.Event
	errs   []error
	asked  int
}

// receive is an endpoint that reads with the SDKs of the standards. It refuses the
// first two attempts.
func receive(t *testing.T, secret string) (*received, string) {
	t.Helper()
	got := &received{}
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.mu.Lock()
		defer got.mu.Unlock()
		got.asked++
		if got.asked <= 2 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		event, err := authentic(r, verifier)
		if err != nil {
			got.errs = append(got.errs, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if event.Type() != "dev.rightsizer.incident" { // incidents of these events pass the filter, too
			got.events = append(got.events, *event)
		}
	}))
	t.Cleanup(server.Close)
	return got, server.URL
}

// Both forms of an event are what the CloudEvents SDK and the Standard Webhooks
// library understand; retries lose nothing; what the guard refuses is never called
// and shows in health.
func TestSinksSpeakTheStandards(t *testing.T) {
	const namespace, secret = "sinks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	structured, structuredURL := receive(t, secret)
	binaryForm, binaryURL := receive(t, secret)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o600))
	const sink = "- {name: %s, url: %q, mode: %s, insecure-plaintext: true, secret-file: %q, filter: {eventTypes: [pod.oom_killed], namespaces: [%s]}}\n"
	text := "outbound-networks: 127.0.0.0/8\nsinks:\n" +
		fmt.Sprintf(sink, "structured", structuredURL, "structured", filepath.Join(dir, "secret"), namespace) +
		fmt.Sprintf(sink, "binary", binaryURL, "binary", filepath.Join(dir, "secret"), namespace) +
		fmt.Sprintf(sink, "metadata", "http://169.254.169.254/latest/meta-data/", "binary", filepath.Join(dir, "secret"), namespace)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600))
	o := serve(t, cluster.KubeconfigPath(), "--config="+filepath.Join(dir, "config.yaml")).ready()
	require.NoError(t, cluster.Apply(t.Context(), "job-oom", namespace)) // three kills

	for name, got := range map[string]*received{"structured": structured, "binary": binaryForm} {
		require.Eventually(t, func() bool {
			got.mu.Lock()
			defer got.mu.Unlock()
			return len(got.events) >= 3
		}, patience, poll, name)
		got.mu.Lock()
		assert.Empty(t, got.errs, name)
		for _, event := range got.events {
			assert.Equal(t, "dev.rightsizer.pod.oom_killed", event.Type())
			assert.True(t, strings.HasPrefix(event.Subject(), namespace+"/Pod/"), event.Subject())
			var back rightsizerv1.Event
			data := bytes.NewBuffer(event.Data())
			require.NoError(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(bytes.ReplaceAll(data.Bytes(), []byte(`"severity":"`), []byte(`"severityText":"`)), &back))
			assert.Equal(t, event.ID(), back.GetId())
			assert.NotNil(t, back.GetOomKilled())
			assert.Equal(t, event.Source(), "/clusters/"+back.GetCluster())
		}
		got.mu.Unlock()
	}
	require.Eventually(t, func() bool {
		h, err := o.clusterClient().GetHealth(t.Context(), &rightsizerv1.GetHealthRequest{})
		if err != nil {
			return false
		}
		for _, c := range h.GetComponents() {
			if c.GetComponent() == "sink/metadata" {
				return c.GetState() == rightsizerv1.HealthState_HEALTH_STATE_DEGRADED && strings.Contains(c.GetReason(), "may not be called") &&
					strings.Contains(c.GetReason(), "0 sent, ")
			}
		}
		return false
	}, patience, poll)
}
