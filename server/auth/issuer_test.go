package auth_test

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/auth"
)

// An issuer that hangs is asked once for all who want to know how to log in, and
// none of them waits for another.
func TestAnIssuerThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	var questions atomic.Int32
	hang := make(chan struct{})
	issuer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		questions.Add(1)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(issuer.Close)
	t.Cleanup(func() { close(hang) })
	method := auth.NewOIDC(auth.OIDCOptions{Issuer: issuer.URL, ClientID: "page"})
	t.Cleanup(method.Close)
	h := auth.Login(auth.LoginOptions{OIDC: method, Guarded: func(next http.Handler) http.Handler { return next }})
	began := time.Now()
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/auth/config", http.NoBody))
			assert.Equal(t, http.StatusOK, w.Code)
			assert.NotContains(t, w.Body.String(), "authorizationEndpoint")
		})
	}
	asking.Wait()
	assert.Less(t, time.Since(began), 4*time.Second, "less than one question takes, and nobody after the other")
	assert.EqualValues(t, 1, questions.Load())
}

// An issuer that fails is not asked again at once.
func TestAnIssuerThatFailsIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	var questions atomic.Int32
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		questions.Add(1)
		http.Error(w, "down", http.StatusBadGateway)
	}))
	t.Cleanup(issuer.Close)
	method := auth.NewOIDC(auth.OIDCOptions{Issuer: issuer.URL, ClientID: "page"})
	t.Cleanup(method.Close)
	h := auth.Login(auth.LoginOptions{OIDC: method, Guarded: func(next http.Handler) http.Handler { return next }})
	for range 20 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/auth/config", http.NoBody))
		require.Equal(t, http.StatusOK, w.Code)
	}
	assert.EqualValues(t, 1, questions.Load())
}

// Who vouches for the issuer may change while the operator runs.
func TestTheIssuersAuthoritiesAreThoseOfNow(t *testing.T) {
	t.Parallel()
	var redeemed atomic.Int32
	mux := http.NewServeMux()
	issuer := httptest.NewUnstartedServer(mux)
	issuer.Config.ErrorLog = log.New(io.Discard, "", 0)
	issuer.StartTLS()
	t.Cleanup(issuer.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": issuer.URL, "authorization_endpoint": issuer.URL + "/auth", "token_endpoint": issuer.URL + "/token", "jwks_uri": issuer.URL + "/keys",
		})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		redeemed.Add(1)
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
	})
	known := x509.NewCertPool()
	known.AddCert(issuer.Certificate())
	var now atomic.Pointer[x509.CertPool]
	now.Store(known)
	method := auth.NewOIDC(auth.OIDCOptions{Issuer: issuer.URL, ClientID: "page", Authorities: now.Load})
	t.Cleanup(method.Close)
	h := auth.Login(auth.LoginOptions{OIDC: method, Guarded: func(next http.Handler) http.Handler { return next }})
	redeem := func() int {
		body := `{"code":"c0de","codeVerifier":"` + verifier + `","redirectUri":"https://rightsizer.test/login/callback","nonce":"` + nonce + `"}`
		r := httptest.NewRequest(http.MethodPost, "https://rightsizer.test/auth/exchange", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	assert.Equal(t, http.StatusUnauthorized, redeem())
	asked := redeemed.Load()
	require.Positive(t, asked)
	now.Store(x509.NewCertPool())
	assert.Equal(t, http.StatusServiceUnavailable, redeem())
	assert.Equal(t, asked, redeemed.Load(), "an open connection is not used either")
	now.Store(known)
	assert.Equal(t, http.StatusUnauthorized, redeem())
	assert.Greater(t, redeemed.Load(), asked)
}
