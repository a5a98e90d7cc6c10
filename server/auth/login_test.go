package auth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/auth"
)

const (
	verifier = "0123456789012345678901234567890123456789abcd"
	nonce    = "nonce-of-16-bytes"
)

// TestLogin walks the code flow as the page does.
func TestLogin(t *testing.T) {
	p := newIDP(t)
	var asked http.Header
	nonceOfToken := nonce
	p.Config.Handler.(*http.ServeMux).HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		assert.NoError(t, r.ParseForm())
		if r.Form.Get("code") != "c0de" || r.Form.Get("code_verifier") != verifier {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": "a", "token_type": "Bearer", "id_token": p.token(t, p.key, map[string]any{"nonce": nonceOfToken}),
		})
	})
	method := auth.NewOIDC(auth.OIDCOptions{Issuer: p.URL, ClientID: "page", UsernamePrefix: "oidc:", GroupsPrefix: "oidc:"})
	t.Cleanup(method.Close)
	known := chain(t, method)
	loggedOut := ""
	h := auth.Login(auth.LoginOptions{
		OIDC: method, LogOut: func(proof string) int { loggedOut = proof; return 2 },
		Guarded: func(next http.Handler) http.Handler { return auth.Middleware(known, next, nil) },
	})
	call := func(method, path, body, token, kind string) (int, map[string]any) {
		r := httptest.NewRequest(method, "http://rightsizer.test"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		out := map[string]any{}
		_ = json.Unmarshal(w.Body.Bytes(), &out)
		return w.Code, out
	}
	status, config := call(http.MethodGet, "/auth/config", "", "", "")
	require.Equal(t, http.StatusOK, status)
	assert.Equal(t, false, config["open"])
	assert.Equal(t, p.URL+"/auth", config["oidc"].(map[string]any)["authorizationEndpoint"])

	body := func(code, verifier, back, nonce string) string {
		text, _ := json.Marshal(map[string]string{"code": code, "codeVerifier": verifier, "redirectUri": back, "nonce": nonce})
		return string(text)
	}
	const back = "https://rightsizer.test/login/callback"
	for name, bad := range map[string]struct {
		body, kind string
		status     int
	}{
		"another host":    {body("c0de", verifier, "https://evil.test/login/callback", nonce), "application/json", 400},
		"another page":    {body("c0de", verifier, "https://rightsizer.test/other", nonce), "application/json", 400},
		"short verifier":  {body("c0de", "short", back, nonce), "application/json", 400},
		"no code":         {body("", verifier, back, nonce), "application/json", 400},
		"no nonce":        {body("c0de", verifier, back, ""), "application/json", 400},
		"a form's type":   {body("c0de", verifier, back, nonce), "text/plain", 400},
		"unknown fields":  {`{"cod":"x"}`, "application/json", 400},
		"two objects":     {body("c0de", verifier, back, nonce) + "{}", "application/json", 400},
		"too long":        {`{"code":"` + strings.Repeat("x", 20<<10) + `"}`, "application/json", 400},
		"a wrong code":    {body("guess", verifier, back, nonce), "application/json", 401},
		"wrong verifier":  {body("c0de", verifier+"x", back, nonce), "application/json", 401},
		"another's nonce": {body("c0de", verifier, back, "another-nonce-of-16"), "application/json", 401},
	} {
		status, out := call(http.MethodPost, "/auth/exchange", bad.body, "", bad.kind)
		assert.Equal(t, bad.status, status, name)
		assert.NotContains(t, out, "token", name)
	}
	status, out := call(http.MethodPost, "/auth/exchange", body("c0de", verifier, back, nonce), "", "application/json")
	require.Equal(t, http.StatusOK, status)
	assert.NotEmpty(t, asked)
	token := out["token"].(string)
	status, me := call(http.MethodGet, "/auth/whoami", "", token, "")
	require.Equal(t, http.StatusOK, status)
	assert.Equal(t, "oidc:u1", me["user"])
	status, _ = call(http.MethodGet, "/auth/whoami", "", "", "")
	assert.Equal(t, http.StatusUnauthorized, status)
	status, out = call(http.MethodPost, "/auth/logout", "", token, "")
	require.Equal(t, http.StatusOK, status)
	assert.EqualValues(t, 2, out["streams"])
	assert.NotEmpty(t, loggedOut)
	status, _ = call(http.MethodGet, "/auth/logout", "", token, "")
	assert.Equal(t, http.StatusMethodNotAllowed, status)
}
