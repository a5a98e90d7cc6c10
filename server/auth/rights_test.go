package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

var list = &rightsizerv1.Permission{Resource: "events", Verb: "list"}

func bob() *auth.Identity { return &auth.Identity{User: "bob", Groups: []string{"team"}} }

func rights(t *testing.T, c auth.Reviews, namespaces ...string) *auth.Rights {
	t.Helper()
	r, err := auth.NewRights(auth.RightsOptions{
		Reviews: c, Namespaces: func() []string { return namespaces }, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	return r
}

func TestWhatARequestAsksForIsWhatIsGranted(t *testing.T) {
	t.Parallel()
	c := &cluster{rights: map[string]bool{"bob list events shop": true, "bob list events quiet": true, "bob get recommendations shop": true}}
	r := rights(t, c, "bank", "shop")
	for name, want := range map[string]struct {
		request    *rightsizerv1.ListEventsRequest
		namespaces []string
	}{
		"named":            {&rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"shop"}}}, []string{"shop"}},
		"none":             {&rightsizerv1.ListEventsRequest{}, nil},
		"another":          {&rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"bank"}}}, nil},
		"one of two":       {&rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"shop", "bank"}}}, nil},
		"named and any":    {&rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"bank"}, AllowedOnly: true}}, nil},
		"what is allowed":  {&rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{AllowedOnly: true}}, []string{"shop"}},
		"one without pods": {&rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"quiet"}}}, []string{"quiet"}},
	} {
		grant, err := r.Authorize(t.Context(), bob(), list, want.request)
		if want.namespaces == nil {
			assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), name)
			assert.Equal(t, auth.Grant{}, grant, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, want.namespaces, grant.Namespaces(), name)
		assert.False(t, grant.May(""), name)
		assert.False(t, grant.May("bank"), name)
	}
	_, err := r.Authorize(t.Context(), bob(), &rightsizerv1.Permission{Resource: "recommendations", Verb: "get"},
		&rightsizerv1.QueryMetricsRequest{Filter: map[string]string{"namespace": "shop"}})
	require.NoError(t, err)
	_, err = r.Authorize(t.Context(), bob(), &rightsizerv1.Permission{Resource: "recommendations", Verb: "get"}, &rightsizerv1.QueryMetricsRequest{})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	for _, spec := range c.access {
		assert.Equal(t, "bob", spec.User)
		assert.Equal(t, []string{"team"}, spec.Groups)
		assert.Equal(t, "rightsizer.dev", spec.ResourceAttributes.Group)
	}
}

// The chain is one for all namespaces: its numbers and hashes tell of all of them.
func TestTheAuditOfOneNamespaceIsNobodys(t *testing.T) {
	t.Parallel()
	r := rights(t, &cluster{rights: map[string]bool{"bob list audit shop": true, "eve list audit ": true}}, "shop")
	methods := rightsizerv1.File_rightsizer_v1_audit_service_proto.Services().ByName("AuditService").Methods()
	permission := proto.GetExtension(methods.ByName("ListAuditRecords").Options(), rightsizerv1.E_Permission).(*rightsizerv1.Permission)
	for _, namespaces := range [][]string{nil, {"shop"}} {
		_, err := r.Authorize(t.Context(), bob(), permission, &rightsizerv1.ListAuditRecordsRequest{Namespaces: namespaces})
		assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), namespaces)
		grant, err := r.Authorize(t.Context(), &auth.Identity{User: "eve", Groups: []string{"team"}}, permission, &rightsizerv1.ListAuditRecordsRequest{Namespaces: namespaces})
		require.NoError(t, err)
		assert.True(t, grant.All())
	}
}

func TestNobodyHasRights(t *testing.T) {
	t.Parallel()
	c := &cluster{rights: map[string]bool{" list events ": true, "x list events ": true}}
	r := rights(t, c)
	for _, id := range []*auth.Identity{{}, {Groups: []string{"team"}}, {User: "x"}} {
		_, err := r.Authorize(t.Context(), id, list, &rightsizerv1.ListEventsRequest{})
		assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	}
	_, access := c.counts()
	assert.Zero(t, access, "a review that names nobody is the operator's own")
	none := rights(t, nil)
	_, err := none.Authorize(t.Context(), bob(), list, &rightsizerv1.ListEventsRequest{})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "no cluster, no right")
	err = r.Require(context.Background(), auth.Action{Verb: "create", Resource: "pods/eviction"})
	assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
}

func TestAnEffectNeedsTheRealVerb(t *testing.T) {
	t.Parallel()
	c := &cluster{rights: map[string]bool{"bob create pods/eviction shop": true}}
	r := rights(t, c)
	ctx := auth.WithIdentity(t.Context(), bob())
	require.NoError(t, r.Require(ctx, auth.Action{Verb: "create", Resource: "pods/eviction", Namespace: "shop", Name: "web-1"}))
	err := r.Require(ctx, auth.Action{Verb: "create", Resource: "pods/eviction", Namespace: "shop"}, auth.Action{Verb: "patch", Resource: "pods/resize", Namespace: "shop"})
	require.ErrorContains(t, err, "you may not patch pods/resize in namespace shop")
	assert.Equal(t, map[string]string{"resource": "pods/resize", "group": "", "verb": "patch", "namespace": "shop"}, rpcerr.Info(err).GetMetadata())
}

func TestRightsAreAskedForOnceAndForgottenSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{rights: map[string]bool{"bob list events shop": true}}
		var many []string
		for i := range 100 {
			many = append(many, fmt.Sprintf("ns-%d", i))
		}
		r := rights(t, c, append(many, "shop")...)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				grant, err := r.Authorize(t.Context(), bob(), list, &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{AllowedOnly: true}})
				assert.NoError(t, err)
				assert.Equal(t, []string{"shop"}, grant.Namespaces())
			})
		}
		all.Wait()
		_, access := c.counts()
		assert.Equal(t, 102, access, "once each: all, and each of 101 namespaces")
		c.set(func() { c.rights = nil })
		time.Sleep(10*time.Second + time.Millisecond)
		_, err := r.Authorize(t.Context(), bob(), list, &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"shop"}}})
		assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
		c.set(func() { c.down = errors.New("dial tcp 10.0.0.1:443: refused") })
		time.Sleep(11 * time.Second)
		_, err = r.Authorize(t.Context(), bob(), list, &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"shop"}}})
		assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
		assert.NotContains(t, err.Error(), "10.0.0.1")
	})
}

func TestTooManyNamespacesAreNotLookedThrough(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 513 {
		many = append(many, fmt.Sprintf("ns-%d", i))
	}
	c := &cluster{}
	_, err := rights(t, c, many...).Authorize(t.Context(), bob(), list, &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{AllowedOnly: true}})
	assert.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err))
	_, access := c.counts()
	assert.Equal(t, 1, access)

	// Who watches is asked about those as well that have emptied meanwhile.
	c = &cluster{rights: map[string]bool{"bob watch events gone": true}}
	grant, err := rights(t, c, many[1:]...).WatchEvents(t.Context(), bob(), &rightsizerv1.EventFilter{AllowedOnly: true}, []string{"gone"})
	require.NoError(t, err)
	assert.Equal(t, []string{"gone"}, grant.Namespaces())
}
