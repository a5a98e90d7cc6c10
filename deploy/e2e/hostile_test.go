package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// hostileText is what a pod says to move a cursor, forge a line of a log, mark up a
// page or turn what is read.
const hostileText = "boom\r\n{\"level\":\"INFO\",\"msg\":\"all is well\"}\x1b[2J\x1b]0;owned\x07\u009b31m<script>alert(1)</script>\u202egnp.exe\u2066\u200b\u2028end"

// secrets are values that a pod has and that nobody is told.
var secrets = []string{"s3cr3t-of-env", "s3cr3t-of-args", "s3cr3t-of-command", "s3cr3t-of-annotation"}

// What a pod says comes out of the operator at every border as text, and what it
// keeps does not come out at all.
func TestAHostilePod(t *testing.T) {
	const namespace = "hostile"
	kube, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	objects{t: t, client: kube}.makeNamespace(t.Context(), namespace)
	var mu sync.Mutex
	var bodies []string
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(body))
	}))
	t.Cleanup(endpoint.Close)
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, fmt.Appendf(nil, "outbound-networks: 127.0.0.0/8\nsinks:\n- {name: all, url: %q, mode: structured, insecure-plaintext: true, filter: {namespaces: [%s]}}\n", endpoint.URL, namespace))
	o := serve(t, cluster.KubeconfigPath(), "--config="+config, "--log-level=debug").ready()
	socket, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(o.url, "http")+"/events", nil)
	require.NoError(t, err)
	defer socket.CloseNow() //nolint:errcheck // whatever is left of it
	require.NoError(t, socket.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"namespaces":[%q]}`, namespace)))

	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "mallory", Annotations: map[string]string{"note": secrets[3] + hostileText}},
		Spec: corev1.PodSpec{
			SchedulerName: "nobody", // no node's agent overwrites its status
			Containers: []corev1.Container{{
				Name: "app", Image: "example.test/app:1", Env: []corev1.EnvVar{{Name: "TOKEN", Value: secrets[0]}, {Name: "GOMEMLIMIT", Value: secrets[0]}},
				Args: []string{"--password=" + secrets[1]}, Command: []string{"sh", "-c", secrets[2]},
			}},
		},
	}
	pod, err = kube.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	died := metav1.Now()
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, Message: hostileText, StartTime: &died,
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", RestartCount: 3, Image: "example.test/app:1", ImageID: "i",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: hostileText}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 137, Reason: "OOMKilled", Message: hostileText, StartedAt: died, FinishedAt: died, ContainerID: "containerd://hostile",
			}},
		}},
	}
	_, err = kube.CoreV1().Pods(namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)

	evicted, err := kube.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "trudy"},
		Spec:       corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "app", Image: "example.test/app:1"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	evicted.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: hostileText, StartTime: &died}
	_, err = kube.CoreV1().Pods(namespace).UpdateStatus(t.Context(), evicted, metav1.UpdateOptions{})
	require.NoError(t, err)

	out := map[string]string{}
	for !strings.Contains(out["WebSocket"], "pod.crash_loop") || !strings.Contains(out["WebSocket"], "pod.evicted") {
		_, frame, err := socket.Read(t.Context())
		require.NoError(t, err)
		plain(t, "WebSocket", string(frame))
		out["WebSocket"] += string(frame)
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		out["webhook"] = strings.Join(bodies, "")
		return strings.Contains(out["webhook"], "pod.crash_loop") && strings.Contains(out["webhook"], "pod.evicted")
	}, patience, poll, "the sink is told")
	for _, form := range []string{"table", "json", "yaml"} {
		for _, verb := range []string{"events", "audit list"} {
			line := append(strings.Fields(verb), "-o", form)
			if verb == "events" {
				line = append(line, "--namespace="+namespace)
			}
			text, err := o.cli(line...)
			require.NoError(t, err, text)
			out[verb+" -o "+form] = text
		}
	}
	events, err := o.eventClient().ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{namespace}}})
	require.NoError(t, err)
	raw, err := json.Marshal(events)
	require.NoError(t, err)
	out["ListEvents"] = string(raw)
	assert.Contains(t, out["ListEvents"], "alert(1)", "it is told, as text")
	_, out["JSON"] = o.post(http.MethodPost, listEvents, strings.NewReader(fmt.Sprintf(`{"filter":{"namespaces":[%q]}}`, namespace)), "Content-Type", "application/json")
	_, out["metrics"] = (&operator{t: t, url: o.metrics}).post(http.MethodGet, "/metrics", http.NoBody)
	out["log"] = o.log.String()

	for border, text := range out {
		assert.True(t, text != "" || strings.HasPrefix(border, "audit"), border)
		for _, secret := range secrets {
			assert.NotContains(t, text, secret, border)
		}
		for line := range strings.Lines(text) {
			plain(t, border, strings.TrimSuffix(line, "\n"))
			assert.False(t, strings.HasPrefix(line, `{"level":"INFO","msg":"all is well"}`), "%s: a line is forged", border)
		}
	}
	assert.NotContains(t, out["metrics"], "mallory")
}

// plain holds that a line does nothing to whoever prints it.
func plain(t *testing.T, border, line string) {
	t.Helper()
	at := strings.IndexFunc(line, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
	})
	assert.Equalf(t, -1, at, "%s: %.400q", border, line)
}
