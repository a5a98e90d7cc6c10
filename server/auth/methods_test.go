package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/rightsizer/rightsizer/server/auth"
)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func TestStaticTokens(t *testing.T) {
	t.Parallel()
	tokens, err := auth.ParseStaticTokens([]byte("# machines\n\nci:robots,deployers:" + hashOf("s3cret") + "\nname:with:colons:robots:" + hashOf("other") + "\n"))
	require.NoError(t, err)
	c := chain(t, auth.NewStatic(func() auth.StaticTokens { return tokens }))
	id, err := c.Authenticate(t.Context(), auth.Credential{Token: "s3cret"})
	require.NoError(t, err)
	assert.Equal(t, "ci", id.User)
	assert.Equal(t, []string{"robots", "deployers"}, id.Groups)
	assert.Equal(t, "static", id.Via)
	id, err = c.Authenticate(t.Context(), auth.Credential{Token: "other"})
	require.NoError(t, err)
	assert.Equal(t, "name:with:colons", id.User)
	for _, token := range []string{"s3cre", hashOf("s3cret"), "S3cret"} {
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: token})
		assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), token)
	}
	for want, text := range map[string]string{
		"line 1: wants name:groups:sha256":     "ci",
		"line 2: wants the token's SHA-256":    "\nci:robots:s3cret-token",
		"line 1: wants a name and at least":    "ci::" + hashOf("a"),
		"line 1: wants a name and at leas":     ":robots:" + hashOf("a"),
		"line 1: wants a name and at lea":      "ci:robots,:" + hashOf("a"),
		"begins with system:":                  "ci:system:masters:" + hashOf("a"),
		"line 2: repeats the token of":         "a:x:" + hashOf("a") + "\nb:y:" + hashOf("a"),
		"line 1: wants the token's SHA-256 at": "a:x:" + hashOf("a") + "00",
	} {
		_, err := auth.ParseStaticTokens([]byte(text))
		if want == "begins with system:" { // the group is `masters`, the user `ci:system`: harmless
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want, text)
		assert.NotContains(t, err.Error(), "s3cret-token", "what may be a token is not repeated")
	}
	_, err = auth.ParseStaticTokens([]byte("system:admin:x:" + hashOf("a")))
	require.ErrorContains(t, err, "only the cluster gives out")
	_, err = auth.ParseStaticTokens([]byte("webhook:change-board:x:" + hashOf("a")))
	require.ErrorContains(t, err, "no name that begins with webhook:")
}

func FuzzStaticTokens(f *testing.F) {
	f.Add([]byte("ci:robots:" + hashOf("a")))
	f.Add([]byte("#\n\n:::"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens, err := auth.ParseStaticTokens(data)
		if err != nil {
			return
		}
		for _, id := range tokens {
			if id.User == "" || len(id.Groups) == 0 || strings.HasPrefix(id.User, "system:") {
				t.Fatalf("%q lets in %+v", data, id)
			}
		}
	})
}

func FuzzCredential(f *testing.F) {
	f.Add("Bearer abc", auth.Subprotocol+", "+auth.SubprotocolToken+"YWJj", "a=b")
	f.Add("", "", "access_token=x")
	f.Fuzz(func(t *testing.T, authorization, protocols, query string) {
		r := httptest.NewRequest(http.MethodGet, "/events", nil)
		r.Header = http.Header{"Authorization": {authorization}, "Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {protocols}}
		r.URL.RawQuery = query
		c, err := auth.CredentialOf(r)
		if err == nil && (c.Token == "" || len(c.Token) > 16<<10) {
			t.Fatalf("an Authorization header was there and proved nothing: %q", authorization)
		}
	})
}

// authority signs certificates of clients.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{key, cert}
}

func (a *authority) sign(t *testing.T, name string, groups []string, usage x509.ExtKeyUsage, until time.Time) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: groups}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, a.cert, key.Public(), a.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	var current atomic.Pointer[x509.CertPool]
	current.Store(pool)
	tokens := auth.NewKubernetes(&cluster{tokens: map[string]authenticationv1.TokenReviewStatus{"good": user("bob", "team")}}, "ours")
	c := chain(t, tokens, auth.NewCertificates(current.Load))
	later := time.Now().Add(time.Minute)
	good := ours.sign(t, "alice", []string{"team"}, x509.ExtKeyUsageClientAuth, later)
	id, err := c.Authenticate(t.Context(), auth.Credential{Certificates: []*x509.Certificate{good}})
	require.NoError(t, err)
	assert.Equal(t, "alice", id.User)
	assert.Equal(t, "certificate", id.Via)
	assert.WithinDuration(t, later, id.Expires, time.Second)
	for name, cert := range map[string]*x509.Certificate{
		"another authority": others.sign(t, "alice", []string{"team"}, x509.ExtKeyUsageClientAuth, later),
		"a server's":        ours.sign(t, "alice", []string{"team"}, x509.ExtKeyUsageServerAuth, later),
		"expired":           ours.sign(t, "alice", []string{"team"}, x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Minute)),
		"no groups":         ours.sign(t, "alice", nil, x509.ExtKeyUsageClientAuth, later),
		"no name":           ours.sign(t, "", []string{"team"}, x509.ExtKeyUsageClientAuth, later),
		"a webhook's name":  ours.sign(t, "webhook:change-board", []string{"team"}, x509.ExtKeyUsageClientAuth, later),
		"system:masters":    ours.sign(t, "alice", []string{"system:masters"}, x509.ExtKeyUsageClientAuth, later),
	} {
		_, err := c.Authenticate(t.Context(), auth.Credential{Certificates: []*x509.Certificate{cert}})
		assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), name)
	}
	id, err = c.Authenticate(t.Context(), auth.Credential{Token: "good", Certificates: []*x509.Certificate{good}})
	require.NoError(t, err)
	assert.Equal(t, "bob", id.User, "a token is judged alone")
	_, err = c.Authenticate(t.Context(), auth.Credential{Token: "bad", Certificates: []*x509.Certificate{good}})
	assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), "and no certificate makes up for it")
	current.Store(x509.NewCertPool())
	_, err = c.Authenticate(t.Context(), auth.Credential{Certificates: []*x509.Certificate{good}})
	assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), "an authority that is taken away vouches for nobody")
}

// idp is an OpenID provider.
type idp struct {
	*httptest.Server

	key  *ecdsa.PrivateKey
	down atomic.Bool // its keys cannot be had
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p := &idp{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		if p.down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *idp) token(t *testing.T, key crypto.PrivateKey, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": p.URL, "aud": "page", "sub": "u1", "groups": []string{"sre"}, "exp": time.Now().Add(time.Minute).Unix()}
	for k, v := range claims {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	require.NoError(t, err)
	payload, err := json.Marshal(all)
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	text, err := signed.CompactSerialize()
	require.NoError(t, err)
	return text
}

func TestOIDC(t *testing.T) {
	p := newIDP(t)
	make1 := func() *auth.Chain {
		m := auth.NewOIDC(auth.OIDCOptions{Issuer: p.URL, ClientID: "page", UsernamePrefix: "oidc:", GroupsPrefix: "oidc:"})
		t.Cleanup(m.Close)
		return chain(t, m)
	}
	c := make1()
	id, err := c.Authenticate(t.Context(), auth.Credential{Token: p.token(t, p.key, nil)})
	require.NoError(t, err)
	assert.Equal(t, "oidc:u1", id.User)
	assert.Equal(t, []string{"oidc:sre"}, id.Groups)
	assert.Equal(t, "oidc", id.Via)
	assert.WithinDuration(t, time.Now().Add(time.Minute), id.Expires, 5*time.Second)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for name, token := range map[string]string{
		"another audience": p.token(t, p.key, map[string]any{"aud": "other"}),
		"expired":          p.token(t, p.key, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"another key":      p.token(t, stranger, nil),
		"no groups":        p.token(t, p.key, map[string]any{"groups": nil}),
		"an empty group":   p.token(t, p.key, map[string]any{"groups": []string{""}}),
		"no user":          p.token(t, p.key, map[string]any{"sub": nil}),
		"another issuer":   p.token(t, p.key, map[string]any{"iss": "https://evil.test"}),
		"alg none":         "eyJhbGciOiJub25lIn0." + strings.Split(p.token(t, p.key, nil), ".")[1] + ".",
	} {
		_, err := c.Authenticate(t.Context(), auth.Credential{Token: token})
		assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), name)
	}
	p.down.Store(true)
	_, err = make1().Authenticate(t.Context(), auth.Credential{Token: p.token(t, p.key, nil)})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "keys that cannot be had are not a bad signature")
}
