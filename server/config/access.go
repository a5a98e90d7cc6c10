package config

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Access is who gets in.
type Access struct {
	TokenAudience   string
	ClientCAFile    string
	StaticTokenFile string

	OIDCIssuer           string
	OIDCClientID         string
	OIDCClientSecretFile string
	OIDCCAFile           string
	OIDCUsernameClaim    string
	OIDCGroupsClaim      string
	OIDCUsernamePrefix   string
	OIDCGroupsPrefix     string

	AllowedOrigins []string

	RequestsPerSecond int
	RequestBurst      int
}

// Configured says that somebody set up who gets in, beside the cluster's own
// tokens: then a loopback address is not open either.
func (a *Access) Configured() bool {
	return a.ClientCAFile != "" || a.StaticTokenFile != "" || a.OIDCIssuer != ""
}

func (a *Access) check(c *Config, add func(key, want string, with ...string)) {
	switch {
	case a.OIDCIssuer != "" && a.OIDCClientID == "":
		add("oidc-issuer-url", "wants oidc-client-id beside it: set both or neither")
	case a.OIDCIssuer == "" && a.OIDCClientID != "":
		add("oidc-client-id", "wants oidc-issuer-url beside it: set both or neither")
	}
	if c.InsecureNoAuth && a.Configured() {
		add("insecure-no-auth", "contradicts client-ca-file, static-token-file and oidc-issuer-url, which say who gets in: unset one side",
			"client-ca-file", "static-token-file", "oidc-issuer-url")
	}
	if a.ClientCAFile != "" && c.InsecurePlaintext {
		add("client-ca-file", "contradicts insecure-plaintext: certificates come by TLS; unset one of them", "insecure-plaintext")
	}
	if a.RequestBurst < a.RequestsPerSecond {
		add("request-burst", "wants at least the value of requests-per-second", "requests-per-second")
	}
}

func accessSettings() []Setting {
	return []Setting{
		text("token-audience", "text", 253, func(c *Config) *string { return &c.TokenAudience },
			"Audience that the cluster's tokens must be made for, as kubectl create token --audience= and projected volumes name it.").withDefault("rightsizer.dev"),
		text("client-ca-file", "file", 4096, func(c *Config) *string { return &c.ClientCAFile },
			"Authorities in PEM whose client certificates are taken (common name: user, organizations: groups); read again when it changes."),
		text("static-token-file", "file", 4096, func(c *Config) *string { return &c.StaticTokenFile },
			"Tokens of machines, a line each of name:group,group:sha256 of the token; read again when it changes."),
		issuer("oidc-issuer-url", func(c *Config) *string { return &c.OIDCIssuer },
			"Issuer whose ID tokens are taken, as they name it; the page offers its login."),
		text("oidc-client-id", "text", 512, func(c *Config) *string { return &c.OIDCClientID },
			"Client that ID tokens must be made for."),
		text("oidc-client-secret-file", "file", 4096, func(c *Config) *string { return &c.OIDCClientSecretFile },
			"Secret of the client, where the issuer wants one beside PKCE; read at start."),
		text("oidc-ca-file", "file", 4096, func(c *Config) *string { return &c.OIDCCAFile },
			"Authorities in PEM for the issuer's certificate. Unset: the system's."),
		text("oidc-username-claim", "text", 128, func(c *Config) *string { return &c.OIDCUsernameClaim },
			"Claim with the user's name; email must be verified.").withDefault("sub"),
		text("oidc-groups-claim", "text", 128, func(c *Config) *string { return &c.OIDCGroupsClaim },
			"Claim with the user's groups, of which there must be one at least.").withDefault("groups"),
		text("oidc-username-prefix", "text", 64, func(c *Config) *string { return &c.OIDCUsernamePrefix },
			"What stands before users of the issuer in roles, so that they are nobody else.").withDefault("oidc:"),
		text("oidc-groups-prefix", "text", 64, func(c *Config) *string { return &c.OIDCGroupsPrefix },
			"What stands before groups of the issuer in roles.").withDefault("oidc:"),
		origins("allowed-origins", func(c *Config) *[]string { return &c.AllowedOrigins },
			"Pages of other origins that may call the API and open WebSockets. The operator's own page always may."),
	}
}

// paceSettings hold one caller to a pace.
func paceSettings() []Setting {
	return []Setting{
		number("requests-per-second", 50, 1, 100_000, func(c *Config) *int { return &c.RequestsPerSecond },
			"Requests, and new filters on WebSockets, that one identity may send in the long run. One more is refused with resource_exhausted."),
		number("request-burst", 200, 1, 100_000, func(c *Config) *int { return &c.RequestBurst },
			"Requests that one identity may send at once; at least requests-per-second."),
	}
}

// withDefault gives a setting a default value.
func (s Setting) withDefault(value string) Setting {
	s.Default = value
	return s
}

// issuer is an https URL, or an http one on loopback, for trying.
func issuer(key string, field func(*Config) *string, help string) Setting {
	bounds := "https URL without query; http on loopback alone"
	return Setting{
		Key: key, Kind: "url", Bounds: bounds, Help: help,
		set: func(c *Config, v string) error {
			u, err := url.Parse(v)
			secure := err == nil && (u.Scheme == "https" || u.Scheme == "http" && IsLoopback(net.JoinHostPort(u.Hostname(), "0")))
			if v != "" && (!secure || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || len(v) > 2048) {
				return errors.New("wants an " + bounds)
			}
			*field(c) = v
			return nil
		},
		get: func(c *Config) string { return *field(c) },
	}
}

// maxOrigins bounds a list of origins.
const maxOrigins = 64

// origins are exact origins of pages, joined by commas.
func origins(key string, field func(*Config) *[]string, help string) Setting {
	bounds := "scheme://host[:port], joined by commas, no patterns; at most 64"
	return Setting{
		Key: key, Kind: "origins", Bounds: bounds, Help: help,
		set: func(c *Config, v string) error {
			var all []string
			for origin := range strings.SplitSeq(v, ",") {
				origin = strings.TrimSpace(origin)
				if origin == "" {
					continue
				}
				u, err := url.Parse(origin)
				if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != origin ||
					strings.ContainsAny(origin, `*?\`) || strings.ToLower(origin) != origin {
					return errors.New("wants " + bounds + ", in lower case, such as https://tools.example.com")
				}
				all = append(all, origin)
			}
			slices.Sort(all)
			if all = slices.Compact(all); len(all) > maxOrigins {
				return errors.New("wants at most 64 origins")
			}
			*field(c) = all
			return nil
		},
		get: func(c *Config) string { return strings.Join(*field(c), ",") },
	}
}
