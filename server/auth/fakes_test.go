package auth_test

import (
	"context"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// cluster answers reviews as the test says, and remembers what it was asked.
type cluster struct {
	mu     sync.Mutex
	down   error
	tokens map[string]authenticationv1.TokenReviewStatus
	rights map[string]bool // "user verb resource/subresource namespace"
	access []authorizationv1.SubjectAccessReviewSpec
	asked  []authenticationv1.TokenReviewSpec
	hold   chan struct{} // where set, answers wait for it
}

func (c *cluster) set(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

func (c *cluster) counts() (tokens, access int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked), len(c.access)
}

func (c *cluster) wait(ctx context.Context) error {
	c.mu.Lock()
	hold := c.hold
	c.mu.Unlock()
	if hold == nil {
		return nil
	}
	select {
	case <-hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cluster) ReviewToken(ctx context.Context, spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
	c.mu.Lock()
	c.asked = append(c.asked, spec)
	c.mu.Unlock()
	if err := c.wait(ctx); err != nil {
		return authenticationv1.TokenReviewStatus{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens[spec.Token], c.down
}

func (c *cluster) ReviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	c.mu.Lock()
	c.access = append(c.access, spec)
	c.mu.Unlock()
	if err := c.wait(ctx); err != nil {
		return authorizationv1.SubjectAccessReviewStatus{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := spec.ResourceAttributes
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	return authorizationv1.SubjectAccessReviewStatus{Allowed: c.rights[spec.User+" "+a.Verb+" "+resource+" "+a.Namespace]}, c.down
}

func user(name string, groups ...string) authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: []string{"ours"},
		User: authenticationv1.UserInfo{Username: name, UID: "uid-" + name, Groups: groups},
	}
}
