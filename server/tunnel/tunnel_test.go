package tunnel_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/server/tunnel"
	"github.com/rightsizer/rightsizer/server/tunnel/tunneltest"
)

// operator answers each path with the path; /flood with 4 MiB.
func operator(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flood" {
			_, _ = w.Write(make([]byte, 4<<20))
			return
		}
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, c *tunneltest.Cluster) *tunnel.Tunnel {
	t.Helper()
	way, err := tunnel.New(tunnel.Options{Config: c.Config(), Namespace: tunneltest.Namespace})
	require.NoError(t, err)
	t.Cleanup(func() { _ = way.Close() })
	return way
}

func through(way *tunnel.Tunnel) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: way.DialContext, MaxConnsPerHost: 8,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

func get(t *testing.T, client *http.Client, url string) (string, error) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestRequestsReachThePod(t *testing.T) {
	for name, spdyOnly := range map[string]bool{"over WebSocket": false, "over SPDY alone": true} {
		t.Run(name, func(t *testing.T) {
			backend := operator(t)
			c := tunneltest.New(t, backend.Listener.Addr().String())
			c.SPDYOnly = spdyOnly
			c.Pods[0].Spec.Containers[0].Ports[0].ContainerPort = 8443
			way := open(t, c)
			client := through(way)
			var wait sync.WaitGroup
			for range 8 {
				wait.Go(func() {
					got, err := get(t, client, "http://anything/flood")
					assert.NoError(t, err)
					assert.Len(t, got, 4<<20)
				})
			}
			wait.Wait()
			got, err := get(t, client, "http://anything/hello")
			require.NoError(t, err)
			assert.Equal(t, "/hello", got)
			assert.Equal(t, []string{"rightsizer-0"}, c.Asked(), "one link for all connections")
			for _, port := range c.Ports() {
				assert.Equal(t, "8443", port, "the port that the pod names api")
			}
		})
	}
}

func TestABrokenLinkIsMadeAgain(t *testing.T) {
	backend := operator(t)
	c := tunneltest.New(t, backend.Listener.Addr().String())
	client := through(open(t, c))
	_, err := get(t, client, "http://x/1")
	require.NoError(t, err)
	c.Cut()
	c.Pods = []corev1.Pod{tunneltest.Pod("rightsizer-1", 9090)}
	require.Eventually(t, func() bool {
		got, err := get(t, client, "http://x/2")
		return err == nil && got == "/2"
	}, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, []string{"rightsizer-0", "rightsizer-1"}, c.Asked())
}

// Nobody would close a link that is made after Close.
func TestAClosedTunnelLeadsNowhere(t *testing.T) {
	c := tunneltest.New(t, operator(t).Listener.Addr().String())
	way := open(t, c)
	require.NoError(t, way.Close())
	_, err := way.DialContext(t.Context(), "tcp", "x")
	require.ErrorIs(t, err, net.ErrClosed)
	assert.Empty(t, c.Asked())
	require.NoError(t, way.Close(), "once more")
}

// Close does not wait for the answers that a dial waits for.
func TestCloseEndsADial(t *testing.T) {
	asked := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	way, err := tunnel.New(tunnel.Options{Config: &rest.Config{Host: silent.URL}, Namespace: tunneltest.Namespace})
	require.NoError(t, err)
	dialed := make(chan error, 1)
	go func() {
		_, err := way.DialContext(context.Background(), "tcp", "x")
		dialed <- err
	}()
	<-asked
	began := time.Now()
	require.NoError(t, way.Close())
	require.ErrorIs(t, <-dialed, net.ErrClosed)
	assert.Less(t, time.Since(began), 10*time.Second, "a question may take 15 s")
}

func TestWhichPod(t *testing.T) {
	backend := operator(t)
	c := tunneltest.New(t, backend.Listener.Addr().String())
	starting := tunneltest.Pod("a-starting", 9090)
	starting.Status.Conditions = nil
	ending := tunneltest.Pod("b-ending", 9090)
	now := metav1.Now()
	ending.DeletionTimestamp = &now
	c.Pods = []corev1.Pod{tunneltest.Pod("d", 9090), starting, ending, tunneltest.Pod("c", 9090)}
	for holder, want := range map[string]string{"": "c", "d_1_ff": "d", "gone_1_ff": "c"} {
		c.Holder = holder
		_, err := get(t, through(open(t, c)), "http://x/")
		require.NoError(t, err)
		asked := c.Asked()
		assert.Equal(t, want, asked[len(asked)-1], "the lease is held by %q", holder)
	}
}

func TestWhatGoesWrongIsSaid(t *testing.T) {
	c := tunneltest.New(t, "127.0.0.1:1")
	_, err := get(t, through(open(t, c)), "http://x/")
	require.ErrorContains(t, err, "rightsizer-0", "which pod")
	require.ErrorContains(t, err, "connection refused", "what the kubelet said")

	c.Pods[0].Status.Phase = corev1.PodPending
	_, err = get(t, through(open(t, c)), "http://x/")
	var failure *tunnel.Error
	require.ErrorAs(t, err, &failure)
	require.ErrorContains(t, err, `no operator is ready in namespace "rightsizer" (of 1 pods with app.kubernetes.io/name=rightsizer)`)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = open(t, c).DialContext(ctx, "tcp", "x")
	require.Error(t, err)
}

func TestTLSIsFoundOut(t *testing.T) {
	plain := operator(t)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for address, want := range map[string]bool{plain.Listener.Addr().String(): false, secure.Listener.Addr().String(): true} {
		got, err := open(t, tunneltest.New(t, address)).SpeaksTLS(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := open(t, tunneltest.New(t, "127.0.0.1:1")).SpeaksTLS(t.Context())
	require.ErrorContains(t, err, "connection refused")
}

func TestTokensAreForTheOperatorAlone(t *testing.T) {
	c := tunneltest.New(t, "")
	_, err := tunnel.NewTokens(t.Context(), tunnel.TokenOptions{Config: c.Config(), Audience: "rightsizer.dev"})
	require.ErrorIs(t, err, tunnel.ErrNoServiceAccount, "alice is a person")

	c.User = "system:serviceaccount:ci:deployer"
	tokens, err := tunnel.NewTokens(t.Context(), tunnel.TokenOptions{Config: c.Config(), Audience: "rightsizer.dev"})
	require.NoError(t, err)
	for range 3 {
		token, err := tokens.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "ci/deployer-1", token, "made once, while it is good")
	}
	require.Len(t, c.Tokens(), 1)
	assert.Equal(t, []string{"rightsizer.dev"}, c.Tokens()[0].Audiences)

	named, err := tunnel.NewTokens(t.Context(), tunnel.TokenOptions{Config: c.Config(), Audience: "x", Namespace: "shop", Name: "viewer"})
	require.NoError(t, err)
	token, err := named.Token(t.Context())
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(token, "shop/viewer-"), token)
}
