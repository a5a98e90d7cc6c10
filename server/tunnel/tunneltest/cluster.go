package tunneltest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// Namespace is where the pods are.
const Namespace = "rightsizer"

// Cluster is an API server. Its fields may be set before the first question.
type Cluster struct {
	// Backend is what answers on the pod's port, as host:port; nobody, if empty.
	Backend string
	// Pods are those of the operator.
	Pods []corev1.Pod
	// Holder holds the lease.
	Holder string
	// User is who is calling.
	User string
	// SPDYOnly refuses WebSockets, as API servers before 1.30 do.
	SPDYOnly bool

	t      testing.TB
	server *httptest.Server

	mu     sync.Mutex
	links  []httpstream.Connection
	ports  []string // of each connection to the pod
	asked  []string // pods that were forwarded to
	tokens []authenticationv1.TokenRequestSpec
}

// New starts a cluster with one pod of the operator that is ready.
func New(t testing.TB, backend string) *Cluster {
	t.Helper()
	c := &Cluster{Backend: backend, User: "alice", Pods: []corev1.Pod{Pod("rightsizer-0", 9090)}, t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods", c.list)
	mux.HandleFunc("GET /apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}", c.lease)
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", c.whoAmI)
	mux.HandleFunc("POST /api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", c.token)
	mux.HandleFunc("/api/v1/namespaces/{namespace}/pods/{name}/portforward", c.forward)
	c.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		c.Cut()
		c.server.Close()
	})
	return c
}

// Pod is one of the operator that is ready.
func Pod(name string, port int32) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "rightsizer", Ports: []corev1.ContainerPort{{Name: "api", ContainerPort: port}}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

// Config reaches the cluster.
func (c *Cluster) Config() *rest.Config { return &rest.Config{Host: c.server.URL} }

// Kubeconfig is a file that reaches the cluster by its context "test", whose
// namespace is the one given; its current context leads nowhere.
func (c *Cluster) Kubeconfig(namespace string) string {
	c.t.Helper()
	made := clientcmdapi.NewConfig()
	made.Clusters["test"] = &clientcmdapi.Cluster{Server: c.server.URL}
	made.Clusters["nowhere"] = &clientcmdapi.Cluster{Server: "http://127.0.0.1:1"}
	made.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", Namespace: namespace}
	made.Contexts["nowhere"] = &clientcmdapi.Context{Cluster: "nowhere"}
	made.CurrentContext = "nowhere"
	path := filepath.Join(c.t.TempDir(), "kubeconfig")
	raw, err := clientcmd.Write(*made)
	require.NoError(c.t, err)
	require.NoError(c.t, os.WriteFile(path, raw, 0o600))
	return path
}

// Cut breaks every connection that ports are forwarded over.
func (c *Cluster) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, link := range c.links {
		_ = link.Close()
	}
	c.links = nil
}

// Asked are the pods that were forwarded to, one for each link.
func (c *Cluster) Asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.asked...)
}

// Ports are those that were asked for, one for each connection.
func (c *Cluster) Ports() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.ports...)
}

// Tokens are the tokens that were made.
func (c *Cluster) Tokens() []authenticationv1.TokenRequestSpec {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]authenticationv1.TokenRequestSpec(nil), c.tokens...)
}

func (c *Cluster) list(w http.ResponseWriter, r *http.Request) {
	found := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	if r.PathValue("namespace") == Namespace && r.URL.Query().Get("labelSelector") == "app.kubernetes.io/name=rightsizer" {
		found.Items = c.Pods
	}
	c.answer(w, found)
}

func (c *Cluster) lease(w http.ResponseWriter, r *http.Request) {
	if c.Holder == "" {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	c.answer(w, coordinationv1.Lease{
		TypeMeta:   metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{Name: r.PathValue("name")}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &c.Holder},
	})
}

func (c *Cluster) whoAmI(w http.ResponseWriter, _ *http.Request) {
	c.answer(w, authenticationv1.SelfSubjectReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "SelfSubjectReview"},
		Status:   authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: c.User}},
	})
}

func (c *Cluster) token(w http.ResponseWriter, r *http.Request) {
	var asked authenticationv1.TokenRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.tokens = append(c.tokens, asked.Spec)
	n := len(c.tokens)
	c.mu.Unlock()
	asked.APIVersion, asked.Kind = "authentication.k8s.io/v1", "TokenRequest"
	asked.Status = authenticationv1.TokenRequestStatus{
		Token:               fmt.Sprintf("%s/%s-%d", r.PathValue("namespace"), r.PathValue("name"), n),
		ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Duration(*asked.Spec.ExpirationSeconds) * time.Second)),
	}
	c.answer(w, asked)
}

func (c *Cluster) answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(object); err != nil {
		c.t.Errorf("answer: %v", err)
	}
}

// forward is pods/portforward, as the API server offers it.
func (c *Cluster) forward(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, r.PathValue("name"))
	c.mu.Unlock()
	var link httpstream.Connection
	streams := newPairs(c)
	if r.Method == http.MethodGet { // over WebSocket
		if c.SPDYOnly {
			c.mu.Lock()
			c.asked = c.asked[:len(c.asked)-1] // it asks again
			c.mu.Unlock()
			http.Error(w, "unable to upgrade", http.StatusBadRequest)
			return
		}
		socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"SPDY/3.1+portforward.k8s.io"}})
		if err != nil {
			c.t.Errorf("accept: %v", err)
			return
		}
		raw := websocket.NetConn(r.Context(), socket, websocket.MessageBinary)
		if link, err = spdy.NewServerConnection(raw, streams.take); err != nil {
			c.t.Errorf("SPDY over WebSocket: %v", err)
			return
		}
	} else {
		if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
			c.t.Errorf("handshake: %v", err)
			return
		}
		if link = spdy.NewResponseUpgrader().UpgradeResponse(w, r, streams.take); link == nil {
			return
		}
	}
	c.mu.Lock()
	c.links = append(c.links, link)
	c.mu.Unlock()
	<-link.CloseChan()
}

// pairs joins the two streams of a connection by their number.
type pairs struct {
	cluster *Cluster

	mu     sync.Mutex
	errors map[string]httpstream.Stream
}

func newPairs(c *Cluster) *pairs {
	return &pairs{cluster: c, errors: map[string]httpstream.Stream{}}
}

func (p *pairs) take(stream httpstream.Stream, reply <-chan struct{}) error {
	number := stream.Headers().Get(corev1.PortForwardRequestIDHeader)
	p.mu.Lock()
	defer p.mu.Unlock()
	if stream.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
		p.errors[number] = stream
		return nil
	}
	verdicts := p.errors[number]
	if verdicts == nil {
		return fmt.Errorf("no error stream has number %s", number)
	}
	delete(p.errors, number)
	p.cluster.mu.Lock()
	p.cluster.ports = append(p.cluster.ports, stream.Headers().Get(corev1.PortHeader))
	p.cluster.mu.Unlock()
	go func() {
		<-reply
		p.cluster.serve(stream, verdicts)
	}()
	return nil
}

// serve is what a kubelet does with a connection.
func (c *Cluster) serve(data, verdicts httpstream.Stream) {
	defer func() { _ = verdicts.Close() }()
	defer func() { _ = data.Close() }()
	backend, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", c.Backend)
	if err != nil {
		_, _ = fmt.Fprintf(verdicts, "error forwarding port: %v", err)
		return
	}
	defer func() { _ = backend.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(backend, data)
		_ = backend.(*net.TCPConn).CloseWrite() //nolint:forcetypeassert // it was dialed so
	}()
	_, _ = io.Copy(data, backend)
	_ = data.Reset()
	<-done
}
