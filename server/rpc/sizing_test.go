package rpc_test

import (
	"errors"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// sizes is a Sizing that the test sets.
type sizes struct {
	ready error
	all   []*rightsizerv1.Recommendation
}

func (s *sizes) SizingReady() error { return s.ready }

func (s *sizes) Recommendations(namespaces []string) []*rightsizerv1.Recommendation {
	return slices.DeleteFunc(slices.Clone(s.all), func(r *rightsizerv1.Recommendation) bool {
		return len(namespaces) > 0 && !slices.Contains(namespaces, r.GetNamespace())
	})
}

func (s *sizes) Recommendation(namespace, kind, name, container string) (*rightsizerv1.Recommendation, bool) {
	for _, r := range s.all {
		if r.GetNamespace() == namespace && r.GetWorkload().GetKind() == kind && r.GetWorkload().GetName() == name && r.GetContainer() == container {
			return r, true
		}
	}
	return nil, false
}

func (s *sizes) Savings([]string) (total *rightsizerv1.Savings, namespaces, workloads []*rightsizerv1.Savings) {
	for name, saves := range map[string]float64{"a": 1, "b": 30, "c": 2} {
		workloads = append(workloads, &rightsizerv1.Savings{Scope: "shop/Deployment/" + name, CurrentMonthlyCost: 50, RecommendedMonthlyCost: 50 - saves})
	}
	return &rightsizerv1.Savings{Scope: "cluster", CurrentMonthlyCost: 3}, []*rightsizerv1.Savings{{Scope: "shop"}}, workloads
}

func recommendation(namespace, name, container string, delta float64, due bool) *rightsizerv1.Recommendation {
	return &rightsizerv1.Recommendation{
		Namespace: namespace, Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: name}, Container: container,
		MonthlyCostDelta: delta, MemoryChangeDue: due,
		CurrentRequests: &rightsizerv1.Resources{CpuMillis: 100}, TargetRequests: &rightsizerv1.Resources{CpuMillis: int64(100 + delta)},
	}
}

func sized() *sizes {
	return &sizes{all: []*rightsizerv1.Recommendation{
		recommendation("shop", "web", "app", -3, true), recommendation("shop", "web", "proxy", -30, false),
		recommendation("bank", "api", "app", 7, true),
	}}
}

func listed(t *testing.T, s *rpc.WorkloadService, req *rightsizerv1.ListRecommendationsRequest) []string {
	t.Helper()
	var out []string
	for {
		got, err := s.ListRecommendations(everybody(t), req)
		require.NoError(t, err)
		for _, r := range got.GetRecommendations() {
			out = append(out, r.GetNamespace()+"/"+r.GetWorkload().GetName()+"/"+r.GetContainer())
		}
		if req.PageToken = got.GetNextPageToken(); req.PageToken == "" {
			return out
		}
	}
}

func TestRecommendationsAreFilteredOrderedAndPaged(t *testing.T) {
	t.Parallel()
	w := synced()
	s := rpc.NewWorkloadService(w, w, sized())
	for name, c := range map[string]struct {
		req  *rightsizerv1.ListRecommendationsRequest
		want []string
	}{
		"by name, one a page": {&rightsizerv1.ListRecommendationsRequest{PageSize: 1}, []string{"bank/api/app", "shop/web/app", "shop/web/proxy"}},
		"by savings":          {&rightsizerv1.ListRecommendationsRequest{OrderBy: "savings"}, []string{"shop/web/proxy", "shop/web/app", "bank/api/app"}},
		"by change of CPU":    {&rightsizerv1.ListRecommendationsRequest{OrderBy: "cpu_change"}, []string{"shop/web/proxy", "bank/api/app", "shop/web/app"}},
		"due":                 {&rightsizerv1.ListRecommendationsRequest{ChangeDue: true}, []string{"bank/api/app", "shop/web/app"}},
		"of a namespace":      {&rightsizerv1.ListRecommendationsRequest{Namespaces: []string{"bank"}}, []string{"bank/api/app"}},
		"of a name":           {&rightsizerv1.ListRecommendationsRequest{Workloads: []string{"web"}}, []string{"shop/web/app", "shop/web/proxy"}},
		"of kind and name":    {&rightsizerv1.ListRecommendationsRequest{Workloads: []string{"StatefulSet/web", "Deployment/api"}}, []string{"bank/api/app"}},
	} {
		assert.Equal(t, c.want, listed(t, s, c.req), name)
	}
}

func TestOneRecommendationAndSavings(t *testing.T) {
	t.Parallel()
	w := synced()
	s := rpc.NewWorkloadService(w, w, sized())
	req := &rightsizerv1.GetRecommendationRequest{Namespace: "shop", Kind: "Deployment", Name: "web", Container: "app"}
	got, err := s.GetRecommendation(everybody(t), req)
	require.NoError(t, err)
	assert.InDelta(t, -3, got.GetRecommendation().GetMonthlyCostDelta(), 0)
	req.Container = "absent"
	_, err = s.GetRecommendation(everybody(t), req)
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	savings, err := s.GetSavings(everybody(t), &rightsizerv1.GetSavingsRequest{})
	require.NoError(t, err)
	assert.Equal(t, "cluster", savings.GetTotal().GetScope())
	assert.Len(t, savings.GetNamespaces(), 1)
	var most []string
	for page := (&rightsizerv1.GetSavingsRequest{PageSize: 1}); ; page.PageToken = savings.GetNextPageToken() {
		savings, err = s.GetSavings(everybody(t), page)
		require.NoError(t, err)
		assert.EqualValues(t, 3, savings.GetTotalSize())
		for _, w := range savings.GetWorkloads() {
			most = append(most, w.GetScope())
		}
		if savings.GetNextPageToken() == "" {
			break
		}
	}
	assert.Equal(t, []string{"shop/Deployment/b", "shop/Deployment/c", "shop/Deployment/a"}, most)
}

func TestWithoutUsageThereIsNoRecommendation(t *testing.T) {
	t.Parallel()
	w := synced()
	_, err := rpc.NewWorkloadService(w, w, nil).ListRecommendations(everybody(t), &rightsizerv1.ListRecommendationsRequest{})
	assert.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
	waiting := &sizes{ready: errors.New("no usage source has answered yet")}
	_, err = rpc.NewWorkloadService(w, w, waiting).GetSavings(everybody(t), &rightsizerv1.GetSavingsRequest{})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	assert.Equal(t, rpc.ReasonNoUsage, rpcerr.Reason(err))
	require.ErrorContains(t, err, "no usage source")
	assert.Positive(t, retryInfo(t, err).GetRetryDelay().AsDuration())
}
