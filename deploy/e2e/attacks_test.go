package e2e_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

const (
	ours   = "attack-ours"
	theirs = "attack-theirs"
)

// callers are service accounts with real tokens and roles.
type callers struct {
	kube kubernetes.Interface
}

func newCallers(t *testing.T) *callers {
	t.Helper()
	kube, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	for _, name := range []string{ours, theirs} {
		_, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.True(t, err == nil || apierrors.IsAlreadyExists(err), "%v", err) // the tests share the cluster, which ends with them
	}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{"rightsizer.dev"}, Resources: []string{"*"}, Verbs: []string{"*"}}}
	_, err = kube.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "attack-admin"}, Rules: rules}, metav1.CreateOptions{})
	require.True(t, err == nil || apierrors.IsAlreadyExists(err), "%v", err)
	viewer := []rbacv1.PolicyRule{{APIGroups: []string{"rightsizer.dev"}, Resources: []string{"events", "recommendations", "remediations"}, Verbs: []string{"get", "list", "watch"}}}
	_, err = kube.RbacV1().Roles(ours).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "viewer"}, Rules: viewer}, metav1.CreateOptions{})
	require.True(t, err == nil || apierrors.IsAlreadyExists(err), "%v", err)
	return &callers{kube}
}

// viewer makes an account that may read namespace ours.
func (c *callers) viewer(t *testing.T, name string) string {
	t.Helper()
	c.account(t, name)
	_, err := c.kube.RbacV1().RoleBindings(ours).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "viewer"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: ours}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return c.token(t, name, "rightsizer.dev")
}

func (c *callers) admin(t *testing.T) string {
	t.Helper()
	c.account(t, "admin")
	_, err := c.kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "attack-admin"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "attack-admin"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "admin", Namespace: ours}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return c.token(t, "admin", "rightsizer.dev")
}

func (c *callers) account(t *testing.T, name string) {
	t.Helper()
	_, err := c.kube.CoreV1().ServiceAccounts(ours).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (c *callers) token(t *testing.T, name string, audiences ...string) string {
	t.Helper()
	got, err := c.kube.CoreV1().ServiceAccounts(ours).CreateToken(t.Context(), name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	require.NoError(t, err)
	return got.Status.Token
}

// guarded starts an operator on loopback whose callers must say who they are.
func guarded(t *testing.T, flags ...string) *operator {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("# none\n"), 0o600))
	asDeployed := []string{"GOMEMLIMIT=100MiB"} // of 128 MiB: see deploy/helm/values.yaml
	return serveIn(t, asDeployed, cluster.KubeconfigPath(), append([]string{"--static-token-file=" + file, "--log-level=debug"}, flags...)...).ready()
}

// showing is a client that shows a token.
func showing(token string) *http.Client {
	return &http.Client{Transport: with{"Bearer " + token, http.DefaultTransport}}
}

func (o *operator) eventsAs(token string) rightsizerv1connect.EventServiceClient {
	return rightsizerv1connect.NewEventServiceClient(showing(token), o.url)
}

// post sends one request as it is and returns its status and answer.
func (o *operator) post(method, path string, body io.Reader, header ...string) (int, string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, o.url+path, body)
	require.NoError(o.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close() //nolint:errcheck // read to its end or not worth it
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

const (
	listEvents = "/rightsizer.v1.EventService/ListEvents"
	approve    = "/rightsizer.v1.RemediationService/ApproveRemediation"
)

func TestAttacksAreRefusedWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	who := newCallers(t)
	admin, viewer := who.admin(t), who.viewer(t, "viewer")
	o := guarded(t, "--max-connections=400", "--stream-write-timeout=2s")
	asAdmin := []string{"Authorization", "Bearer " + admin, "Content-Type", "application/json"}
	asViewer := []string{"Authorization", "Bearer " + viewer, "Content-Type", "application/json"}
	status, text := o.post("POST", listEvents, strings.NewReader(`{}`), asAdmin...)
	require.Equal(t, http.StatusOK, status, text)
	healthy(t, o, admin, func() {
		tokens(t, o, who, viewer)
		rights(t, o, asViewer)
		browsers(t, o, viewer)
		bodies(t, o, asAdmin)
		idleSockets(t, o)
		fourEyes(t, o, who, viewer, admin)
		floods(t, o, viewer)
		guesses(t, o, asAdmin)
	})
	leaks(t, o, viewer)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(viewer+"\n"), 0o600))
	out, err := exec.CommandContext(t.Context(), o.cmd.Path, "events", "--server="+o.url, "--token-file="+file, "--namespace="+ours).CombinedOutput()
	require.NoErrorf(t, err, "the command line with a token: %s", out)
	out, err = exec.CommandContext(t.Context(), o.cmd.Path, "events", "--server="+o.url, "--token-file="+file, "--namespace="+theirs).CombinedOutput()
	require.Errorf(t, err, "%s", out)
	for _, secret := range []string{admin, viewer, "s3cr3t-in-url"} {
		assert.NotContains(t, o.log.String(), secret, "a token is in the log")
	}
}

func tokens(t *testing.T, o *operator, who *callers, viewer string) {
	t.Helper()
	parts := strings.Split(viewer, ".")
	for name, token := range map[string]string{
		"wrong audience":    who.token(t, "viewer"),
		"other audience":    who.token(t, "viewer", "other.example"),
		"garbage":           "garbage",
		"changed signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"no signature":      base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
	} {
		status, text := o.post("POST", listEvents, strings.NewReader(`{}`), "Authorization", "Bearer "+token, "Content-Type", "application/json")
		assert.Equal(t, http.StatusUnauthorized, status, name)
		assert.Contains(t, text, `"the caller is not known"`, name)
	}
	status, _ := o.post("POST", listEvents, strings.NewReader(`{}`), "Content-Type", "application/json")
	assert.Equal(t, http.StatusUnauthorized, status, "no token")
	status, _ = o.post("POST", listEvents+"?access_token=s3cr3t-in-url", strings.NewReader(`{}`), "Authorization", "Bearer "+viewer, "Content-Type", "application/json")
	assert.Equal(t, http.StatusUnauthorized, status, "a token in the URL, beside a good one")
	status, _ = o.post("GET", "/events?token="+viewer, http.NoBody, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	assert.Equal(t, http.StatusUnauthorized, status, "a WebSocket's token in the URL")
}

// guesses come from the address of who does nothing wrong, for longer than a
// stream outlives its last good answer: 60 s of what is promised.
func guesses(t *testing.T, o *operator, asAdmin []string) {
	t.Helper()
	const atATime = 16
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var tooFast atomic.Int64
	var all sync.WaitGroup
	for n := range atATime {
		all.Go(func() {
			for i := n; ctx.Err() == nil; i += atATime {
				status, _ := o.post("POST", listEvents, strings.NewReader(`{}`), "Authorization", fmt.Sprintf("Bearer guess-%d", i), "Content-Type", "application/json")
				if status == http.StatusTooManyRequests {
					tooFast.Add(1)
				}
			}
		})
	}
	all.Wait()
	assert.Positive(t, tooFast.Load(), "guesses are held to a pace")
	status, text := o.post("POST", listEvents, strings.NewReader(`{}`), asAdmin...)
	assert.Equal(t, http.StatusOK, status, "a new call of who was known before: %s", text)
}

func rights(t *testing.T, o *operator, asViewer []string) {
	t.Helper()
	status, text := o.post("POST", listEvents, strings.NewReader(fmt.Sprintf(`{"filter":{"namespaces":[%q]}}`, ours)), asViewer...)
	assert.Equal(t, http.StatusOK, status, text)
	for name, body := range map[string]string{
		"all":           `{}`,
		"another":       fmt.Sprintf(`{"filter":{"namespaces":[%q]}}`, theirs),
		"one too many":  fmt.Sprintf(`{"filter":{"namespaces":[%q,%q]}}`, ours, theirs),
		"what is not":   `{"filter":{"namespaces":["no-such-namespace"]}}`,
		"kube-system's": `{"filter":{"namespaces":["kube-system"],"allowedOnly":true}}`,
	} {
		status, text := o.post("POST", listEvents, strings.NewReader(body), asViewer...)
		assert.Equal(t, http.StatusForbidden, status, "%s: %s", name, text)
	}
	status, text = o.post("POST", approve, strings.NewReader(fmt.Sprintf(`{"namespace":%q,"name":"any"}`, ours)), asViewer...)
	assert.Equal(t, http.StatusForbidden, status, text)
	status, text = o.post("POST", "/rightsizer.v1.EventService/ListConnections", strings.NewReader(`{}`), asViewer...)
	assert.Equal(t, http.StatusForbidden, status, text)
}

func browsers(t *testing.T, o *operator, viewer string) {
	t.Helper()
	host := strings.TrimPrefix(o.url, "http://")
	for _, origin := range []string{"https://evil.example", "null", "http://" + host + ".evil.example", "http://evil.example#" + host, "http://" + host + "@evil.example"} {
		socket, res, err := websocket.Dial(t.Context(), "ws://"+host+"/events", &websocket.DialOptions{
			HTTPHeader:   http.Header{"Origin": {origin}},
			Subprotocols: []string{"events.rightsizer.dev", "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(viewer))},
		})
		if assert.Error(t, err, origin) && assert.NotNil(t, res, origin) {
			assert.Equal(t, http.StatusForbidden, res.StatusCode, origin)
		} else if socket != nil {
			_ = socket.CloseNow()
		}
	}
	status, _ := o.post("POST", approve, strings.NewReader(`{}`), "Authorization", "Bearer "+viewer, "Content-Type", "text/plain", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	assert.Contains(t, []int{http.StatusForbidden, http.StatusUnsupportedMediaType}, status, "a cross-site form")
	status, _ = o.post("GET", approve+"?message=%7B%7D&encoding=json&connect=v1", http.NoBody, "Authorization", "Bearer "+viewer)
	assert.Equal(t, http.StatusMethodNotAllowed, status, "a GET on what changes something")
	status, _ = o.post("GET", "/", http.NoBody, "Accept", "text/html")
	assert.Equal(t, http.StatusOK, status, "the page itself needs no token")
}

// bodies sends what is too much, and measures what that costs where it says so.
func bodies(t *testing.T, o *operator, asAdmin []string) {
	t.Helper()
	for _, b := range []bomb{
		{"zeros", listEvents, "application/json", io.LimitReader(zeros{}, 200<<20), http.StatusTooManyRequests},
		// What takes two bytes on the wire takes hundreds as a message, and as a violation.
		{"severities", listEvents, "application/proto", strings.NewReader("\x0a\xc0\xb7\x0f\x1a\xbc\xb7\x0f" + strings.Repeat("\x00", 0x3dbbc)), http.StatusBadRequest},
		{"severities in JSON", listEvents, "application/json", strings.NewReader(`{"filter":{"severities":[0` + strings.Repeat(",0", 120_000) + `]}}`), http.StatusBadRequest},
		{"heads", "/rightsizer.v1.AuditService/VerifyAudit", "application/proto", strings.NewReader(strings.Repeat("\x12\x00", 130_000)), http.StatusBadRequest},
	} {
		b.explode(t, o, asAdmin)
	}

	length := func(n int) []string { return append([]string{"Content-Length", strconv.Itoa(n)}, asAdmin...) }
	assert.Equal(t, http.StatusTooManyRequests, o.raw("POST", listEvents, io.LimitReader(zeros{}, 64<<20), length(64<<20)...), "an endless body")
	assert.Equal(t, http.StatusBadRequest, o.raw("POST", listEvents, trickle{t.Context()}, length(60)...), "a trickled body")
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, o.raw("POST", listEvents, http.NoBody, append([]string{"X-Long", strings.Repeat("a", 1<<20)}, asAdmin...)...), "1 MB of headers")
	nobody := []string{"Content-Length", "10", "Content-Type", "application/json"}
	assert.Equal(t, http.StatusUnauthorized, o.raw("POST", listEvents, http.NoBody, nobody...), "a body that never comes, of nobody")
	_, page := o.post("GET", "/", http.NoBody)
	script := regexp.MustCompile(`/assets/index[^"]+\.js`).FindString(page)
	require.NotEmpty(t, script, page)
	assert.Equal(t, http.StatusOK, o.raw("GET", script, http.NoBody, nobody...), "the same for a file of the page")
	status, text := o.post("POST", listEvents, strings.NewReader(`{"filter":{"namespace":"x"}}`), asAdmin...)
	assert.Equal(t, http.StatusBadRequest, status, text)
}

// bomb is a body that is little as it is sent and much once it is read.
type bomb struct {
	name, method, kind string
	body               io.Reader
	status             int
}

func (b bomb) explode(t *testing.T, o *operator, asAdmin []string) {
	t.Helper()
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	size, err := io.Copy(zip, b.body)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	header := []string{"Content-Encoding", "gzip", "Authorization", asAdmin[1], "Content-Type", b.kind}
	status, text := o.post("POST", b.method, bytes.NewReader(body.Bytes()), header...) // what is allocated once is
	assert.Equal(t, b.status, status, "%s: %s", b.name, text)
	for range 5 {
		before := o.peakSince(t)
		status, text = o.post("POST", b.method, bytes.NewReader(body.Bytes()), header...)
		assert.Equal(t, b.status, status, "%s: %s", b.name, text)
		grown := o.memory(t, "VmHWM") - before
		t.Logf("a bomb of %s, %d KiB that unpack to %d: %.1f MiB at the peak", b.name, body.Len()>>10, size>>10, float64(grown)/1024)
		assert.Less(t, grown, 5<<10, "%s: KiB", b.name)
	}
}

// raw sends a request of HTTP/1.1 as it is, byte by byte, and returns the status of
// its answer, which is read meanwhile and has to come within 20 s.
func (o *operator) raw(method, path string, body io.Reader, header ...string) int {
	o.t.Helper()
	host := strings.TrimPrefix(o.url, "http://")
	conn, err := (&net.Dialer{}).DialContext(o.t.Context(), "tcp", host)
	require.NoError(o.t, err)
	var head strings.Builder
	head.WriteString(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n")
	for i := 0; i < len(header); i += 2 {
		head.WriteString(header[i] + ": " + header[i+1] + "\r\n")
	}
	head.WriteString("\r\n")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// It is broken off in the middle: that is what is tested.
		_, _ = io.Copy(conn, io.MultiReader(strings.NewReader(head.String()), body))
	}()
	defer func() {
		_ = conn.Close()
		<-sent
	}()
	require.NoError(o.t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if !assert.NoError(o.t, err, "%s %s is answered", method, path) {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// trickle is a body of which a byte comes each half second.
type trickle struct{ ctx context.Context }

func (s trickle) Read(p []byte) (int, error) {
	select {
	case <-time.After(500 * time.Millisecond): // the attack
		p[0] = ' '
		return 1, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// idleSockets opens more connections than there may be, and says nothing.
func idleSockets(t *testing.T, o *operator) {
	t.Helper()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	const dialed, most = 1500, 400 / 2 // of one address: see --max-connections of the caller
	before := o.sum(t, "rightsizer_http_connections_refused_total")
	for range dialed {
		c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(o.url, "http://"))
		if err == nil {
			open = append(open, c)
		}
	}
	require.Len(t, open, dialed)
	assert.Eventually(t, func() bool { return o.sum(t, "rightsizer_http_connections_refused_total")-before >= dialed-most }, patience, poll, "those beyond the cap are refused")
	assert.LessOrEqual(t, o.sum(t, "rightsizer_http_connections"), most+10, "of which some are those of other listeners")
	assert.Equal(t, http.StatusOK, o.status(o.metrics+"/healthz"))
	assert.Equal(t, http.StatusOK, o.status(o.metrics+"/readyz"))
}

// sum adds up the series of a metric.
func (o *operator) sum(t *testing.T, name string) (total int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.metrics+"/metrics", http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+"{"); ok {
			fields := strings.Fields(rest)
			value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			require.NoError(t, err, line)
			total += int(value)
		}
	}
	return total
}

// memory reads a figure of the operator's status in KiB.
func (o *operator) memory(t *testing.T, field string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.cmd.Process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return n
		}
	}
	t.Fatalf("no %s", field)
	return 0
}

// peakSince forgets the peak of the operator's memory and returns what it has now.
func (o *operator) peakSince(t *testing.T) int {
	t.Helper()
	require.NoError(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", o.cmd.Process.Pid), []byte("5"), 0)) // proc_pid_clear_refs(5)
	return o.memory(t, "VmHWM")
}

// A token or a right that is taken away ends the stream that it opened.
func TestWhatIsRevokedEndsItsStreamsWithinAMinute(t *testing.T) {
	t.Parallel()
	who := newCallers(t)
	o := guarded(t)
	watch := func(token string) <-chan string { return o.ending(t, token) }
	byAccount := watch(who.viewer(t, "leaver"))
	byRight := watch(who.viewer(t, "demoted"))
	stays := watch(who.viewer(t, "stayer"))
	require.NoError(t, who.kube.CoreV1().ServiceAccounts(ours).Delete(t.Context(), "leaver", metav1.DeleteOptions{}))
	require.NoError(t, who.kube.RbacV1().RoleBindings(ours).Delete(t.Context(), "demoted", metav1.DeleteOptions{}))
	begin := time.Now()
	ends(t, byAccount, begin, "Unauthorized", "the account is gone")
	ends(t, byRight, begin, "Unauthorized", "the right is gone")
	select {
	case reason := <-stays:
		assert.Failf(t, "who has done nothing was thrown out", "%s", reason)
	default:
	}
	_, err := o.eventsAs(who.token(t, "demoted", "rightsizer.dev")).ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{ours}}})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
}
