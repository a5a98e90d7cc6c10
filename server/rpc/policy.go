package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"k8s.io/apimachinery/pkg/util/validation"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// ReasonPoliciesUnknown says: it is not known now which policies there are.
const ReasonPoliciesUnknown = "POLICIES_UNKNOWN"

// retryPolicies is when a client should ask again.
const retryPolicies = 2 * time.Second

// ErrNoWorkload is what Policies.Explain wraps where the workload does not exist.
var ErrNoWorkload = errors.New("no such workload")

// WorkloadKindError is what Policies.Explain gives for a kind that no policy
// selects.
type WorkloadKindError struct{ Reason string }

// Error says which kinds there are.
func (e WorkloadKindError) Error() string { return e.Reason }

// Policies are the policies of the cluster. What it returns belongs to the caller.
type Policies interface {
	// Policies lists them in any order, or says why they are not known now.
	Policies() ([]*rightsizerv1.Policy, error)
	// Explain says which policy governs a workload. Its errors are
	// WorkloadKindError, ErrNoWorkload, and why it cannot be known now.
	Explain(ctx context.Context, namespace, kind, name string) (*rightsizerv1.ExplainPolicyResponse, error)
}

// PolicyService shows which policies there are and what they reach.
type PolicyService struct {
	source   Source
	policies Policies
}

var _ rightsizerv1connect.PolicyServiceHandler = (*PolicyService)(nil)

// NewPolicyService returns the service.
func NewPolicyService(source Source, policies Policies) *PolicyService {
	return &PolicyService{source: source, policies: policies}
}

// ListPolicies implements PolicyServiceHandler. Those for the cluster come first,
// for who may see all: others learn from ExplainPolicy what governs their workloads.
func (s *PolicyService) ListPolicies(ctx context.Context, req *rightsizerv1.ListPoliciesRequest) (*rightsizerv1.ListPoliciesResponse, error) {
	if err := named(s.source.ClusterID(), req.GetCluster()); err != nil {
		return nil, err
	}
	all, err := s.policies.Policies()
	if err != nil {
		return nil, policiesUnknown(ctx, err)
	}
	grant := auth.GrantOf(ctx)
	matching := slices.DeleteFunc(all, func(p *rightsizerv1.Policy) bool {
		in := req.GetNamespaces()
		return !grant.May(p.GetNamespace()) || len(in) > 0 && p.GetNamespace() != "" && !slices.Contains(in, p.GetNamespace())
	})
	policies, next, err := list(req, matching, func(p *rightsizerv1.Policy) order {
		return order{key: p.GetNamespace() + "\x00" + p.GetName()}
	})
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ListPoliciesResponse{Policies: policies, NextPageToken: next}, nil
}

// nameable refuses names that no object can have: the API server would refuse the
// question, which is no reason to ask again.
func nameable(namespace, name string) error {
	var wrong []rpcerr.Violation
	if found := validation.IsDNS1123Label(namespace); len(found) > 0 {
		wrong = append(wrong, rpcerr.Violation{Field: "namespace", Description: strings.Join(found, "; ")})
	}
	if found := validation.IsDNS1123Subdomain(name); len(found) > 0 {
		wrong = append(wrong, rpcerr.Violation{Field: "name", Description: strings.Join(found, "; ")})
	}
	if len(wrong) == 0 {
		return nil
	}
	return rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, wrong...)
}

// ExplainPolicy implements PolicyServiceHandler.
func (s *PolicyService) ExplainPolicy(ctx context.Context, req *rightsizerv1.ExplainPolicyRequest) (*rightsizerv1.ExplainPolicyResponse, error) {
	if err := named(s.source.ClusterID(), req.GetCluster()); err != nil {
		return nil, err
	}
	if err := nameable(req.GetNamespace(), req.GetName()); err != nil {
		return nil, err
	}
	resp, err := s.policies.Explain(ctx, req.GetNamespace(), req.GetKind(), req.GetName())
	var kind WorkloadKindError
	switch {
	case errors.As(err, &kind):
		return nil, rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, rpcerr.Violation{Field: "kind", Description: kind.Reason})
	case errors.Is(err, ErrNoWorkload):
		return nil, rpcerr.NotFound(rpcerr.ReasonNotFound, "workload", req.GetKind()+"/"+req.GetName()+" in namespace "+req.GetNamespace(),
			"namespace", req.GetNamespace(), "workload_kind", req.GetKind(), "workload_name", req.GetName())
	case err != nil:
		return nil, policiesUnknown(ctx, err)
	}
	return forCaller(ctx, resp), nil
}

// policiesUnknown tells nothing of what the API server said, which may name
// addresses; the health of component policies and the log do.
func policiesUnknown(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return connect.NewError(connect.CodeCanceled, err)
	}
	return rpcerr.Unavailable(ReasonPoliciesUnknown, "it is not known now which policies there are; the health of component policies and the log say more", retryPolicies)
}

// forCaller leaves out of matches what a caller may not know of: policies of the
// cluster that do not select his workload. One that does is his concern.
func forCaller(ctx context.Context, resp *rightsizerv1.ExplainPolicyResponse) *rightsizerv1.ExplainPolicyResponse {
	grant := auth.GrantOf(ctx)
	resp.Matches = slices.DeleteFunc(resp.GetMatches(), func(m *rightsizerv1.PolicyMatch) bool {
		return !m.GetSelected() && !grant.May(m.GetPolicy().GetNamespace())
	})
	return resp
}
