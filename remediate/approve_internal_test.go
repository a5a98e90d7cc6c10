package remediate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Four eyes are two people, by whatever name and on whatever way they come.
func TestFourEyes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by, via, approver, approverVia string
		kubectl, fourEyes              bool
		decision                       v1alpha1.Decision
		err                            error
	}{
		"a policy asked":                    {"", "", "alice", "kubernetes", true, true, v1alpha1.DecisionApprove, nil},
		"another, through the API":          {"oidc:alice", "oidc", "oidc:bob", "oidc", false, true, v1alpha1.DecisionApprove, nil},
		"the same, through the API":         {"oidc:alice", "oidc", "oidc:alice", "oidc", false, true, v1alpha1.DecisionApprove, ErrFourEyes},
		"another, by kubectl":               {"alice", "kubernetes", "bob", "kubernetes", true, true, v1alpha1.DecisionApprove, nil},
		"the same, by kubectl":              {"alice", "kubernetes", "alice", "kubernetes", true, true, v1alpha1.DecisionApprove, ErrFourEyes},
		"maybe the same, by kubectl":        {"oidc:alice", "oidc", "alice", "kubernetes", true, true, v1alpha1.DecisionApprove, ErrTwoNames},
		"a machine's name, by kubectl":      {"alice", "static", "bob", "kubernetes", true, true, v1alpha1.DecisionApprove, ErrTwoNames},
		"maybe the same, by another login":  {"oidc:alice", "oidc", "alice", "kubernetes", false, true, v1alpha1.DecisionApprove, ErrTwoNames},
		"nobody was asked who he is":        {"anonymous", "", "alice", "kubernetes", true, true, v1alpha1.DecisionApprove, ErrTwoNames},
		"two eyes do":                       {"oidc:alice", "oidc", "alice", "kubernetes", true, false, v1alpha1.DecisionApprove, nil},
		"anybody may turn down, by kubectl": {"oidc:alice", "oidc", "alice", "kubernetes", true, true, v1alpha1.DecisionReject, nil},
	} {
		r := &v1alpha1.Remediation{}
		r.Spec.RequestedBy, r.Spec.RequestedVia, r.Spec.Approval.FourEyes = c.by, c.via, c.fourEyes
		err := mayDecide(r, &v1alpha1.ApprovalDecision{Decision: c.decision, User: c.approver}, Person{Via: c.approverVia}, c.kubectl)
		if c.err == nil {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorIs(t, err, c.err, name)
		}
	}

	// Who approves where is then said by the policy.
	r := &v1alpha1.Remediation{}
	r.Spec.RequestedBy, r.Spec.RequestedVia, r.Spec.Approval.FourEyes = "robot", "static", true
	r.Spec.Approval.Approvers = []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "oidc:sre"}}
	approve := &v1alpha1.ApprovalDecision{Decision: v1alpha1.DecisionApprove, User: "oidc:bob"}
	assert.NoError(t, mayDecide(r, approve, Person{Via: "oidc", Groups: []string{"oidc:sre"}}, false))
	assert.ErrorIs(t, mayDecide(r, approve, Person{Via: "oidc"}, false), ErrNoApprover)
}
