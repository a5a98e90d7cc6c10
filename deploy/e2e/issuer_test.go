package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// issuer is an OpenID provider with a page of its own: ana may go on, or refuse.
type issuer struct {
	*httptest.Server

	t      *testing.T
	key    *ecdsa.PrivateKey
	mu     sync.Mutex
	lives  []time.Duration       // of the tokens to come; the last of all further ones
	codes  map[string]url.Values // what was asked for with a code; each is good once
	issued []string              // tokens, oldest first
}

func newIssuer(t *testing.T, lives ...time.Duration) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i := &issuer{t: t, key: key, lives: lives, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		point, err := key.PublicKey.Bytes() // 4, x, y
		assert.NoError(t, err)
		answer(w, map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": base64url(point[1:33]), "y": base64url(point[33:]),
		}}})
	})
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.redeem)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

var asking = htmltemplate.Must(htmltemplate.New("").Parse(`<!doctype html><html lang="en"><title>Issuer</title><main><h1>Issuer</h1>
<a href="{{.On}}">Continue as ana</a> <a href="{{.Refused}}">Refuse</a></main></html>`))

func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, want := range map[string]string{"response_type": "code", "client_id": "page", "code_challenge_method": "S256"} {
		assert.Equal(i.t, want, q.Get(name), name)
	}
	assert.Contains(i.t, q.Get("scope"), "openid")
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = q
	i.mu.Unlock()
	back := func(params url.Values) string {
		params.Set("state", q.Get("state"))
		return q.Get("redirect_uri") + "?" + params.Encode()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	assert.NoError(i.t, asking.Execute(w, map[string]string{
		"On":      back(url.Values{"code": {code}}),
		"Refused": back(url.Values{"error": {"access_denied"}, "error_description": {"ana is not in the group"}}),
	}))
}

// redeem gives a token for a code to whoever has the verifier that its challenge is
// of.
func (i *issuer) redeem(w http.ResponseWriter, r *http.Request) {
	assert.NoError(i.t, r.ParseForm())
	i.mu.Lock()
	defer i.mu.Unlock()
	asked, ok := i.codes[r.Form.Get("code")]
	delete(i.codes, r.Form.Get("code"))
	sum := sha256.Sum256([]byte(r.Form.Get("code_verifier")))
	if !ok || asked.Get("code_challenge") != base64url(sum[:]) || asked.Get("redirect_uri") != r.Form.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	life := i.lives[0]
	if len(i.lives) > 1 {
		i.lives = i.lives[1:]
	}
	token := i.sign(map[string]any{
		"iss": i.URL, "aud": "page", "sub": "ana", "groups": []string{"sre"}, "nonce": asked.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(life).Unix(),
	})
	i.issued = append(i.issued, token)
	answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": token})
}

// sign makes a token: RFC 7515 with ES256.
func (i *issuer) sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	assert.NoError(i.t, err)
	text := base64url([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + base64url(payload)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	assert.NoError(i.t, err)
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64url(signature)
}

func (i *issuer) latest() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	require.NotEmpty(i.t, i.issued)
	return i.issued[len(i.issued)-1]
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // who asked may be gone
}

// Somebody logs in at the organisation's issuer, comes back to the view he left, and
// logs out, which ends what he streams; a token that expires leads back to the login
// and is not shown as nothing.
func TestALoginAtAnIssuerOnThePage(t *testing.T) {
	c := newCallers(t)
	_, err := c.kube.RbacV1().RoleBindings(ours).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "page-sre"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "viewer"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "oidc:sre"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = c.kube.RbacV1().RoleBindings(ours).Delete(context.Background(), "page-sre", metav1.DeleteOptions{})
	})
	require.NoError(t, cluster.Apply(t.Context(), "oom", ours))
	const short = 30 * time.Second // time enough to come in with it
	i := newIssuer(t, time.Hour, short, time.Hour)
	o := serve(t, cluster.KubeconfigPath(), "--oidc-issuer-url="+i.URL, "--oidc-client-id=page").ready()
	p := browse(t, o.url, "issuer", ours, fmt.Sprint(short.Seconds()))
	p.until(t, "in")
	held, err := o.eventsAs(i.latest()).StreamEvents(t.Context(), &rightsizerv1.StreamEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{ours}}})
	require.NoError(t, err)
	require.True(t, held.Receive(), held.Err())
	p.say(t, "sign out")
	for held.Receive() && held.Msg().GetClosing() == nil {
	}
	assert.Equal(t, "LoggedOut", held.Msg().GetClosing().GetReason(), "the stream that was opened with the same token: %v", held.Err())
	p.wait(t)
}
