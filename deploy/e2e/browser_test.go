package e2e_test

import (
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is a run of a browser script: web/e2e/NAME.mjs, which drives Debian's
// Chromium and exits 0 when it saw what it should.
type page struct {
	in    io.Writer
	out   *lockedBuffer
	ended chan struct{}
	err   error // once it has ended
}

// browse opens the dashboard in headless Chromium and returns when the page is
// there.
func browse(t *testing.T, url, script string, args ...string) *page {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"e2e/" + script + ".mjs", url}, args...)...)
	p := &page{out: &lockedBuffer{}, ended: make(chan struct{})}
	cmd.Dir = "../../web"
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	p.in = in
	cmd.Stdout, cmd.Stderr = p.out, p.out
	require.NoError(t, cmd.Start())
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { <-p.ended }) // the test's context ends it
	p.until(t, "ready")
	return p
}

// until waits for a line of the script, or for its end without it.
func (p *page) until(t *testing.T, line string) {
	t.Helper()
	said := func() bool { return strings.Contains("\n"+p.out.String(), "\n"+line+"\n") }
	require.Eventuallyf(t, func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return said()
		}
	}, 2*patience, poll, "the script never said %q; it said:\n%s", line, p.out)
	if !said() {
		<-p.ended
		require.Failf(t, "the script ended", "without %q: %v\n%s", line, p.err, p.out)
	}
}

// say tells a script that waits for a word (told, in browser.mjs) to go on.
func (p *page) say(t *testing.T, word string) {
	t.Helper()
	_, err := io.WriteString(p.in, word+"\n")
	require.NoErrorf(t, err, "%s", p.out)
}

func (p *page) wait(t *testing.T) {
	t.Helper()
	<-p.ended
	require.NoErrorf(t, p.err, "%s", p.out)
}
