package auth_test

import (
	"net/http"
	"net/http/httptest"
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
