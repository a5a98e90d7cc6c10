package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/audit"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
	"github.com/rightsizer/rightsizer/server/tlsconf"
)

// access is who gets in and what he may do, on all listeners that are not open.
type access struct {
	known       auth.Authenticator
	rights      *auth.Rights
	pace        *auth.Buckets
	authorities *tlsconf.Authorities // nil where no client certificates are taken
	oidc        *auth.OIDC           // nil where no issuer is named
	steps       []step               // what follows files
	files       []followedFile       // what they follow
}

// newAccess reads what the settings name. A cluster is always asked about tokens
// and rights; without one (a cluster of a test) nobody has a right.
func (a *App) newAccess() (*access, error) {
	out := &access{pace: auth.NewBuckets(a.cfg.RequestsPerSecond, a.cfg.RequestBurst)}
	logger := a.logger.With(slog.String("component", "auth"))
	reviews, err := a.reviews()
	if err != nil {
		return nil, err
	}
	var methods []auth.Method
	for _, add := range []func(*access, *slog.Logger) (auth.Method, error){a.static, a.issuer} {
		method, err := add(out, logger)
		if err != nil {
			return nil, err
		}
		if method != nil {
			methods = append(methods, method)
		}
	}
	if reviews != nil {
		methods = append(methods, auth.NewKubernetes(reviews, a.cfg.TokenAudience))
	}
	if a.cfg.ClientCAFile != "" {
		if out.authorities, err = tlsconf.AuthoritiesFrom(a.cfg.ClientCAFile, "clients' authorities", logger); err != nil {
			return nil, a.wrong("client-ca-file", a.cfg.ClientCAFile, err)
		}
		out.follow("clients' authorities", out.authorities)
		methods = append(methods, auth.NewCertificates(out.authorities.Pool))
	}
	out.known = auth.Closed{}
	if len(methods) > 0 {
		if out.known, err = auth.NewChain(logger, a.registry, methods...); err != nil {
			return nil, err //nolint:wrapcheck // it says what it is
		}
	}
	if err := out.tellOfFiles(a.registry); err != nil {
		return nil, err
	}
	out.rights, err = auth.NewRights(auth.RightsOptions{
		Reviews: reviews, Namespaces: a.namespaces, Denied: a.denied, Logger: logger, Registerer: a.registry,
	})
	return out, err //nolint:wrapcheck // it says what it is
}

// reviews are those of the cluster that is watched.
func (a *App) reviews() (auth.Reviews, error) {
	if a.opts.Reviews != nil || a.opts.NewCluster != nil {
		return a.opts.Reviews, nil
	}
	kube, err := restConfig(a.cfg.Kubeconfig, a.opts.Version)
	if err != nil {
		return nil, err
	}
	return auth.NewReviews(kube) //nolint:wrapcheck // it says what it is
}

func (a *App) static(out *access, logger *slog.Logger) (auth.Method, error) {
	if a.cfg.StaticTokenFile == "" {
		return nil, nil //nolint:nilnil // not asked for
	}
	tokens, err := auth.StaticTokensFrom(a.cfg.StaticTokenFile, logger)
	if err != nil {
		return nil, a.wrong("static-token-file", a.cfg.StaticTokenFile, err)
	}
	out.follow("static tokens", tokens)
	return auth.NewStatic(tokens.Current), nil
}

func (a *App) issuer(out *access, logger *slog.Logger) (auth.Method, error) {
	if a.cfg.OIDCIssuer == "" {
		return nil, nil //nolint:nilnil // not asked for
	}
	opts := auth.OIDCOptions{
		Issuer: a.cfg.OIDCIssuer, ClientID: a.cfg.OIDCClientID,
		UsernameClaim: a.cfg.OIDCUsernameClaim, GroupsClaim: a.cfg.OIDCGroupsClaim,
		UsernamePrefix: a.cfg.OIDCUsernamePrefix, GroupsPrefix: a.cfg.OIDCGroupsPrefix,
	}
	if path := a.cfg.OIDCClientSecretFile; path != "" {
		secret, err := os.ReadFile(path)
		if err != nil {
			return nil, a.wrong("oidc-client-secret-file", path, err)
		}
		opts.ClientSecret = strings.TrimSpace(string(secret))
	}
	if path := a.cfg.OIDCCAFile; path != "" {
		authorities, err := tlsconf.AuthoritiesFrom(path, "issuer's authorities", logger)
		if err != nil {
			return nil, a.wrong("oidc-ca-file", path, err)
		}
		out.follow("issuer's authorities", authorities)
		opts.Authorities = authorities.Pool
	}
	out.oidc = auth.NewOIDC(opts)
	return out.oidc, nil
}

// namespaces are those that there is something to see of.
func (a *App) namespaces() []string {
	if known, ok := a.cluster.(interface{ Namespaces() []string }); ok {
		return known.Namespaces()
	}
	var all []string
	for _, w := range a.cluster.Workloads() {
		all = append(all, w.GetNamespace())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// denied is told of calls whose callers lack the right. Those that would have
// changed something are audited.
func (a *App) denied(ctx context.Context, id *auth.Identity, action auth.Action) {
	a.metrics.denied.WithLabelValues(action.Resource, action.Verb).Inc()
	if action.Verb == "get" || action.Verb == "list" || action.Verb == "watch" {
		return
	}
	if a.denials != nil {
		a.denials.Note(audit.Denial{User: id.User, Groups: id.Groups, What: action.Verb + " " + action.Resource, Namespace: action.Namespace})
	}
	a.logger.DebugContext(ctx, "a caller was denied what would change something", slog.String("user", id.User),
		slog.String("via", id.Via), slog.String("action", action.String()))
}

// scope is stream.Options.Scope: for an RPC what its authorizer found, for a
// WebSocket, whose filters come later, asked here.
func (a *App) scope(ctx context.Context, filter *rightsizerv1.EventFilter) (bus.Scope, error) {
	id, ok := auth.FromContext(ctx)
	if !ok {
		return bus.Scope{}, rpcerr.New(connect.CodeUnauthenticated, rpcerr.ReasonUnauthenticated, "the caller is not known")
	}
	if grant, ok := auth.GrantGiven(ctx); ok {
		return a.scopeOf(ctx, id, grant)
	}
	if err := a.access.paced(id); err != nil {
		return bus.Scope{}, err
	}
	grant, err := a.access.rights.WatchEvents(ctx, id, filter, nil)
	if err != nil {
		return bus.Scope{}, err //nolint:wrapcheck // it is the API's
	}
	return a.scopeOf(ctx, id, grant)
}

// recheck is stream.Options.Recheck.
func (a *App) recheck(ctx context.Context, filter *rightsizerv1.EventFilter, before bus.Scope) (bus.Scope, error) {
	id, err := auth.Recheck(ctx)
	if err != nil {
		return bus.Scope{}, err //nolint:wrapcheck // it is the API's
	}
	grant, err := a.access.rights.WatchEvents(ctx, id, filter, before.Names())
	if err != nil {
		return bus.Scope{}, err //nolint:wrapcheck // it is the API's
	}
	return a.scopeOf(ctx, id, grant)
}

// scopeOf is a grant as the bus has it. What is confidential, who else reads, is for
// those who may see all and list connections.
func (a *App) scopeOf(ctx context.Context, id *auth.Identity, g auth.Grant) (bus.Scope, error) {
	if !g.All() {
		return bus.Namespaces(g.Namespaces()...), nil
	}
	may, err := a.access.rights.ListConnections(ctx, id)
	switch {
	case err != nil:
		return bus.Scope{}, err //nolint:wrapcheck // it is the API's
	case may:
		return bus.AllNamespaces().WithConfidential(), nil
	}
	return bus.AllNamespaces(), nil
}

// paced takes a request from an identity's bucket. Where the API is open there is
// none, and no pace.
func (x *access) paced(id *auth.Identity) error {
	if id.Open() {
		return nil
	}
	if wait := x.pace.Take(identityKey(id)); wait > 0 {
		return auth.TooFast(wait)
	}
	return nil
}

// identified lets requests through whose sender is known and not too fast.
func (a *App) identified(e exposure, next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	return auth.Middleware(e.authenticator(a.access), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, ok := auth.FromContext(r.Context()); ok {
			if err := a.access.paced(id); err != nil {
				a.metrics.capped.WithLabelValues("identity").Inc()
				_ = writer.Write(w, r, err) // the client may be gone
				return
			}
			if !owned(r.Context(), id) {
				a.metrics.capped.WithLabelValues("identity_connections").Inc()
				a.owners.refuseConnection(w, r, writer)
				return
			}
			if !a.inflight.admit(r.Context(), id) {
				a.metrics.capped.WithLabelValues("identity_requests").Inc()
				_ = writer.Write(w, r, tooManyOfIdentity()) // the client may be gone
				return
			}
		}
		next.ServeHTTP(w, r)
	}), a.refused)
}

// authenticator is who decides on callers at such an address.
func (e exposure) authenticator(x *access) auth.Authenticator {
	if e.open {
		return auth.Open{}
	}
	return x.known
}

// withClients is conf, which asks for clients' certificates where they are taken.
func (x *access) withClients(conf *tls.Config) *tls.Config {
	if x.authorities == nil || conf == nil {
		return conf
	}
	return tlsconf.WithClients(conf, x.authorities.Pool)
}

// opened says whether an address is open: on loopback where nothing is set up
// beside the cluster's own tokens, elsewhere by a flag of its own alone.
func opened(cfg *config.Config, loopback bool) bool {
	return cfg.InsecureNoAuth || loopback && !cfg.Configured()
}
