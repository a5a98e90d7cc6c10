package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDCOptions say whose ID tokens are good, and for whom they stand.
type OIDCOptions struct {
	// Issuer is the URL of the issuer, exactly as in its tokens. Required, https
	// but on loopback.
	Issuer string
	// ClientID is the audience that tokens must have. Required.
	ClientID string
	// ClientSecret is sent with codes where the issuer wants one; empty for none.
	ClientSecret string
	// UsernameClaim and GroupsClaim are sub and groups by default.
	UsernameClaim, GroupsClaim string
	// UsernamePrefix and GroupsPrefix stand before the names, so that they are
	// nobody's else.
	UsernamePrefix, GroupsPrefix string
	// Authorities returns those who vouch for the issuer's certificate, another pool
	// after each change; nil is the system's.
	Authorities func() *x509.CertPool
}

// OIDC identifies people by ID tokens of one issuer. The issuer is asked when its
// first token comes, not at start: it may be down then.
type OIDC struct {
	opts      OIDCOptions
	client    *http.Client
	known     *memo[review]
	strangers *strangers

	providers *memo[*provider] // the one
}

// provider is what the issuer says of itself.
type provider struct {
	endpoint oauth2.Endpoint
	verifier *oidc.IDTokenVerifier
}

// algorithms are those whose public key verifies: a shared secret would be in the
// hands of every client.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// NewOIDC makes the method. It asks nobody.
func NewOIDC(opts OIDCOptions) *OIDC {
	opts.UsernameClaim = cmp.Or(opts.UsernameClaim, "sub")
	opts.GroupsClaim = cmp.Or(opts.GroupsClaim, "groups")
	if opts.Authorities == nil {
		opts.Authorities = func() *x509.CertPool { return nil }
	}
	o := &OIDC{
		opts: opts, client: &http.Client{Transport: &issuerTransport{authorities: opts.Authorities}, Timeout: askWithin},
		strangers: newStrangers(),
		known: newMemo(func(r review, then time.Time) time.Time {
			until := then.Add(rememberFor)
			if r.id != nil && r.id.Expires.Before(until) {
				return r.id.Expires
			}
			return until
		}),
		providers: newMemo(func(_ *provider, then time.Time) time.Time { return then.Add(math.MaxInt64) }), // for good
	}
	o.providers.fails = issuerFails
	return o
}

// Name implements Method.
func (*OIDC) Name() string { return "oidc" }

// Identify implements Method: tokens that say they are of the issuer are of its
// kind.
func (o *OIDC) Identify(ctx context.Context, c Credential) (*Identity, error) {
	if c.Token == "" || claimedIssuer(c.Token) != o.opts.Issuer {
		return nil, nil //nolint:nilnil // none of its kind
	}
	key := memoKey(sha256.Sum256([]byte(c.Token)))
	found, err := o.known.get(ctx, key, func() (bool, error) { return o.strangers.admit(key, c.Peer) }, func(ctx context.Context) (review, error) {
		r, err := o.verify(ctx, c.Token)
		o.strangers.judged(key, c.Peer, r, err)
		return r, err
	})
	if err != nil {
		return nil, err
	}
	if found.id == nil {
		return nil, fmt.Errorf("%w: %s", errRefused, found.why)
	}
	return found.id, nil
}

// claimedIssuer reads what a token says of its issuer, without believing it.
func claimedIssuer(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

func (o *OIDC) verify(ctx context.Context, token string) (review, error) {
	p, err := o.discover(ctx)
	if err != nil {
		return review{}, err
	}
	var down error
	verified, err := p.verifier.Verify(context.WithValue(ctx, downKey{}, &down), token)
	switch {
	case down != nil:
		return review{}, fmt.Errorf("the issuer's keys: %w", down)
	case err != nil:
		return review{why: err.Error()}, nil //nolint:nilerr // it is the answer
	}
	id, err := o.identity(verified)
	if err != nil {
		return review{why: err.Error()}, nil //nolint:nilerr // it is the answer
	}
	return review{id: id}, nil
}

// identity makes of a verified token whom it stands for.
func (o *OIDC) identity(token *oidc.IDToken) (*Identity, error) {
	claims := map[string]json.RawMessage{}
	if err := token.Claims(&claims); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	var user string
	if err := json.Unmarshal(claims[o.opts.UsernameClaim], &user); err != nil || user == "" {
		return nil, errors.New("no claim " + o.opts.UsernameClaim)
	}
	if verified, ok := claims["email_verified"]; ok && o.opts.UsernameClaim == "email" && string(verified) != "true" {
		return nil, errors.New("the address is not verified")
	}
	var groups []string
	if raw := claims[o.opts.GroupsClaim]; json.Unmarshal(raw, &groups) != nil {
		var one string
		if json.Unmarshal(raw, &one) != nil || one == "" {
			return nil, errors.New("no claim " + o.opts.GroupsClaim)
		}
		groups = []string{one}
	}
	id := &Identity{User: o.opts.UsernamePrefix + user, Expires: token.Expiry}
	for _, g := range groups {
		if g == "" {
			return nil, errors.New("an empty group")
		}
		id.Groups = append(id.Groups, o.opts.GroupsPrefix+g)
	}
	return id, foreign(id)
}

// issuerFails is how long an issuer that did not answer is not asked again about
// itself: everybody may make us ask.
const issuerFails = 5 * time.Second

// discover asks the issuer about itself, until it has once answered. However many
// want to know, it is asked once, and each leaves with his context.
func (o *OIDC) discover(ctx context.Context) (*provider, error) {
	return o.providers.get(ctx, memoKey{}, nil, o.askItself)
}

func (o *OIDC) askItself(ctx context.Context) (*provider, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, o.client), o.opts.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the issuer: %w", err)
	}
	var says struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := found.Claims(&says); err != nil {
		return nil, fmt.Errorf("read what the issuer says: %w", err)
	}
	usable := slices.DeleteFunc(says.Algorithms, func(a string) bool { return !slices.Contains(algorithms, a) })
	if len(usable) == 0 {
		usable = []string{oidc.RS256}
	}
	// The set outlives this request: its context carries the client alone.
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), o.client), says.Keys)
	return &provider{
		endpoint: found.Endpoint(),
		verifier: oidc.NewVerifier(o.opts.Issuer, keySet{keys}, &oidc.Config{ClientID: o.opts.ClientID, SupportedSigningAlgs: usable}),
	}, nil
}

// keySet tells keys that could not be had from a signature that is wrong.
type keySet struct{ oidc.KeySet }

type downKey struct{}

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, token)
	// go-oidc v3 has no type for it; a test holds its words.
	if err != nil && strings.HasPrefix(err.Error(), "fetching keys") {
		if down, ok := ctx.Value(downKey{}).(*error); ok {
			*down = err
		}
	}
	return payload, err //nolint:wrapcheck // a transparent wrapper
}

// Close ends the connections to the issuer that are idle.
func (o *OIDC) Close() { o.client.CloseIdleConnections() }
