package rpc

import (
	"context"
	"slices"
	"strings"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Sizing is what is recommended, and what it would save. The messages that it
// returns are not changed by anybody; the slices belong to the caller.
type Sizing interface {
	// SizingReady is nil where recommendations can be given, else why not: the
	// first usage is awaited, or another replica has it.
	SizingReady() error
	// Recommendations lists one for each container of these namespaces, of all
	// where none is named, in any order.
	Recommendations(namespaces []string) []*rightsizerv1.Recommendation
	// Recommendation returns that of one container, false where there is none.
	Recommendation(namespace, kind, name, container string) (*rightsizerv1.Recommendation, bool)
	// Savings sums these namespaces, all where none is named: the total, each
	// namespace and each workload, the largest saving first.
	Savings(in []string) (total *rightsizerv1.Savings, namespaces, workloads []*rightsizerv1.Savings)
}

// ReasonNoUsage says: recommendations need usage, and there is none here yet.
const ReasonNoUsage = "NO_USAGE"

// retrySizing is when a client should ask again: usage is polled about once in
// this time.
const retrySizing = 15 * time.Second

// maxSavings is how many namespaces one answer names.
const maxSavings = 1000

func (s *WorkloadService) sizable(ctx context.Context, cluster, procedure string) error {
	if err := answerable(ctx, s.source, s.health, cluster); err != nil {
		return err
	}
	if s.sizing == nil {
		return rpcerr.Unimplemented(procedure)
	}
	if err := s.sizing.SizingReady(); err != nil {
		return rpcerr.Unavailable(ReasonNoUsage, "no recommendation can be given: "+err.Error(), retrySizing)
	}
	return nil
}

// ListRecommendations implements WorkloadServiceHandler.
func (s *WorkloadService) ListRecommendations(ctx context.Context, req *rightsizerv1.ListRecommendationsRequest) (*rightsizerv1.ListRecommendationsResponse, error) {
	if err := s.sizable(ctx, req.GetCluster(), rightsizerv1connect.WorkloadServiceListRecommendationsProcedure); err != nil {
		return nil, err
	}
	in, some := within(auth.GrantOf(ctx), req.GetNamespaces())
	if !some {
		return &rightsizerv1.ListRecommendationsResponse{}, nil
	}
	leave, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	matching := slices.DeleteFunc(s.sizing.Recommendations(in), func(r *rightsizerv1.Recommendation) bool { return !wanted(req, r) })
	found, next, err := list(req, matching, recommendationOrder(req.GetOrderBy()))
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ListRecommendationsResponse{Recommendations: found, NextPageToken: next, TotalSize: count(matching)}, nil
}

// wanted applies the conditions of the request but its namespaces.
func wanted(req *rightsizerv1.ListRecommendationsRequest, r *rightsizerv1.Recommendation) bool {
	if req.GetChangeDue() && !r.GetCpuChangeDue() && !r.GetMemoryChangeDue() {
		return false
	}
	if len(req.GetWorkloads()) == 0 {
		return true
	}
	return slices.ContainsFunc(req.GetWorkloads(), func(asked string) bool {
		kind, name, both := strings.Cut(asked, "/")
		if !both {
			return asked == r.GetWorkload().GetName()
		}
		return kind == r.GetWorkload().GetKind() && name == r.GetWorkload().GetName()
	})
}

// recommendationOrder returns the place of a recommendation in the order asked
// for. The schema has refused orders that are not listed here.
func recommendationOrder(orderBy string) func(*rightsizerv1.Recommendation) order {
	rank := func(*rightsizerv1.Recommendation) int64 { return 0 }
	switch orderBy {
	case "savings":
		rank = func(r *rightsizerv1.Recommendation) int64 { return int64(-100 * r.GetMonthlyCostDelta()) }
	case "oom_risk":
		rank = func(r *rightsizerv1.Recommendation) int64 { return int64(1e6 * r.GetOomRisk()) }
	case "memory_change":
		rank = func(r *rightsizerv1.Recommendation) int64 {
			return distance(r.GetCurrentRequests().GetMemoryBytes(), r.GetTargetRequests().GetMemoryBytes())
		}
	case "cpu_change":
		rank = func(r *rightsizerv1.Recommendation) int64 {
			return distance(r.GetCurrentRequests().GetCpuMillis(), r.GetTargetRequests().GetCpuMillis())
		}
	}
	return func(r *rightsizerv1.Recommendation) order {
		w := r.GetWorkload()
		return order{rank: rank(r), key: strings.Join([]string{r.GetNamespace(), w.GetKind(), w.GetName(), r.GetContainer()}, "\x00")}
	}
}

func distance(a, b int64) int64 {
	return max(a, b) - min(a, b)
}

// GetRecommendation implements WorkloadServiceHandler.
func (s *WorkloadService) GetRecommendation(ctx context.Context, req *rightsizerv1.GetRecommendationRequest) (*rightsizerv1.GetRecommendationResponse, error) {
	if err := s.sizable(ctx, req.GetCluster(), rightsizerv1connect.WorkloadServiceGetRecommendationProcedure); err != nil {
		return nil, err
	}
	found, ok := s.sizing.Recommendation(req.GetNamespace(), req.GetKind(), req.GetName(), req.GetContainer())
	if !ok {
		return nil, rpcerr.NotFound(rpcerr.ReasonNotFound, "recommendation",
			"container "+req.GetContainer()+" of "+req.GetKind()+"/"+req.GetName()+" in namespace "+req.GetNamespace(),
			"namespace", req.GetNamespace(), "workload_kind", req.GetKind(), "workload_name", req.GetName(), "container", req.GetContainer())
	}
	return &rightsizerv1.GetRecommendationResponse{Recommendation: found}, nil
}

// within is which namespaces to look into, all where it names none; some is false where
// the caller may see nothing. Whoever names some may see each of them.
func within(grant auth.Grant, asked []string) (in []string, some bool) {
	if len(asked) > 0 || grant.All() {
		return asked, true
	}
	return grant.Namespaces(), len(grant.Namespaces()) > 0
}

// GetSavings implements WorkloadServiceHandler.
func (s *WorkloadService) GetSavings(ctx context.Context, req *rightsizerv1.GetSavingsRequest) (*rightsizerv1.GetSavingsResponse, error) {
	if err := s.sizable(ctx, req.GetCluster(), rightsizerv1connect.WorkloadServiceGetSavingsProcedure); err != nil {
		return nil, err
	}
	in, some := within(auth.GrantOf(ctx), req.GetNamespaces())
	if !some {
		return &rightsizerv1.GetSavingsResponse{}, nil
	}
	leave, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	total, each, workloads := s.sizing.Savings(in)
	found, next, err := list(req, workloads, bySaving)
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.GetSavingsResponse{
		Total: total, Namespaces: each[:min(len(each), maxSavings)], Workloads: found, NextPageToken: next, TotalSize: count(workloads),
	}, nil
}

// bySaving has the largest saving first.
func bySaving(s *rightsizerv1.Savings) order {
	return order{rank: int64(100 * (s.GetCurrentMonthlyCost() - s.GetRecommendedMonthlyCost())), key: s.GetScope()}
}
