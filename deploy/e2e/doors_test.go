package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	cert, key := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = cert.Leaf, key
	return a
}

// sign makes a certificate with its key; an authority without one signs itself.
func (a *authority) sign(template *x509.Certificate) (tls.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Minute)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	leaf, err := x509.ParseCertificate(raw)
	require.NoError(a.t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, key
}

func (a *authority) client(user string, groups ...string) *tls.Certificate {
	a.t.Helper()
	cert, _ := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: user, Organization: groups}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return &cert
}

// serving writes a certificate for loopback, with its key.
func (a *authority) serving(certFile, keyFile string) {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "rightsizer"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	write(a.t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	write(a.t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// door is one way in: what a client trusts, and what it shows of itself.
type door struct {
	t     *testing.T
	o     *operator
	trust *authority
	cert  *tls.Certificate // nil shows none
	token string
}

func (d door) client() *http.Client {
	d.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(d.trust.cert)
	conf := &tls.Config{RootCAs: pool}
	if d.cert != nil { // whatever authorities the operator asks for
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return d.cert, nil }
	}
	transport := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
	d.t.Cleanup(transport.CloseIdleConnections)
	if d.token == "" {
		return &http.Client{Transport: transport}
	}
	return &http.Client{Transport: with{"Bearer " + d.token, transport}}
}

// with adds a header to what goes by another transport.
type with struct {
	authorization string
	next          http.RoundTripper
}

func (w with) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", w.authorization)
	return w.next.RoundTrip(r)
}

// whoami is user and via of who is let in, or the status of the refusal.
func (d door) whoami() string {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.o.url+"/auth/whoami", http.NoBody)
	require.NoError(d.t, err)
	res, err := d.client().Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	if res.StatusCode != http.StatusOK {
		return res.Status
	}
	var is struct{ User, Via string }
	require.NoError(d.t, json.NewDecoder(res.Body).Decode(&is))
	return is.User + " by " + is.Via
}

// watch opens a stream of a namespace and returns its events, and why it ends.
func (d door) watch(namespace string) (events chan string, closing chan string) {
	d.t.Helper()
	stream, err := rightsizerv1connect.NewEventServiceClient(d.client(), d.o.url, connect.WithGRPC()).
		StreamEvents(d.t.Context(), &rightsizerv1.StreamEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{namespace}}})
	require.NoError(d.t, err)
	for stream.Receive() && stream.Msg().GetSynced() == nil { // up to the picture of now
	}
	require.NoError(d.t, stream.Err())
	events, closing = make(chan string, 1000), make(chan string, 1)
	go func() {
		last := ""
		for stream.Receive() {
			last = stream.Msg().GetClosing().GetReason()
			if e := stream.Msg().GetEvent(); e != nil {
				events <- e.GetType()
			}
		}
		closing <- last
	}()
	return events, closing
}

// Every way in at once, on one operator: each lets in whom it should and nobody else,
// and certificates, authorities and tokens are changed under open streams, of which
// those alone end that were opened with what is gone.
func TestEveryDoor(t *testing.T) {
	t.Parallel()
	const namespace, nobody = "doors", "401 Unauthorized"
	who := newCallers(t)
	for _, name := range []string{"alice", "dora", "robot", "oidc:carol"} {
		_, err := who.kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "doors-"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "attack-admin"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	provider := newIssuer(t, time.Hour)
	signed := func(changed map[string]any) string {
		claims := map[string]any{"iss": provider.URL, "aud": "page", "sub": "carol", "groups": []string{"sre"}, "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(claims, changed)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		return provider.sign(claims)
	}

	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	servers, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	servers.serving(file("tls.crt"), file("tls.key"))
	write(t, file("clients.crt"), clients.pem())
	hash := sha256.Sum256([]byte("machine"))
	write(t, file("tokens"), []byte("robot:machines:"+hex.EncodeToString(hash[:])+"\n"))
	o := serve(t, cluster.KubeconfigPath(), "--log-level=debug", "--tls-cert-file="+file("tls.crt"), "--tls-key-file="+file("tls.key"),
		"--client-ca-file="+file("clients.crt"), "--static-token-file="+file("tokens"), "--oidc-issuer-url="+provider.URL, "--oidc-client-id=page").ready()
	o.url = "https://" + strings.TrimPrefix(o.url, "http://")
	by := func(cert *tls.Certificate, token string) door {
		return door{t: t, o: o, trust: servers, cert: cert, token: token}
	}

	alice := by(clients.client("alice", "people"), "")
	robot := by(nil, "machine")
	for what, one := range map[string]struct {
		door
		want string
	}{
		"a certificate":                      {alice, "alice by certificate"},
		"a token of a machine":               {robot, "robot by static"},
		"a token of the issuer":              {by(nil, signed(nil)), "oidc:carol by oidc"},
		"a token of the cluster":             {by(nil, who.viewer(t, "door-viewer")), "system:serviceaccount:" + ours + ":door-viewer by kubernetes"},
		"a token beside a certificate":       {by(alice.cert, signed(nil)), "oidc:carol by oidc"},
		"nothing":                            {by(nil, ""), nobody},
		"a certificate without a group":      {by(clients.client("alice"), ""), nobody},
		"a certificate of a cluster's group": {by(clients.client("alice", "system:masters"), ""), nobody},
		"a good certificate and a bad token": {by(alice.cert, "guess"), nobody},
		"the issuer's, for another":          {by(nil, signed(map[string]any{"aud": "other"})), nobody},
		"the issuer's, expired":              {by(nil, signed(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})), nobody},
		"the issuer's, without groups":       {by(nil, signed(map[string]any{"groups": nil})), nobody},
		"the issuer's, signed by nobody":     {by(nil, signed(nil)+"AAAA"), nobody},
	} {
		assert.Equal(t, one.want, one.whoami(), what)
	}
	assert.NotContains(t, by(newAuthority(t, "clients").client("alice", "people"), "").whoami(), " by ", "another authority's certificate")
	old, err := (&tls.Dialer{Config: &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", strings.TrimPrefix(o.url, "https://"))
	if !assert.Error(t, err, "TLS 1.2") {
		_ = old.Close()
	}

	stays, stayed := robot.watch(namespace)
	_, aliceEnds := alice.watch(namespace)
	servers2, clients2 := newAuthority(t, "servers of tomorrow"), newAuthority(t, "clients of tomorrow")
	servers2.serving(file("tls.crt"), file("tls.key"))
	write(t, file("clients.crt"), clients2.pem())
	dora := door{t: t, o: o, trust: servers2, cert: clients2.client("dora", "people")}
	changed := time.Now()
	require.Eventually(t, func() bool { return dora.whoami() == "dora by certificate" }, patience, poll, "the new files are in force")
	t.Logf("certificate and authority are in force after %v", time.Since(changed).Round(time.Millisecond))
	stranger := dora
	stranger.cert = alice.cert
	assert.NotContains(t, stranger.whoami(), " by ", "of the authority that is gone")
	ends(t, aliceEnds, changed, "Unauthorized", "a certificate of the authority that is gone")

	require.NoError(t, cluster.Apply(t.Context(), "oom", namespace))
	select {
	case <-stays:
	case reason := <-stayed:
		assert.Failf(t, "the stream was cut", "%s", reason)
	case <-time.After(patience):
		assert.Fail(t, "no events come any more")
	}
	write(t, file("tokens"), []byte("# nobody\n"))
	ends(t, stayed, time.Now(), "Unauthorized", "a token that is struck out")
}

// ending opens a stream of our namespace, and tells the reason for which it ends.
func (o *operator) ending(t *testing.T, token string) <-chan string {
	t.Helper()
	stream, err := o.eventsAs(token).StreamEvents(t.Context(), &rightsizerv1.StreamEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{ours}}})
	require.NoError(t, err)
	require.True(t, stream.Receive(), "%v", stream.Err())
	closing := make(chan string, 1)
	go func() {
		last := ""
		for stream.Receive() {
			last = stream.Msg().GetClosing().GetReason()
		}
		closing <- last
	}()
	return closing
}

// ends holds that a stream ends for a reason within a minute.
func ends(t *testing.T, closing <-chan string, since time.Time, want, what string) {
	t.Helper()
	select {
	case reason := <-closing:
		assert.Equal(t, want, reason, what)
		t.Logf("%s: its stream ended after %v", what, time.Since(since).Round(time.Second))
	case <-time.After(time.Until(since.Add(time.Minute))):
		assert.Failf(t, "a stream outlives by a minute", "%s", what)
	}
}

// While nobody can be asked about callers, nobody new gets in and no stream stays for
// more than a minute; it is all as before once somebody answers.
func TestTheReviewerIsDown(t *testing.T) {
	t.Parallel()
	who := newCallers(t)
	config, err := clientcmd.LoadFromFile(cluster.KubeconfigPath())
	require.NoError(t, err)
	var line *wire
	for _, c := range config.Clusters {
		line = newWire(t, strings.TrimPrefix(c.Server, "https://"))
		c.Server = "https://" + strings.TrimPrefix(line.url, "http://")
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, path))
	empty := filepath.Join(t.TempDir(), "tokens")
	write(t, empty, []byte("# none\n"))
	o := serve(t, path, "--static-token-file="+empty).ready()
	ask := func(token string) (int, string) {
		return o.post(http.MethodPost, listEvents, strings.NewReader(fmt.Sprintf(`{"filter":{"namespaces":[%q]}}`, ours)), "Authorization", "Bearer "+token, "Content-Type", "application/json")
	}
	known, unknown := who.viewer(t, "known"), who.viewer(t, "unknown")
	status, text := ask(known)
	require.Equal(t, http.StatusOK, status, text)
	closing := o.ending(t, known)

	line.set(true)
	down := time.Now()
	status, text = ask(unknown)
	assert.Equal(t, http.StatusServiceUnavailable, status, text)
	assert.Contains(t, text, "REVIEW_UNAVAILABLE")
	assert.NotContains(t, text, "127.0.0.1")
	require.Eventually(t, func() bool {
		status, _ := ask(known)
		return status == http.StatusServiceUnavailable
	}, time.Minute, time.Second, "what is remembered is forgotten soon")
	assert.Less(t, time.Since(down), 30*time.Second)
	assert.Equal(t, http.StatusOK, o.status(o.metrics+"/healthz"), "nobody restarts it for that")
	ends(t, closing, down, "ReviewUnavailable", "who cannot be asked about")

	line.set(false)
	require.Eventually(t, func() bool {
		status, _ := ask(unknown)
		return status == http.StatusOK
	}, patience, time.Second, "somebody answers again")
}
