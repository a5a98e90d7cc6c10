package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// repairServer keeps what it was asked.
type repairServer struct {
	rightsizerv1connect.UnimplementedRemediationServiceHandler

	listed  []*rightsizerv1.ListRemediationsRequest
	decided []string
}

func repaired(name string) *rightsizerv1.Remediation {
	return &rightsizerv1.Remediation{
		Namespace: "shop", Name: name, Etag: "42", State: rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL,
		Action: &rightsizerv1.RemediationAction{Kind: "resize_in_place"}, Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"},
		Container: "app", Risk: rightsizerv1.RiskLevel_RISK_LEVEL_MEDIUM, RiskReasons: []string{"something is taken away (+1)"},
		Diff: `[{"op":"replace"}]`, Message: "needs \u202eapproval", Policy: "RightSizerPolicy/shop/default",
		Targets: []*rightsizerv1.RemediationTarget{{Pod: "web-1", Result: "Applied"}},
	}
}

func (s *repairServer) ListRemediations(_ context.Context, req *rightsizerv1.ListRemediationsRequest) (*rightsizerv1.ListRemediationsResponse, error) {
	s.listed = append(s.listed, req)
	if req.GetPageToken() == "" {
		return &rightsizerv1.ListRemediationsResponse{Remediations: []*rightsizerv1.Remediation{repaired("r-1")}, NextPageToken: "more"}, nil
	}
	return &rightsizerv1.ListRemediationsResponse{Remediations: []*rightsizerv1.Remediation{repaired("r-2")}}, nil
}

func (s *repairServer) GetRemediation(_ context.Context, req *rightsizerv1.GetRemediationRequest) (*rightsizerv1.GetRemediationResponse, error) {
	return &rightsizerv1.GetRemediationResponse{Remediation: repaired(req.GetName())}, nil
}

func (s *repairServer) decide(verb, namespace, name, etag, reason string) (*rightsizerv1.Remediation, error) {
	s.decided = append(s.decided, verb+" "+namespace+"/"+name+" "+etag+" "+reason)
	if etag == "stale" {
		return nil, connect.NewError(connect.CodeAborted, assert.AnError)
	}
	return repaired(name), nil
}

func (s *repairServer) ApproveRemediation(_ context.Context, r *rightsizerv1.ApproveRemediationRequest) (*rightsizerv1.ApproveRemediationResponse, error) {
	one, err := s.decide("approve", r.GetNamespace(), r.GetName(), r.GetEtag(), r.GetReason())
	return &rightsizerv1.ApproveRemediationResponse{Remediation: one}, err
}

func (s *repairServer) RejectRemediation(_ context.Context, r *rightsizerv1.RejectRemediationRequest) (*rightsizerv1.RejectRemediationResponse, error) {
	one, err := s.decide("reject", r.GetNamespace(), r.GetName(), r.GetEtag(), r.GetReason())
	return &rightsizerv1.RejectRemediationResponse{Remediation: one}, err
}

func (s *repairServer) CancelRemediation(_ context.Context, r *rightsizerv1.CancelRemediationRequest) (*rightsizerv1.CancelRemediationResponse, error) {
	one, err := s.decide("cancel", r.GetNamespace(), r.GetName(), r.GetEtag(), r.GetReason())
	return &rightsizerv1.CancelRemediationResponse{Remediation: one}, err
}

func (s *repairServer) RollbackRemediation(_ context.Context, r *rightsizerv1.RollbackRemediationRequest) (*rightsizerv1.RollbackRemediationResponse, error) {
	one, err := s.decide("rollback", r.GetNamespace(), r.GetName(), r.GetEtag(), r.GetReason())
	return &rightsizerv1.RollbackRemediationResponse{Remediation: one}, err
}

func TestRemediations(t *testing.T) {
	s := &repairServer{}
	mux := http.NewServeMux()
	mux.Handle(rightsizerv1connect.NewRemediationServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	code, out, errOut := call(t, "remediations", "list", "--server", server.URL, "-n", "shop", "--state=pending_approval,verifying")
	require.Zero(t, code, errOut)
	for _, want := range []string{"r-1", "r-2", "Deployment/web", "app", "resize_in_place", "medium", "pending_approval"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "\u202e", "what could hide text is shown as such")
	assert.Equal(t, []rightsizerv1.RemediationState{
		rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL, rightsizerv1.RemediationState_REMEDIATION_STATE_VERIFYING,
	}, s.listed[0].GetStates())
	assert.Equal(t, "more", s.listed[1].GetPageToken())
	code, out, _ = call(t, "remediations", "list", "--server", server.URL, "--limit=1", "-o", "json")
	require.Zero(t, code)
	assert.Contains(t, out, `"r-1"`)
	assert.NotContains(t, out, `"r-2"`)

	code, out, errOut = call(t, "rem", "get", "r-9", "-n", "shop", "--server", server.URL)
	require.Zero(t, code, errOut)
	for _, want := range []string{"shop/r-9", "- something is taken away (+1)", `[{"op":"replace"}]`, "web-1 Applied", "42"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "\u202e")
	code, out, _ = call(t, "remediations", "get", "r-9", "-n", "shop", "--server", server.URL, "-o", "yaml")
	require.Zero(t, code)
	assert.Contains(t, out, "r-9")
	assert.NotContains(t, out, "\u202e")

	for _, verb := range []string{"approve", "reject", "cancel", "rollback"} {
		code, out, errOut = call(t, "remediations", verb, "r-1", "-n", "shop", "--server", server.URL, "--etag=42", "--reason=seen")
		require.Zero(t, code, errOut)
		assert.Contains(t, out, "shop/r-1")
	}
	assert.Equal(t, []string{"approve shop/r-1 42 seen", "reject shop/r-1 42 seen", "cancel shop/r-1 42 seen", "rollback shop/r-1 42 seen"}, s.decided)
	code, _, errOut = call(t, "remediations", "approve", "r-1", "-n", "shop", "--server", server.URL, "--etag=stale")
	assert.NotZero(t, code)
	assert.NotEmpty(t, errOut)

	for _, args := range [][]string{
		{"remediations"},
		{"remediations", "list", "--state=done"},
		{"remediations", "list", "--limit=-1"},
		{"remediations", "get", "r-1"},
		{"remediations", "get", "-n", "shop"},
		{"remediations", "approve", "a", "b", "-n", "shop"},
		{"remediations", "approve", "a", "-n", "shop", "-o", "xml"},
	} {
		code, _, errOut = call(t, args...)
		assert.Equal(t, exitUsage, code, "%v: %s", args, errOut)
	}
}
