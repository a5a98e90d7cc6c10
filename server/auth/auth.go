// Package auth decides who is calling, in HTTP middleware: before a byte of the
// body is read, for unary calls, streams and WebSockets alike.
//
// There is no authenticator of tokens yet. Until there is, the API is either
// open ([Open]: nobody is asked) or closed ([Closed]: nobody gets in); package
// app chooses by the address it listens on. Both are kinds of [Authenticator],
// so that those to come slot in beside them.
package auth

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// ReasonClosed says that no authenticator is configured and the address is not
// loopback.
const ReasonClosed = "API_CLOSED"

// Identity is who is calling. The zero value is somebody who was not asked.
type Identity struct {
	// User is the name, empty where the API is open.
	User string
	// Groups are the user's groups.
	Groups []string
}

// Authenticator finds out who sends a request. It must not read the body. Its
// errors are made by package rpcerr: unauthenticated, or unavailable where the
// answer cannot be had now.
type Authenticator interface {
	Authenticate(r *http.Request) (*Identity, error)
}

// Open lets everybody in and asks nobody.
type Open struct{}

// Authenticate implements Authenticator.
func (Open) Authenticate(*http.Request) (*Identity, error) { return &Identity{}, nil }

// Closed lets nobody in.
type Closed struct{}

// Authenticate implements Authenticator.
func (Closed) Authenticate(*http.Request) (*Identity, error) {
	return nil, rpcerr.New(connect.CodeUnauthenticated, ReasonClosed,
		"the API is closed: no authenticator is configured and the address is not loopback; "+
			"bind to 127.0.0.1, or start with --insecure-no-auth to let everybody in")
}

type identityKey struct{}

// FromContext returns who is calling, and false outside of a request.
func FromContext(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(*Identity)
	return id, ok
}

// WithIdentity returns a context that carries id.
func WithIdentity(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// Middleware lets a request through to next only with an identity. A refusal is
// written in the protocol of the call (Connect, gRPC, gRPC-Web; JSON with the
// matching HTTP status for anything else, such as a WebSocket's handshake).
// refused, which may be nil, is told of each.
func Middleware(a Authenticator, next http.Handler, refused func(r *http.Request, err error)) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := a.Authenticate(r)
		if err != nil {
			if refused != nil {
				refused(r, err)
			}
			// The client may be gone; there is nobody left to tell.
			_ = writer.Write(w, r, rpcerr.Ensure(err))
			return
		}
		next.ServeHTTP(w, r.WithContext(WithIdentity(r.Context(), id)))
	})
}
