package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// sizingServer answers two pages, and keeps what it was asked.
type sizingServer struct {
	rightsizerv1connect.UnimplementedWorkloadServiceHandler

	asked []*rightsizerv1.ListRecommendationsRequest
}

func (s *sizingServer) ListRecommendations(_ context.Context, req *rightsizerv1.ListRecommendationsRequest) (*rightsizerv1.ListRecommendationsResponse, error) {
	s.asked = append(s.asked, req)
	r := &rightsizerv1.Recommendation{
		Namespace: "shop", Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"}, Container: "app",
		CurrentRequests: &rightsizerv1.Resources{CpuMillis: 1000, MemoryBytes: 1 << 30},
		TargetRequests:  &rightsizerv1.Resources{CpuMillis: 250, MemoryBytes: 300<<20 + 1},
		OomRisk:         0.012, MonthlyCostDelta: -12.5, MemoryChangeDue: true, Explanation: "because",
		BoundBy: []string{"memory: floor", "stale data"},
	}
	if req.GetPageToken() == "" {
		return &rightsizerv1.ListRecommendationsResponse{Recommendations: []*rightsizerv1.Recommendation{r}, NextPageToken: "more"}, nil
	}
	return &rightsizerv1.ListRecommendationsResponse{Recommendations: []*rightsizerv1.Recommendation{
		{Namespace: "shop", Workload: &rightsizerv1.WorkloadRef{Kind: "Job", Name: "new"}, Container: "job"},
	}}, nil
}

func (s *sizingServer) GetSavings(context.Context, *rightsizerv1.GetSavingsRequest) (*rightsizerv1.GetSavingsResponse, error) {
	one := &rightsizerv1.Savings{Scope: "shop", CurrentMonthlyCost: 30, RecommendedMonthlyCost: 17.5, PriceSource: "configuration"}
	total := &rightsizerv1.Savings{Scope: "cluster", CurrentMonthlyCost: 30, RecommendedMonthlyCost: 17.5}
	most := &rightsizerv1.Savings{Scope: "shop/Deployment/web", CurrentMonthlyCost: 20, RecommendedMonthlyCost: 11.25}
	return &rightsizerv1.GetSavingsResponse{Total: total, Namespaces: []*rightsizerv1.Savings{one}, Workloads: []*rightsizerv1.Savings{most}, TotalSize: 4}, nil
}

func TestRecommendations(t *testing.T) {
	s := &sizingServer{}
	mux := http.NewServeMux()
	mux.Handle(rightsizerv1connect.NewWorkloadServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	code, out, errOut := call(t, "recommendations", "--server", server.URL, "-n", "shop", "--order-by=savings", "--due", "--explain")
	require.Zero(t, code, errOut)
	for _, want := range []string{"1000m → 250m", "1024Mi → 301Mi", "1.2%", "-12.50", "memory", "memory: floor and 1 more", "because", "Job/new"} {
		assert.Contains(t, out, want)
	}
	assert.Equal(t, "savings", s.asked[0].GetOrderBy())
	assert.True(t, s.asked[0].GetChangeDue())
	assert.Equal(t, "more", s.asked[1].GetPageToken())

	code, out, _ = call(t, "recommendations", "--server", server.URL, "-o", "json")
	require.Zero(t, code)
	assert.Contains(t, out, `"memoryChangeDue":true`)

	code, out, errOut = call(t, "recommendations", "--server", server.URL, "--savings")
	require.Zero(t, code)
	assert.Contains(t, out, "12.50")
	assert.Contains(t, out, "shop/Deployment/web")
	assert.Contains(t, out, "8.75")
	assert.Contains(t, errOut, "3 workloads save less")
	code, _, errOut = call(t, "recommendations", "--savings", "--due")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "--savings")
}
