package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
		return nil, policiesUnknown(err)
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

// ExplainPolicy implements PolicyServiceHandler.
func (s *PolicyService) ExplainPolicy(ctx context.Context, req *rightsizerv1.ExplainPolicyRequest) (*rightsizerv1.ExplainPolicyResponse, error) {
	if err := named(s.source.ClusterID(), req.GetCluster()); err != nil {
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
		return nil, policiesUnknown(err)
	}
	return resp, nil
}

func policiesUnknown(err error) error {
	return rpcerr.Unavailable(ReasonPoliciesUnknown, fmt.Sprintf("it is not known now which policies there are: %v", err), retryPolicies)
}
