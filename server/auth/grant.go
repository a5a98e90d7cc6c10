package auth

import (
	"context"
	"slices"
)

// Grant is what a caller may see in the answer to one request: everything, or
// some namespaces. The zero value is nothing. It is not changed once it is made.
type Grant struct {
	all        bool
	namespaces []string // sorted
}

// Everything is the grant of all namespaces and of what is in none.
func Everything() Grant { return Grant{all: true} }

// Only is the grant of these namespaces.
func Only(namespaces ...string) Grant {
	sorted := slices.Clone(namespaces)
	slices.Sort(sorted)
	return Grant{namespaces: slices.Compact(sorted)}
}

// All says that everything may be seen.
func (g Grant) All() bool { return g.all }

// Namespaces are those that may be seen, sorted; none where all may. They must not
// be changed.
func (g Grant) Namespaces() []string { return g.namespaces }

// May says whether what is in a namespace may be seen; the empty namespace is that
// of what is in none, such as a node.
func (g Grant) May(namespace string) bool {
	if g.all {
		return true
	}
	_, found := slices.BinarySearch(g.namespaces, namespace)
	return found && namespace != ""
}

// Equal says whether two grants are the same.
func (g Grant) Equal(other Grant) bool {
	return g.all == other.all && slices.Equal(g.namespaces, other.namespaces)
}

// GrantOf returns what the caller of ctx may see in the answer to his request, as
// the authorizer found it. Outside of an authorized request that is nothing.
func GrantOf(ctx context.Context) Grant {
	grant, _ := GrantGiven(ctx)
	return grant
}

// GrantGiven is GrantOf and says as well whether an authorizer has looked at the
// request.
func GrantGiven(ctx context.Context) (Grant, bool) {
	c := callOf(ctx)
	if c == nil {
		return Grant{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.granted == nil {
		return Grant{}, false
	}
	return *c.granted, true
}

// Granted leaves a grant for the handler of the request of ctx. It is the
// authorizer's to call; it does nothing outside of a request.
func Granted(ctx context.Context, g Grant) {
	if c := callOf(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.granted = &g
	}
}

// WithGrant returns a context whose caller is nobody and may see what g says: for
// tests of handlers, and for the operator's own questions to them.
func WithGrant(ctx context.Context, g Grant) context.Context {
	ctx = WithIdentity(ctx, &Identity{})
	Granted(ctx, g)
	return ctx
}
