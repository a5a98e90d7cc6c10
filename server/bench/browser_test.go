package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a page in Chromium reads with the generated Connect-Web client, in both its
// formats, and with the browser's own WebSocket, which asks for compression.
var inTheBrowser = []string{"connect-web", "connect-web-json", "websocket"}

func TestABrowserReadsEveryEvent(t *testing.T) {
	r, addr := startReflecting(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "e2e/streams.mjs", "http://"+addr)
	cmd.Dir = filepath.Join("..", "..", "web")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it has a browser to close
	cmd.WaitDelay = patience
	faults := &strings.Builder{}
	cmd.Stderr = faults
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	followers := make(map[string]*follower)
	for _, name := range inTheBrowser {
		followers[name] = &follower{}
	}
	ended := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		name, err := progressOf(out, followers)
		followers[name].err = fmt.Errorf("%w %s", err, faults)
		ended <- name
	}()
	feed(t, r, followers, ended)
	require.NoError(t, stdin.Close()) // enough
	<-read
	require.NoError(t, cmd.Wait(), faults)
}

// progressOf takes lines of a client and how many events it has until the page's end,
// and returns who ended it. The page itself looks at the numbers in the events.
func progressOf(out io.Reader, followers map[string]*follower) (string, error) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var name string
		var read int64
		if _, err := fmt.Sscan(lines.Text(), &name, &read); err != nil || followers[name] == nil {
			return inTheBrowser[0], errors.New(lines.Text())
		}
		followers[name].read.Store(read)
	}
	return inTheBrowser[0], io.EOF
}
