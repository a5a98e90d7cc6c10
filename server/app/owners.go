package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// owners count open connections by the identity that was the first to be known on
// each, so that none has more than a quarter of all, from however many addresses. The
// later ones of a connection that many share, a proxy's, are not counted. Safe for
// concurrent use.
type owners struct {
	most int // of one identity

	mu    sync.Mutex
	count map[string]int // at most as many as connections are open
}

func newOwners(connections int) *owners {
	return &owners{most: max(1, connections/4), count: make(map[string]int)}
}

// ownership is whose a connection is, if anybody's yet.
type ownership struct {
	of     *owners
	owner  string
	closed bool
}

// claim says whether a connection may be an identity's: it is somebody's already, or
// the identity has fewer than it may.
func (c *ownership) claim(key string) bool {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	switch {
	case c.owner != "" || c.closed:
		return true
	case c.of.count[key] >= c.of.most:
		return false
	}
	c.owner = key
	c.of.count[key]++
	return true
}

// leave is for the end of the connection.
func (c *ownership) leave() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.closed = true; c.owner == "" {
		return
	}
	if c.of.count[c.owner]--; c.of.count[c.owner] == 0 {
		delete(c.of.count, c.owner)
	}
}

type ownershipKey struct{}

// withOwnership has the requests of a connection know whose it is.
func withOwnership(ctx context.Context, conn net.Conn) context.Context {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if counted, ok := conn.(*countedConn); ok {
		return context.WithValue(ctx, ownershipKey{}, counted.ownership)
	}
	return ctx
}

// owned says whether the connection of a request may be an identity's. Where the API
// is open nobody has a name.
func owned(ctx context.Context, id *auth.Identity) bool {
	c, ok := ctx.Value(ownershipKey{}).(*ownership)
	return !ok || id.Open() || c.claim(identityKey(id))
}

// identityKey tells people of one name apart by who vouches for them.
func identityKey(id *auth.Identity) string { return id.Via + " " + id.User }

// refuseConnection says why, and that the connection ends with it.
func (o *owners) refuseConnection(w http.ResponseWriter, r *http.Request, writer *connect.ErrorWriter) {
	w.Header().Set("Connection", "close") // over HTTP/2 net/http makes a GOAWAY of it
	_ = writer.Write(w, r, rpcerr.Retry(connect.CodeResourceExhausted, reasonConnections,
		"too many connections of yours are open: at most "+strconv.Itoa(o.most)+"; close some, or send over those that are open", time.Second)) // the client may be gone
}
