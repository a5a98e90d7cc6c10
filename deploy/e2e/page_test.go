package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
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
	p.until(t, "cut")
	w.set(true)
	p.until(t, "mend")
	require.NoError(t, cluster.Apply(t.Context(), "job-oom", namespace))
	w.set(false)
	p.wait(t)
}

// Every view of the page on a cluster in trouble: nothing for axe to find, no
// failure, nothing that scrolls sideways.
func TestEveryViewOfThePage(t *testing.T) {
	const namespace = "views"
	governed(t, namespace, "approve", nil) // so that there is a decision to look at
	o := serve(t, cluster.KubeconfigPath(), "--usage-interval=5s").ready()
	require.NoError(t, cluster.Apply(t.Context(), "oom", namespace))
	o.waitState(namespace, "checkout", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
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

// The same by somebody without a mouse: the OOM kill that arrives, the resize that
// its policy asks about, which is approved, and its record. Where the namespace is
// production and the container restarts for it, the risk is high: the workload's
// name is typed.
func TestThePageByKeyboard(t *testing.T) {
	const namespace, name = "by-keyboard", "ledger"
	governed(t, namespace, "approve", nil)
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	production := []byte(`{"metadata":{"labels":{"environment":"production"}}}`)
	_, err = client.CoreV1().Namespaces().Patch(t.Context(), namespace, types.MergePatchType, production, metav1.PatchOptions{})
	require.NoError(t, err)
	pods := restartedByResizes(t, namespace, name)

	o := serve(t, cluster.KubeconfigPath()).ready()
	defer func() {
		if t.Failed() {
			out, err := o.cli("remediations", "list", "-n", namespace, "-o", "json")
			t.Logf("the remediations: %v\n%s", err, out)
		}
	}()
	w := newWire(t, o.url)
	p := browse(t, w.url, "keyboard", namespace, name)
	// One pod is killed until it has more; the other one stays ready, so that the
	// resize never takes the last.
	needs := []byte(`{"metadata":{"annotations":{"sim.rightsizer.dev/needs-mi":"100"}}}`)
	_, err = client.CoreV1().Pods(namespace).Patch(t.Context(), pods[0].Name, types.MergePatchType, needs, metav1.PatchOptions{})
	require.NoError(t, err)
	p.until(t, "cut")
	w.set(true)
	p.until(t, "mend")
	w.set(false)
	p.wait(t)
	now, err := client.CoreV1().Pods(namespace).Get(t.Context(), pods[0].Name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, memoryLimit(now), int64(100))
}

// restartedByResizes is a Deployment of two pods, both ready for long, of which a
// container restarts where its memory is changed.
func restartedByResizes(t *testing.T, namespace, name string) []corev1.Pod {
	t.Helper()
	applyTo(t, namespace, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata:
      labels: {app: %[1]s}
      annotations: {sim.rightsizer.dev/back-off-seconds: "2", sim.rightsizer.dev/back-off-max-seconds: "2"}
    spec:
      containers:
      - name: app
        image: registry.example.com/%[1]s:1
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
        resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]
`, name))
	var pods []corev1.Pod
	require.Eventually(t, func() bool {
		pods = podsOf(t, namespace, "app="+name)
		return len(pods) == 2 && !slices.ContainsFunc(pods, func(p corev1.Pod) bool {
			return !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			})
		})
	}, patience, poll, "both pods are ready")
	require.Eventually(t, func() bool { return rolledOutLongAgo(t, namespace, name) }, patience, poll, "its rollout is complete")
	return pods
}
