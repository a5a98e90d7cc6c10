package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// listenAt serves HTTP at an address, and counts the connections.
func listenAt(t *testing.T, address string, answer http.HandlerFunc) (at string, reached *atomic.Int32) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	reached = new(atomic.Int32)
	server := httptest.NewUnstartedServer(answer)
	_ = server.Listener.Close()
	server.Listener = l
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			reached.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return l.Addr().String(), reached
}

func accepts(http.ResponseWriter, *http.Request) {}

// tellOOMs are the flags of an operator that tells one sink of OOM kills, and may
// call some addresses.
func tellOOMs(t *testing.T, networks, sinkURL, namespace string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "outbound-networks: %s\nsinks:\n"+
		"- {name: turns, url: %q, insecure-plaintext: true, filter: {eventTypes: [pod.oom_killed], namespaces: [%s]}}\n", networks, sinkURL, namespace), 0o600))
	return "--config=" + file
}

// sinkSays waits until the health of the sink says so.
func (o *operator) sinkSays(t *testing.T, why string) {
	t.Helper()
	last := "nothing yet"
	require.Eventually(t, func() bool {
		h, err := o.clusterClient().GetHealth(t.Context(), &rightsizerv1.GetHealthRequest{})
		if err != nil {
			return false
		}
		for _, c := range h.GetComponents() {
			if c.GetComponent() == "sink/turns" {
				last = c.GetReason()
			}
		}
		return strings.Contains(last, why)
	}, patience, poll, "%s", last)
}

// An endpoint that sends the operator elsewhere is not followed, wherever it points.
func TestARedirectIsNotFollowed(t *testing.T) {
	const namespace = "redirected"
	victim, reached := listenAt(t, "127.0.0.1:0", accepts)
	turns, asked := listenAt(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+victim+"/", http.StatusTemporaryRedirect)
	})
	o := serve(t, cluster.KubeconfigPath(), tellOOMs(t, "127.0.0.0/8", "http://"+turns, namespace)).ready()
	require.NoError(t, cluster.Apply(t.Context(), "job-oom", namespace))
	o.sinkSays(t, "answered 307: redirects are not followed")
	assert.NotZero(t, asked.Load())
	assert.Zero(t, reached.Load())
}

// A name that resolves to an address that may be called, and then to another, is
// judged by the other.
func TestANameThatTurnsIsNotFollowed(t *testing.T) {
	const namespace = "rebound"
	turns, asked := listenAt(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	at, err := url.Parse("http://" + turns)
	require.NoError(t, err)
	_, reached := listenAt(t, "127.0.0.3:"+at.Port(), accepts)
	under := resolving(t, "turns.example.", [4]byte{127, 0, 0, 2}, [4]byte{127, 0, 0, 3})
	o := serveUnder(t, under, nil, cluster.KubeconfigPath(), tellOOMs(t, "127.0.0.2/32", "http://turns.example:"+at.Port(), namespace)).ready()
	require.NoError(t, cluster.Apply(t.Context(), "job-oom", namespace)) // three kills
	o.sinkSays(t, "127.0.0.3 may not be called")
	assert.NotZero(t, asked.Load(), "the first time it was the address that may be")
	assert.Zero(t, reached.Load())
}

// resolving is the command under which a process has names resolved by a server that
// says first of one name, and then of the same name for good. It makes a mount
// namespace, in which /etc/resolv.conf is another.
func resolving(t *testing.T, name string, first, then [4]byte) []string {
	t.Helper()
	const server = "127.0.0.53"
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", server+":53")
	if err != nil {
		t.Skipf("no names can be served here, which takes root: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	file := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(file, []byte("nameserver "+server+"\n"), 0o644))
	under := []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, file}
	if out, err := exec.CommandContext(t.Context(), under[0], slices.Concat(under[1:], []string{"true"})...).CombinedOutput(); err != nil {
		t.Skipf("no mount namespace can be made here: %v: %s", err, out)
	}
	var asked atomic.Int32
	go func() {
		in := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(in)
			if err != nil {
				return // closed
			}
			if answer := answerTo(in[:n], name, func() [4]byte {
				if asked.Add(1) == 1 {
					return first
				}
				return then
			}); answer != nil {
				_, _ = conn.WriteTo(answer, from) // asked again where it is lost
			}
		}
	}()
	return under
}

// answerTo answers what is asked for the IPv4 address of a name, and that there is
// nothing else.
func answerTo(question []byte, name string, address func() [4]byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA && q.Name.String() == name {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: address()},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}
