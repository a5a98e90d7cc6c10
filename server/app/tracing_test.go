package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

const quiet = "grpc-bind-address: 127.0.0.1:0\nevents-bind-address: \"off\"\nmetrics-bind-address: \"off\"\n"

// Unless a collector is named there is nobody who would trace: no part of it runs, and
// no metric tells of it.
func TestTracesAreOffByDefault(t *testing.T) {
	a, err := newWithSinks(t, quiet)
	require.NoError(t, err)
	assert.Nil(t, a.traces)
	assert.Nil(t, a.tracing())
	assert.Empty(t, a.tracesSteps())
	families, err := a.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		assert.NotContains(t, f.GetName(), "trace")
	}
}

// A call is told to the collector that the configuration names, as the operator stops
// at the latest.
func TestTracesOfTheConfiguration(t *testing.T) {
	got := make(chan *tracepb.TracesData, 8)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		var sent tracepb.TracesData
		assert.NoError(t, proto.Unmarshal(body, &sent))
		got <- &sent
	}))
	defer server.Close()
	a, err := newWithSinks(t, quiet+fmt.Sprintf("otlp-endpoint: %q\n", server.URL))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	<-a.Listening()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	_, err = rightsizerv1connect.NewClusterServiceClient(client, "http://"+a.Addr(KeyAPI).String()).GetHealth(ctx, &rightsizerv1.GetHealthRequest{})
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)
	select {
	case sent := <-got:
		assert.Equal(t, "rightsizer.v1.ClusterService/GetHealth", sent.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName())
	case <-time.After(time.Second): // it has stopped: nothing comes any more
		require.Fail(t, "no trace was sent")
	}
}

func TestAuthoritiesOfTheCollectorThatAreNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, []byte("none"), 0o600))
	_, err := newWithSinks(t, quiet+fmt.Sprintf("otlp-endpoint: https://collector\notlp-ca-file: %q\n", file))
	require.ErrorContains(t, err, "otlp-ca-file (")
	require.ErrorContains(t, err, "no certificate in PEM")
}
