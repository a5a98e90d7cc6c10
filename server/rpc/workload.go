package rpc

import (
	"context"
	"math"
	"slices"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// WorkloadService answers about workloads, and how they should be sized.
type WorkloadService struct {
	source Source
	health Health
	sizing Sizing
	turns  chan struct{}
}

// atATime bounds the answers that are made at a time from everything that there is: more
// of them take no less time on the cores of an operator, and all their memory at once.
const atATime = 2

// turn waits for one of the turns.
func (s *WorkloadService) turn(ctx context.Context) (leave func(), err error) {
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err() //nolint:wrapcheck // it is the caller's
	}
}

var _ rightsizerv1connect.WorkloadServiceHandler = (*WorkloadService)(nil)

// NewWorkloadService returns the service. Without a sizing it recommends
// nothing, and says so.
func NewWorkloadService(source Source, health Health, sizing Sizing) *WorkloadService {
	return &WorkloadService{source: source, health: health, sizing: sizing, turns: make(chan struct{}, atATime)}
}

// ListWorkloads implements WorkloadServiceHandler.
func (s *WorkloadService) ListWorkloads(ctx context.Context, req *rightsizerv1.ListWorkloadsRequest) (*rightsizerv1.ListWorkloadsResponse, error) {
	if err := answerable(ctx, s.source, s.health, req.GetCluster()); err != nil {
		return nil, err
	}
	leave, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	grant := auth.GrantOf(ctx)
	matching := slices.DeleteFunc(s.source.Workloads(), func(w *rightsizerv1.Workload) bool {
		return !grant.May(w.GetNamespace()) || !matches(req, w)
	})
	workloads, next, err := list(req, matching, ranking(req.GetOrderBy()))
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ListWorkloadsResponse{Workloads: workloads, NextPageToken: next, TotalSize: count(matching)}, nil
}

func matches(req *rightsizerv1.ListWorkloadsRequest, w *rightsizerv1.Workload) bool {
	if in := req.GetNamespaces(); len(in) > 0 && !slices.Contains(in, w.GetNamespace()) {
		return false
	}
	if in := req.GetKinds(); len(in) > 0 && !slices.Contains(in, w.GetRef().GetKind()) {
		return false
	}
	if req.GetWithProblems() && w.GetOpenProblems() == 0 {
		return false
	}
	return strings.Contains(w.GetRef().GetName(), req.GetNameContains())
}

// ranking returns the place of a workload in the order asked for. The schema has
// refused orders that are not listed here.
func ranking(orderBy string) func(*rightsizerv1.Workload) order {
	rank := func(*rightsizerv1.Workload) int64 { return 0 }
	switch orderBy {
	case "restarts":
		rank = func(w *rightsizerv1.Workload) int64 { return int64(w.GetRestarts()) }
	case "memory_requested":
		rank = func(w *rightsizerv1.Workload) int64 { return w.GetRequested().GetMemoryBytes() }
	case "cpu_requested":
		rank = func(w *rightsizerv1.Workload) int64 { return w.GetRequested().GetCpuMillis() }
	case "open_problems":
		rank = func(w *rightsizerv1.Workload) int64 { return int64(w.GetOpenProblems()) }
	}
	return func(w *rightsizerv1.Workload) order {
		// NUL sorts before every character of a name, so that the key sorts
		// like the fields one after the other.
		return order{rank: rank(w), key: w.GetNamespace() + "\x00" + w.GetRef().GetKind() + "\x00" + w.GetRef().GetName()}
	}
}

// GetWorkload implements WorkloadServiceHandler.
func (s *WorkloadService) GetWorkload(ctx context.Context, req *rightsizerv1.GetWorkloadRequest) (*rightsizerv1.GetWorkloadResponse, error) {
	if err := answerable(ctx, s.source, s.health, req.GetCluster()); err != nil {
		return nil, err
	}
	found, ok := s.source.Workload(req.GetNamespace(), req.GetKind(), req.GetName())
	if !ok {
		return nil, rpcerr.NotFound(rpcerr.ReasonNotFound, "workload",
			req.GetKind()+"/"+req.GetName()+" in namespace "+req.GetNamespace(),
			"namespace", req.GetNamespace(), "workload_kind", req.GetKind(), "workload_name", req.GetName())
	}
	return found, nil
}

// count is a length as the schema's total_size.
func count[T any](entries []T) int32 {
	return int32(min(len(entries), math.MaxInt32))
}
