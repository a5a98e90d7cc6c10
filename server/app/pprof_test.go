package app

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The profiler is served where it was asked for, and nowhere else.
func TestPprof(t *testing.T) {
	cfg := loopback()
	require.Equal(t, "off", cfg.PprofAddress)
	cfg.PprofAddress = "127.0.0.1:0"
	o := start(t, cfg)
	status, text := get(t, o.url("http", KeyPprof)+"/debug/pprof/heap?debug=1")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, text, "heap profile")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.url("http", KeyPprof)+"/debug/pprof/heap?debug=1", http.NoBody)
	require.NoError(t, err)
	req.Host = "rebound.example"
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusForbidden, res.StatusCode, "a page whose name was made to point here")
	for _, key := range []string{KeyAPI, KeyEvents, KeyOps} {
		_, text := get(t, o.url("http", key)+"/debug/pprof/heap?debug=1")
		assert.NotContains(t, text, "heap profile", key)
	}
}
