package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

func status(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(append([]string{"status"}, args...))
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestStatusOfOneClusterOrOfAll(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	text, err := status(t)
	require.NoError(t, err)
	assert.Equal(t, "no cluster is up\n", text)
	for _, name := range []string{"one", "two"} {
		dir := filepath.Join(cache, "rightsizer", "devcluster", "clusters", name)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		raw, err := json.Marshal(devcluster.State{Name: name, Holder: devcluster.ProcessID{PID: 1}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "state.json"), raw, 0o600))
	}

	text, err = status(t)
	require.NoError(t, err)
	assert.Contains(t, text, "cluster one: ")
	assert.Contains(t, text, "cluster two: ")
	text, err = status(t, "--name", "two")
	require.NoError(t, err)
	assert.NotContains(t, text, "cluster one: ")
	assert.Contains(t, text, "cluster two: ")
	text, err = status(t, "--name=three")
	require.NoError(t, err)
	assert.Equal(t, "no cluster \"three\" is up\n", text)
	_, err = status(t, "--name=../two")
	require.ErrorContains(t, err, "cluster name")
}
