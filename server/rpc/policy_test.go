package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// policies are rpc.Policies that the test sets.
type policies struct {
	all     []*rightsizerv1.Policy
	matches []*rightsizerv1.PolicyMatch
	err     error
}

func (p *policies) Policies() ([]*rightsizerv1.Policy, error) { return slices.Clone(p.all), p.err }

func (p *policies) Explain(_ context.Context, namespace, kind, name string) (*rightsizerv1.ExplainPolicyResponse, error) {
	if p.err != nil || p.matches != nil {
		return &rightsizerv1.ExplainPolicyResponse{Matches: slices.Clone(p.matches)}, p.err
	}
	return &rightsizerv1.ExplainPolicyResponse{Policy: &rightsizerv1.Policy{Name: namespace + kind + name}}, nil
}

func TestListPoliciesByPages(t *testing.T) {
	t.Parallel()
	p := &policies{}
	for i := range 5 {
		p.all = append(p.all, &rightsizerv1.Policy{Kind: "RightSizerPolicy", Namespace: fmt.Sprint("ns-", i%2), Name: fmt.Sprint("p-", i)})
	}
	p.all = append(p.all, &rightsizerv1.Policy{Kind: "ClusterRightSizerPolicy", Name: "z"})
	s := rpc.NewPolicyService(synced(), p)
	read := func(size int32, namespaces ...string) (names []string) {
		req := &rightsizerv1.ListPoliciesRequest{PageSize: size, Namespaces: namespaces}
		for {
			resp, err := s.ListPolicies(everybody(t), req)
			require.NoError(t, err)
			for _, found := range resp.GetPolicies() {
				names = append(names, found.GetName())
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				return names
			}
		}
	}
	all := []string{"z", "p-0", "p-2", "p-4", "p-1", "p-3"}
	for size := range int32(7) {
		assert.Equal(t, all, read(size))
	}
	assert.Equal(t, []string{"z", "p-1", "p-3"}, read(2, "ns-1"), "with those for the cluster")
}

func TestPoliciesThatAreNotKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		code   connect.Code
		reason string
	}{
		{errors.New("watch is down"), connect.CodeUnavailable, rpc.ReasonPoliciesUnknown},
		{fmt.Errorf("%w: gone", rpc.ErrNoWorkload), connect.CodeNotFound, rpcerr.ReasonNotFound},
		{rpc.WorkloadKindError{Reason: "must be one of"}, connect.CodeInvalidArgument, rpcerr.ReasonInvalidArgument},
	} {
		s := rpc.NewPolicyService(synced(), &policies{err: c.err})
		_, err := s.ExplainPolicy(everybody(t), &rightsizerv1.ExplainPolicyRequest{Namespace: "a", Kind: "Deployment", Name: "b"})
		assert.Equal(t, c.code, connect.CodeOf(err))
		assert.Equal(t, c.reason, rpcerr.Reason(err))
	}
	_, err := rpc.NewPolicyService(synced(), &policies{err: errors.New("watch is down")}).ListPolicies(everybody(t), &rightsizerv1.ListPoliciesRequest{})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	assert.NotContains(t, err.Error(), "watch is down", "what the API server said may name addresses")
	_, err = rpc.NewPolicyService(synced(), &policies{}).ListPolicies(everybody(t), &rightsizerv1.ListPoliciesRequest{Cluster: "another"})
	assert.Equal(t, rpcerr.ReasonClusterNotFound, rpcerr.Reason(err))
}

func TestPoliciesOfOtherNamespacesAndOfTheClusterAreForWhoMaySeeThem(t *testing.T) {
	p := &policies{all: []*rightsizerv1.Policy{{Name: "z"}, {Namespace: "shop", Name: "a"}, {Namespace: "bank", Name: "b"}}}
	resp, err := rpc.NewPolicyService(synced(), p).ListPolicies(auth.WithGrant(t.Context(), auth.Only("shop")), &rightsizerv1.ListPoliciesRequest{AllowedOnly: true})
	require.NoError(t, err)
	require.Len(t, resp.GetPolicies(), 1)
	assert.Equal(t, "a", resp.GetPolicies()[0].GetName())
}

// Policies of the cluster that do not reach a workload are not its owner's to know.
func TestExplainPolicyTellsOfWhatReachesTheWorkload(t *testing.T) {
	t.Parallel()
	p := &policies{matches: []*rightsizerv1.PolicyMatch{
		{Policy: &rightsizerv1.Policy{Namespace: "shop", Name: "a"}},
		{Policy: &rightsizerv1.Policy{Name: "reaches"}, Selected: true},
		{Policy: &rightsizerv1.Policy{Name: "for the vault"}, Reason: "its namespaceSelector wants vault"},
	}}
	req := &rightsizerv1.ExplainPolicyRequest{Namespace: "shop", Kind: "Deployment", Name: "web"}
	resp, err := rpc.NewPolicyService(synced(), p).ExplainPolicy(auth.WithGrant(t.Context(), auth.Only("shop")), req)
	require.NoError(t, err)
	assert.Len(t, resp.GetMatches(), 2)
	assert.NotContains(t, resp.String(), "vault")
	resp, err = rpc.NewPolicyService(synced(), p).ExplainPolicy(everybody(t), req)
	require.NoError(t, err)
	assert.Len(t, resp.GetMatches(), 3)
}

func TestExplainPolicyOfANameThatNoWorkloadCanHave(t *testing.T) {
	t.Parallel()
	s := rpc.NewPolicyService(synced(), &policies{err: errors.New("invalid name")})
	for field, req := range map[string]*rightsizerv1.ExplainPolicyRequest{
		"name":      {Namespace: "shop", Kind: "Deployment", Name: "../../secrets"},
		"namespace": {Namespace: "Shop/x", Kind: "Deployment", Name: "web"},
	} {
		_, err := s.ExplainPolicy(everybody(t), req)
		assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), field)
		assert.ErrorContains(t, err, field)
	}
}
