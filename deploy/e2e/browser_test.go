package e2e_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is a run of a browser script: web/e2e/NAME.mjs, which drives Debian's
// Chromium and exits 0 when it saw what it should.
type page struct {
	cmd *exec.Cmd
	out *lockedBuffer
}

// browse opens the dashboard in headless Chromium and returns when the page is
// there.
func browse(t *testing.T, url, script string, args ...string) *page {
	t.Helper()
	p := &page{exec.CommandContext(t.Context(), "node", append([]string{"e2e/" + script + ".mjs", url}, args...)...), &lockedBuffer{}}
	p.cmd.Dir = "../../web"
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(t, p.cmd.Start())
	f := follower{t, p.out, p.cmd}
	f.until("ready")
	return p
}

func (p *page) wait(t *testing.T) {
	t.Helper()
	require.NoErrorf(t, p.cmd.Wait(), "%s", p.out)
}
