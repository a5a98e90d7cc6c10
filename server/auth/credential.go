package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"
)

// What a WebSocket of a browser offers: the protocol that the server picks, and
// the token as Kubernetes' own API server takes it, since a browser's WebSocket
// can send no header.
const (
	// Subprotocol is the one that the server answers with.
	Subprotocol = "events.rightsizer.dev"
	// SubprotocolToken is followed by the token in unpadded base64url.
	SubprotocolToken = "base64url.bearer.authorization.k8s.io." //nolint:gosec // a prefix, no secret
)

// maxToken bounds a token in bytes; those of service accounts have about 1,000.
const maxToken = 16 << 10

// queryTokens are parameters in which clients put tokens. URLs are logged by
// every proxy: one that carries a token is refused, so that nobody gets used to it.
// Names are in lower case, without - and _.
var queryTokens = map[string]bool{
	"token": true, "accesstoken": true, "idtoken": true, "authtoken": true, "bearer": true,
	"authorization": true, "apikey": true, "jwt": true, "key": true,
}

var plainName = strings.NewReplacer("-", "", "_", "")

// Credential is what a request proves its sender by, as it came.
type Credential struct {
	// Token is the bearer token; empty for none.
	Token string
	// Certificates are the client's, the leaf first. TLS has proved that the
	// client has the leaf's key, and nothing else.
	Certificates []*x509.Certificate
	// Peer is the address, without port.
	Peer string
}

// proof is a hash of what the credential proves by.
func (c Credential) proof() string {
	switch {
	case c.Token != "":
		sum := sha256.Sum256([]byte(c.Token))
		return hex.EncodeToString(sum[:])
	case len(c.Certificates) > 0:
		sum := sha256.Sum256(c.Certificates[0].Raw)
		return hex.EncodeToString(sum[:])
	}
	return ""
}

// CredentialOf reads a request's credential. It fails where a token is in the
// URL, is too long, or where two are offered.
func CredentialOf(r *http.Request) (Credential, error) {
	c := Credential{Peer: r.RemoteAddr}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		c.Peer = host
	}
	if r.TLS != nil {
		c.Certificates = r.TLS.PeerCertificates
	}
	if r.URL.RawQuery != "" && hasQueryToken(r.URL.RawQuery) {
		return c, unauthenticated()
	}
	tokens, ok := offered(r.Header)
	if !ok || len(tokens) > 1 {
		return c, unauthenticated()
	}
	if len(tokens) == 1 {
		c.Token = tokens[0]
		if c.Token == "" || len(c.Token) > maxToken || !utf8.ValidString(c.Token) {
			return c, unauthenticated()
		}
	}
	return c, nil
}

// hasQueryToken looks at the names of parameters without reading the whole query,
// which a malformed escape would end.
func hasQueryToken(query string) bool {
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if queryTokens[plainName.Replace(strings.ToLower(unescapeName(name)))] {
			return true
		}
	}
	return false
}

// unescapeName undoes percent-encoding where it is well formed.
func unescapeName(name string) string {
	if !strings.Contains(name, "%") {
		return name
	}
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) {
			if b, err := hex.DecodeString(name[i+1 : i+3]); err == nil {
				out.Write(b)
				i += 2
				continue
			}
		}
		out.WriteByte(name[i])
	}
	return out.String()
}

// offered returns the tokens of the Authorization header and of a WebSocket's
// subprotocols; false where one of them cannot be read.
func offered(h http.Header) ([]string, bool) {
	var tokens []string
	for _, value := range h.Values("Authorization") {
		scheme, token, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, false // a scheme that is not served proves nobody
		}
		tokens = append(tokens, strings.TrimSpace(token))
	}
	if h.Get("Upgrade") == "" {
		return tokens, true
	}
	for _, value := range h.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(value, ",") {
			encoded, ok := strings.CutPrefix(strings.TrimSpace(protocol), SubprotocolToken)
			if !ok {
				continue
			}
			token, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
			if err != nil {
				return nil, false
			}
			tokens = append(tokens, string(token))
		}
	}
	return tokens, true
}
