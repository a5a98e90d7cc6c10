package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

const oomKilled = "pod.oom_killed"

// An OOM in the cluster reaches every kind of client.
func TestAnOOMReachesEveryClient(t *testing.T) {
	const namespace = "oom-everywhere"
	o := serve(t, cluster.KubeconfigPath()).ready()
	filter := &rightsizerv1.EventFilter{EventTypes: []string{oomKilled}, Namespaces: []string{namespace}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	clients := streamtest.Clients(o.url, nil)
	streams := make([]streamtest.Stream, len(clients))
	for i, c := range clients {
		s, err := c.Open(ctx, filter, "")
		require.NoError(t, err, c.Name())
		defer s.Close() //nolint:errcheck // the test is over
		streams[i] = s
	}
	browser := browse(t, o.url, "oom", namespace)
	cli := follow(t, o, "events", "-f", "--server="+o.url, "--type="+oomKilled, "--namespace="+namespace, "-o=json")
	grpc := follow(t, nil, "-plaintext", "-d", fmt.Sprintf(`{"filter":{"event_types":[%q],"namespaces":[%q]}}`, oomKilled, namespace),
		strings.TrimPrefix(o.url, "http://"), "rightsizer.v1.EventService/StreamEvents")
	bridge := o.subscribe(ctx, fmt.Sprintf(`{"eventTypes":[%q,"resource.exhaustion"],"namespaces":[%q],"severities":["error","critical"]}`, oomKilled, namespace))

	require.NoError(t, cluster.Apply(ctx, "oom", namespace))
	var first *rightsizerv1.Event
	for i, s := range streams {
		ev := firstEvent(t, s)
		if first == nil {
			first = ev
		}
		assert.Equal(t, first.GetId(), ev.GetId(), clients[i].Name())
	}
	isThePod(t, first, namespace)
	assert.Contains(t, cli.until(`"oomKilled"`), first.GetId())
	assert.Contains(t, grpc.until(`"oomKilled"`), first.GetId(), "grpcurl")
	assert.Contains(t, bridge(first.GetId()), `"severity":"`)
	assert.Contains(t, o.curl("rightsizer.v1.EventService/ListEvents", fmt.Sprintf(`{"filter":{"namespaces":[%q]}}`, namespace)), first.GetId(), "curl")
	browser.wait(t)
}

// isThePod holds an event against what the cluster itself says.
func isThePod(t *testing.T, ev *rightsizerv1.Event, namespace string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	pod, err := client.CoreV1().Pods(namespace).Get(t.Context(), ev.GetObject().GetName(), metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, string(pod.UID), ev.GetObject().GetUid())
	assert.Equal(t, "Deployment", ev.GetWorkload().GetKind())
	assert.Equal(t, "checkout", ev.GetWorkload().GetName())
	assert.Equal(t, "app", ev.GetContainer())
	assert.Equal(t, pod.Spec.NodeName, ev.GetNode())
	assert.Equal(t, "OOMKilled", ev.GetReason())
	assert.EqualValues(t, 128<<20, ev.GetOomKilled().GetMemoryLimitBytes())
	assert.EqualValues(t, 137, ev.GetOomKilled().GetExitCode())
	kube, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, string(kube.UID), ev.GetCluster())
}

func firstEvent(t *testing.T, s streamtest.Stream) *rightsizerv1.Event {
	t.Helper()
	for {
		msg, err := s.Next()
		require.NoError(t, err)
		if ev := msg.GetEvent(); ev != nil {
			return ev
		}
	}
}

// follower is a command whose output is read as it comes.
type follower struct {
	t   *testing.T
	out *lockedBuffer
	cmd *exec.Cmd
}

// follow runs the operator's own binary, or grpcurl when o is nil.
func follow(t *testing.T, o *operator, args ...string) *follower {
	t.Helper()
	path := os.Getenv("GRPCURL")
	if path == "" {
		path = "grpcurl"
	}
	if o != nil {
		path = o.cmd.Path
	}
	return begin(t, exec.CommandContext(t.Context(), path, args...))
}

// begin starts a command; it is ended with the test.
func begin(t *testing.T, cmd *exec.Cmd) *follower {
	t.Helper()
	f := &follower{t, &lockedBuffer{}, cmd}
	f.cmd.Stdout, f.cmd.Stderr = f.out, f.out
	require.NoError(t, f.cmd.Start(), "make e2e installs grpcurl and says where it is in GRPCURL")
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait()
	})
	return f
}

// until waits for a text in the output and returns all of it.
func (f *follower) until(text string) string {
	f.t.Helper()
	require.Eventuallyf(f.t, func() bool { return strings.Contains(f.out.String(), text) }, patience, poll, "%s never said %q; it said:\n%s", f.cmd, text, f.out)
	return f.out.String()
}

// curl posts JSON with the real curl.
func (o *operator) curl(procedure, body string) string {
	o.t.Helper()
	out, err := exec.CommandContext(o.t.Context(), "curl", "-sS", "--fail-with-body", "-H", "Content-Type: application/json", "-d", body, o.url+"/"+procedure).CombinedOutput()
	require.NoErrorf(o.t, err, "%s", out)
	var compact bytes.Buffer
	require.NoError(o.t, json.Compact(&compact, out))
	return compact.String()
}

// subscribe opens a WebSocket on the port for events alone, with a filter as a
// person would type it; the function returned waits for a message that holds a
// text.
func (o *operator) subscribe(ctx context.Context, filter string) func(text string) string {
	o.t.Helper()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(o.events, "http")+"/events", nil)
	require.NoError(o.t, err)
	o.t.Cleanup(func() { _ = conn.CloseNow() })
	require.NoError(o.t, conn.Write(ctx, websocket.MessageText, []byte(filter)))
	return func(text string) string {
		for {
			_, data, err := conn.Read(ctx)
			require.NoError(o.t, err)
			if strings.Contains(string(data), text) {
				return string(data)
			}
		}
	}
}
