package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The suite's own runner, from its module, against the server of this one.
func TestServerStreamsConform(t *testing.T) {
	server := filepath.Join(t.TempDir(), "server")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", server, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.CommandContext(t.Context(), "go", "tool", "connectconformance",
		"--mode", "server", "--conf", "config.yaml", "--vv", "--", server).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.NoError(t, err, string(out))
	require.Equal(t, "1229 passed, 0 failed", lines[len(lines)-1], "as many as config.yaml asks for")
}
