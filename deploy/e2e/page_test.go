package e2e_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// wire is the network between a browser and the operator: it can be cut.
type wire struct {
	t    *testing.T
	to   string
	url  string
	mu   sync.Mutex
	cut  bool
	held []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{t: t, to: strings.TrimPrefix(to, "http://"), url: "http://" + l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var each sync.WaitGroup
		defer each.Wait()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			each.Go(func() { w.carry(conn) })
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		w.set(true)
		<-done
	})
	return w
}

func (w *wire) carry(from net.Conn) {
	defer from.Close() //nolint:errcheck // cut or ended
	var dialer net.Dialer
	to, err := dialer.DialContext(context.Background(), "tcp", w.to)
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // cut or ended
	if !w.hold(from, to) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			_ = way[1].Close()
		})
	}
	both.Wait()
}

func (w *wire) hold(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cut {
		w.held = append(w.held, conns...)
	}
	return !w.cut
}

// set cuts the wire, with all that is on it, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for _, c := range w.held {
			_ = c.Close()
		}
		w.held = nil
	}
}

// The dashboard from an OOM to its workload, and over a network that is lost.
func TestAnOOMOnThePage(t *testing.T) {
	const namespace = "oom-on-the-page"
	o := serve(t, cluster.KubeconfigPath(), "--usage-interval=5s").ready()
	w := newWire(t, o.url)
	p := browse(t, w.url, "flow", namespace, "report")
	require.NoError(t, cluster.Apply(t.Context(), "oom", namespace))
	says := follower{t, p.out, p.cmd}
	says.until("cut\n")
	w.set(true)
	says.until("mend\n")
	require.NoError(t, cluster.Apply(t.Context(), "job-oom", namespace))
	w.set(false)
	p.wait(t)
}

// Every view of the page on a cluster in trouble: nothing for axe to find, no
// failure, nothing that scrolls sideways.
func TestEveryViewOfThePage(t *testing.T) {
	const namespace = "views"
	o := serve(t, cluster.KubeconfigPath(), "--usage-interval=5s").ready()
	require.NoError(t, cluster.Apply(t.Context(), "oom", namespace))
	t.Setenv("QUICK", "1")
	p := browse(t, o.url, "views", namespace+"/Deployment/checkout")
	p.wait(t)
}

// Whoever may read one namespace has a page that works.
func TestANamespacedViewerOnThePage(t *testing.T) {
	c := newCallers(t)
	o := guarded(t)
	require.NoError(t, cluster.Apply(t.Context(), "oom", ours))
	t.Setenv("TOKEN", c.viewer(t, "page-viewer"))
	p := browse(t, o.url, "login", ours)
	p.wait(t)
}
