// Package issuer is an OpenID provider for end-to-end tests: discovery, keys, and
// the code flow with PKCE. Whoever comes to its authorization endpoint is signed in
// at once as [Issuer.Claims] say.
package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Lifetime is how long a token is good that the code flow gives out.
const Lifetime = time.Hour

// Issuer is a running provider in clear text on loopback, which the operator takes
// there. Safe for concurrent use.
type Issuer struct {
	// URL is the issuer as its tokens name it.
	URL string

	clientID string
	key      *ecdsa.PrivateKey
	server   *http.Server
	done     chan error

	mu     sync.Mutex
	claims map[string]any
	codes  map[string]url.Values // by code: what its request asked
}

// Start starts a provider whose tokens are for clientID. claims are in each, beside
// iss, aud, iat, exp and nonce.
func Start(clientID string, claims map[string]any) (*Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // until Close
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	i := &Issuer{
		URL: "http://" + l.Addr().String(), clientID: clientID, key: key, claims: maps.Clone(claims),
		codes: map[string]url.Values{}, done: make(chan error, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /auth", i.authorize)
	mux.HandleFunc("POST /token", i.redeem)
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { i.done <- i.server.Serve(l) }()
	return i, nil
}

// Close ends the provider and waits for it.
func (i *Issuer) Close() error {
	err := i.server.Close()
	if served := <-i.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Claims replaces what is in the tokens of those who sign in from now on.
func (i *Issuer) Claims(claims map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claims = maps.Clone(claims)
}

// Token signs a token as the code flow would, with these claims changed; nil takes
// one out.
func (i *Issuer) Token(changed map[string]any) (string, error) {
	i.mu.Lock()
	all := maps.Clone(i.claims)
	i.mu.Unlock()
	now := time.Now()
	maps.Copy(all, map[string]any{"iss": i.URL, "aud": i.clientID, "iat": now.Unix(), "exp": now.Add(Lifetime).Unix()})
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encode the claims: %w", err)
	}
	text := encode([]byte(`{"alg":"ES256","kid":"one","typ":"JWT"}`)) + "." + encode(payload)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	const half = 32 // RFC 7518, section 3.4: R and S, 32 bytes each
	signature := make([]byte, 2*half)
	r.FillBytes(signature[:half])
	s.FillBytes(signature[half:])
	return text + "." + encode(signature), nil
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the client may be gone
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	point, err := i.key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	half := len(point) / 2
	reply(w, map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one",
		"x": encode(point[1 : 1+half]), "y": encode(point[1+half:]),
	}}})
}

// authorize sends the browser back with a code.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	back, err := url.Parse(asked.Get("redirect_uri"))
	if err != nil || back.Host == "" || asked.Get("client_id") != i.clientID || asked.Get("response_type") != "code" ||
		asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") == "" {
		http.Error(w, "not a request of the code flow with PKCE", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = asked
	i.mu.Unlock()
	query := back.Query()
	query.Set("code", code)
	query.Set("state", asked.Get("state"))
	back.RawQuery = query.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// redeem takes a code, once, from whoever began with it.
func (i *Issuer) redeem(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	i.mu.Lock()
	asked, known := i.codes[code]
	delete(i.codes, code)
	i.mu.Unlock()
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || encode(verifier[:]) != asked.Get("code_challenge") || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		reply(w, map[string]any{"error": "invalid_grant"})
		return
	}
	token, err := i.Token(map[string]any{"nonce": asked.Get("nonce")})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(Lifetime.Seconds()), "id_token": token})
}
