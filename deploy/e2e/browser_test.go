package e2e_test

import (
	"io"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is a run of a browser script: web/e2e/NAME.mjs, which drives Debian's
// Chromium and exits 0 when it saw what it should.
type page struct {
	cmd *exec.Cmd
	in  io.Writer
	out *lockedBuffer
}

// browse opens the dashboard in headless Chromium and returns when the page is
// there.
func browse(t *testing.T, url, script string, args ...string) *page {
	t.Helper()
	p := &page{cmd: exec.CommandContext(t.Context(), "node", append([]string{"e2e/" + script + ".mjs", url}, args...)...), out: &lockedBuffer{}}
	p.cmd.Dir = "../../web"
	in, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	p.in = in
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(t, p.cmd.Start())
	f := follower{t, p.out, p.cmd}
	f.until("ready")
	return p
}

// say tells a script that waits for a word (told, in browser.mjs) to go on.
func (p *page) say(t *testing.T, word string) {
	t.Helper()
	_, err := io.WriteString(p.in, word+"\n")
	require.NoErrorf(t, err, "%s", p.out)
}

func (p *page) wait(t *testing.T) {
	t.Helper()
	require.NoErrorf(t, p.cmd.Wait(), "%s", p.out)
}
