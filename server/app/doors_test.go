package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	made := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) client(t *testing.T, user string, groups ...string) *tls.Certificate {
	t.Helper()
	return a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: user, Organization: groups}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// door are the files of a listener with TLS that takes clients' certificates.
type door struct{ cert, key, clients string }

func (d door) write(t *testing.T, servers, clients *authority) {
	t.Helper()
	serving := servers.sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(serving.PrivateKey)
	require.NoError(t, err)
	for path, block := range map[string]*pem.Block{
		d.key: {Type: "PRIVATE KEY", Bytes: der}, d.cert: {Type: "CERTIFICATE", Bytes: serving.Certificate[0]}, d.clients: {Type: "CERTIFICATE", Bytes: clients.cert.Raw},
	} {
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
}

// showing is a client that shows a certificate, whatever authorities it is asked for.
func showing(t *testing.T, trust *authority, cert *tls.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(trust.cert)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
	if cert != nil {
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func whoami(t *testing.T, c *http.Client, url, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/auth/whoami", http.NoBody)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return "refused by TLS"
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if res.StatusCode != http.StatusOK {
		return res.Status
	}
	return string(text)
}

// Certificates, tokens of machines and the cluster's tokens on one listener, whose own
// certificate and authority change under an open stream.
func TestEveryDoorOfAListener(t *testing.T) {
	const nobody = "401 Unauthorized"
	dir := t.TempDir()
	files := door{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "clients.crt")}
	servers, clients := newAuthority(t), newAuthority(t)
	files.write(t, servers, clients)
	cfg := loopback()
	cfg.TLSCertFile, cfg.TLSKeyFile, cfg.ClientCAFile = files.cert, files.key, files.clients
	cfg.StaticTokenFile = filepath.Join(dir, "tokens")
	hash := sha256.Sum256([]byte("machine"))
	require.NoError(t, os.WriteFile(cfg.StaticTokenFile, []byte("viewer:machines:"+hex.EncodeToString(hash[:])+"\n"), 0o600))
	o := startWith(t, cfg, &roleReviews{})
	url := o.url("https", KeyAPI)

	admin := clients.client(t, "admin", "people")
	for what, c := range map[string]struct {
		cert  *tls.Certificate
		token string
		want  string
	}{
		"a certificate":                      {admin, "", `"via":"certificate"`},
		"a token of a machine":               {nil, "machine", `"via":"static"`},
		"a token of the cluster":             {nil, "viewer", `"via":"kubernetes"`},
		"a token beside a certificate":       {admin, "machine", `"via":"static"`},
		"a certificate and a bad token":      {admin, "guess", nobody},
		"nothing":                            {nil, "", nobody},
		"no group":                           {clients.client(t, "admin"), "", nobody},
		"a group that only the cluster has":  {clients.client(t, "admin", "system:masters"), "", nobody},
		"a certificate of another authority": {newAuthority(t).client(t, "admin", "people"), "", "refused by TLS"},
	} {
		assert.Contains(t, whoami(t, showing(t, servers, c.cert), url, c.token), c.want, what)
	}
	_, err := (&tls.Dialer{Config: &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", o.Addr(KeyAPI).String())
	require.ErrorContains(t, err, "protocol version")

	stream, err := rightsizerv1connect.NewEventServiceClient(showing(t, servers, admin), url, connect.WithGRPC()).StreamEvents(t.Context(), &rightsizerv1.StreamEventsRequest{})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	for stream.Receive() && stream.Msg().GetSynced() == nil {
		continue
	}
	require.NoError(t, stream.Err())
	servers2, clients2 := newAuthority(t), newAuthority(t)
	files.write(t, servers2, clients2)
	tomorrow := clients2.client(t, "admin", "people")
	require.Eventually(t, func() bool { return whoami(t, showing(t, servers2, tomorrow), url, "") != "refused by TLS" }, 30*time.Second, 50*time.Millisecond)
	assert.Contains(t, whoami(t, showing(t, servers2, tomorrow), url, ""), `"via":"certificate"`)
	assert.Equal(t, "refused by TLS", whoami(t, showing(t, servers2, admin), url, ""), "of the authority that is gone")
	o.cluster.publisher.Publish(&rightsizerv1.Event{Id: "e", Type: "pod.oom_killed", Namespace: "shop"})
	require.True(t, stream.Receive(), "the stream goes on until its caller is asked about: %v", stream.Err())
	assert.Equal(t, "e", stream.Msg().GetEvent().GetId())
}
