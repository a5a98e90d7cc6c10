package auth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"connectrpc.com/connect"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// LoginPath is the page to which the issuer sends a browser back with its code.
const LoginPath = "/login/callback"

// Bounds of the endpoints for the page.
const (
	maxLoginBody     = 16 << 10
	exchangesAtATime = 8
	// configWithin is how long the page's first question waits for the issuer.
	configWithin = time.Second
)

// LoginOptions make the endpoints of the page's login.
type LoginOptions struct {
	// Open says that nobody needs to log in.
	Open bool
	// OIDC is the issuer, nil for none.
	OIDC *OIDC
	// Guarded lets requests through whose sender is known.
	Guarded func(http.Handler) http.Handler
	// LogOut ends the streams that were opened with one proof and says how many.
	LogOut func(proof string) int
}

// Login serves what the page needs to log in and out, below /auth/:
//
//   - GET /auth/config: how to log in: {"open", "oidc": {"issuer", "clientId",
//     "authorizationEndpoint", "scopes", "redirectPath"}}; no oidc where there is no
//     issuer, no authorizationEndpoint while it does not answer
//   - POST /auth/exchange {"code", "codeVerifier", "redirectUri", "nonce"}: the
//     issuer's code for an ID token, {"token", "expires"}. The page makes verifier
//     (PKCE, S256), state and nonce, and holds the token in memory alone.
//   - GET /auth/whoami: {"user", "groups", "via", "expires"} of the token sent
//   - POST /auth/logout: ends the streams of the token sent: {"streams"}
//
// They tell nobody who is not known anything but how to log in. The page could not
// ask the issuer for the token itself: its policy lets it talk to its own origin
// alone.
func Login(o LoginOptions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/config", o.config)
	mux.Handle("POST /auth/exchange", o.exchange(NewSlots(exchangesAtATime)))
	mux.Handle("GET /auth/whoami", o.Guarded(http.HandlerFunc(whoami)))
	mux.Handle("POST /auth/logout", o.Guarded(http.HandlerFunc(o.logout)))
	return mux
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(value) // the client may be gone
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Cache-Control", "no-store")
	_ = connect.NewErrorWriter().Write(w, r, err) // the client may be gone
}

func (o LoginOptions) config(w http.ResponseWriter, r *http.Request) {
	type issuer struct {
		Issuer       string   `json:"issuer"`
		ClientID     string   `json:"clientId"`
		Endpoint     string   `json:"authorizationEndpoint,omitempty"`
		Scopes       []string `json:"scopes"`
		RedirectPath string   `json:"redirectPath"`
	}
	answer := struct {
		Open bool    `json:"open"`
		OIDC *issuer `json:"oidc,omitempty"`
	}{Open: o.Open}
	if o.OIDC != nil && !o.Open {
		answer.OIDC = &issuer{Issuer: o.OIDC.opts.Issuer, ClientID: o.OIDC.opts.ClientID, Scopes: scopes, RedirectPath: LoginPath}
		ctx, cancel := context.WithTimeout(r.Context(), configWithin)
		defer cancel()
		if p, err := o.OIDC.discover(ctx); err == nil {
			answer.OIDC.Endpoint = p.endpoint.AuthURL
		}
	}
	reply(w, answer)
}

// scopes are asked of the issuer.
var scopes = []string{oidc.ScopeOpenID, "profile", "email", "groups"}

// login is what the page sends with a code.
type login struct {
	Code        string `json:"code"`
	Verifier    string `json:"codeVerifier"`
	RedirectURI string `json:"redirectUri"`
	Nonce       string `json:"nonce"`
}

// verifierPattern: RFC 7636, section 4.1.
var verifierPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

func (o LoginOptions) exchange(slots *Slots) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.OIDC == nil || o.Open {
			fail(w, r, rpcerr.New(connect.CodeNotFound, rpcerr.ReasonNotFound, "no issuer is set up to log in with"))
			return
		}
		asked, err := readLogin(w, r)
		if err != nil {
			fail(w, r, err)
			return
		}
		leave := slots.Take(r.RemoteAddr)
		if leave == nil {
			fail(w, r, TooFast(time.Second))
			return
		}
		defer leave()
		token, expires, err := o.OIDC.redeem(r.Context(), asked)
		if err != nil {
			fail(w, r, err)
			return
		}
		reply(w, map[string]any{"token": token, "expires": expires.UTC().Format(time.RFC3339)})
	})
}

func readLogin(w http.ResponseWriter, r *http.Request) (login, error) {
	var asked login
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return asked, rpcerr.New(connect.CodeInvalidArgument, rpcerr.ReasonMalformedRequest, "Content-Type wants application/json")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(askWithin)) // a recorder in a test has none
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLoginBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&asked); err != nil || body.Decode(&struct{}{}) != io.EOF {
		return asked, rpcerr.New(connect.CodeInvalidArgument, rpcerr.ReasonMalformedRequest, "the body wants one object of code, codeVerifier, redirectUri and nonce")
	}
	back, err := url.Parse(asked.RedirectURI)
	switch {
	case asked.Code == "" || len(asked.Code) > 4096:
		return asked, rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, rpcerr.Violation{Field: "code", Description: "wants 1 to 4096 bytes"})
	case !verifierPattern.MatchString(asked.Verifier):
		return asked, rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, rpcerr.Violation{Field: "codeVerifier", Description: "wants 43 to 128 unreserved characters"})
	case len(asked.Nonce) < 16 || len(asked.Nonce) > 256:
		return asked, rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, rpcerr.Violation{Field: "nonce", Description: "wants 16 to 256 bytes"})
	case err != nil || back.Host != r.Host || back.Path != LoginPath || back.RawQuery != "" || back.User != nil:
		return asked, rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, rpcerr.Violation{Field: "redirectUri", Description: "wants " + LoginPath + " of this very host"})
	}
	return asked, nil
}

// redeem gets the token for a code, and believes it only when it is verified.
func (o *OIDC) redeem(ctx context.Context, asked login) (string, time.Time, error) {
	p, err := o.discover(ctx)
	if err != nil {
		return "", time.Time{}, rpcerr.Unavailable(ReasonReviewDown, "the issuer does not answer", retryReview)
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, o.client), askWithin)
	defer cancel()
	client := oauth2.Config{ClientID: o.opts.ClientID, ClientSecret: o.opts.ClientSecret, Endpoint: p.endpoint, RedirectURL: asked.RedirectURI}
	got, err := client.Exchange(ctx, asked.Code, oauth2.VerifierOption(asked.Verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError:
		return "", time.Time{}, unauthenticated()
	case err != nil:
		return "", time.Time{}, rpcerr.Unavailable(ReasonReviewDown, "the issuer does not answer", retryReview)
	}
	raw, ok := got.Extra("id_token").(string)
	if !ok {
		return "", time.Time{}, unauthenticated()
	}
	token, err := p.verifier.Verify(ctx, raw)
	if err != nil || token.Nonce != asked.Nonce {
		return "", time.Time{}, unauthenticated()
	}
	if id, err := o.identity(token); err != nil || fit(id) != nil {
		return "", time.Time{}, unauthenticated()
	}
	return raw, token.Expiry, nil
}

func whoami(w http.ResponseWriter, r *http.Request) {
	id, _ := FromContext(r.Context())
	answer := map[string]any{"user": id.User, "groups": id.Groups, "via": id.Via, "open": id.Open()}
	if !id.Expires.IsZero() {
		answer["expires"] = id.Expires.UTC().Format(time.RFC3339)
	}
	reply(w, answer)
}

func (o LoginOptions) logout(w http.ResponseWriter, r *http.Request) {
	id, _ := FromContext(r.Context())
	reply(w, map[string]any{"streams": o.LogOut(id.Proof)})
}

// String hides the code and its verifier from whoever prints it.
func (l login) String() string { return "login to " + l.RedirectURI }
