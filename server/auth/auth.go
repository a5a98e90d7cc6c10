package auth

import (
	"context"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// ReasonClosed says that no authenticator is configured and the address is not
// loopback.
const ReasonClosed = "API_CLOSED"

// Identity is who is calling. It is not changed once it is made.
type Identity struct {
	// User is the name: never empty, but where the API is open.
	User string
	// UID tells two users of one name apart; often empty.
	UID string
	// Groups are the user's groups: at least one, but where the API is open.
	Groups []string
	// Extra is what else the cluster says of the user.
	Extra map[string][]string
	// Via names the method that vouches for the user: certificate, static, oidc
	// or kubernetes; empty where the API is open.
	Via string
	// Expires is when the proof runs out; zero where that is not known.
	Expires time.Time
	// Proof is a hash of the token or certificate, empty where the API is open. It
	// tells sessions of one login apart from others and gives nothing away.
	Proof string
	open  bool
}

// Open says that nobody was asked: the API lets everybody do everything.
func (id *Identity) Open() bool { return id.open }

// Authenticator finds out who sends a request. Its errors are made by package
// rpcerr: unauthenticated without detail, or unavailable where the answer cannot
// be had now. It may be asked again with the same credential for as long as a
// stream of it is open.
type Authenticator interface {
	Authenticate(ctx context.Context, c Credential) (*Identity, error)
}

// Open lets everybody in and asks nobody.
type Open struct{}

// Authenticate implements Authenticator.
func (Open) Authenticate(context.Context, Credential) (*Identity, error) {
	return &Identity{open: true}, nil
}

// Closed lets nobody in.
type Closed struct{}

// Authenticate implements Authenticator.
func (Closed) Authenticate(context.Context, Credential) (*Identity, error) {
	return nil, rpcerr.New(connect.CodeUnauthenticated, ReasonClosed,
		"the API is closed: no authenticator is configured and the address is not loopback; "+
			"bind to 127.0.0.1, or start with --insecure-no-auth to let everybody in")
}

// unauthenticated is the one answer to whoever is not known. It says nothing of
// what was wrong, which would help those who guess.
func unauthenticated() error {
	return rpcerr.New(connect.CodeUnauthenticated, rpcerr.ReasonUnauthenticated, "the caller is not known")
}

// call is what the middleware leaves in a request's context.
type call struct {
	id    *Identity
	since time.Time
	again func(context.Context) (*Identity, error)

	mu      sync.Mutex
	granted *Grant // by the authorizer, for the handler
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call) // nil where there is none
	return c
}

// FromContext returns who is calling, and false outside of a request.
func FromContext(ctx context.Context) (*Identity, bool) {
	c := callOf(ctx)
	if c == nil {
		return nil, false
	}
	return c.id, true
}

// Since is when the sender of the request of ctx was let in; zero outside of one.
func Since(ctx context.Context) time.Time {
	c := callOf(ctx)
	if c == nil {
		return time.Time{}
	}
	return c.since
}

// WithIdentity returns a context in which id is calling.
func WithIdentity(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, callKey{}, &call{id: id, since: time.Now(), again: func(context.Context) (*Identity, error) { return id, nil }})
}

// Recheck asks once more who sent the request of ctx, as long after as its stream
// is open. The answer is at most 10 s old.
func Recheck(ctx context.Context) (*Identity, error) {
	c := callOf(ctx)
	if c == nil {
		return nil, unauthenticated()
	}
	return c.again(ctx)
}

// Middleware lets a request through to next only with an identity. A refusal is
// written in the protocol of the call (Connect, gRPC, gRPC-Web; JSON with the
// matching HTTP status for anything else, such as a WebSocket's handshake).
// refused, which may be nil, is told of each. The body is not touched.
func Middleware(a Authenticator, next http.Handler, refused func(r *http.Request, err error)) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credential, err := CredentialOf(r)
		var id *Identity
		if err == nil {
			id, err = a.Authenticate(r.Context(), credential)
		}
		if err != nil {
			if refused != nil {
				refused(r, err)
			}
			if connect.CodeOf(err) == connect.CodeUnauthenticated {
				w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110, section 11.6.1
			}
			// The client may be gone; there is nobody left to tell.
			_ = writer.Write(w, r, rpcerr.Ensure(err))
			return
		}
		c := &call{id: id, since: time.Now(), again: func(ctx context.Context) (*Identity, error) { return a.Authenticate(ctx, credential) }}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	})
}
