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
		by, via, approver string
		kubectl, fourEyes bool
		decision          v1alpha1.Decision
		err               error
	}{
		"a policy asked":                    {"", "", "alice", true, true, v1alpha1.DecisionApprove, nil},
		"another, through the API":          {"oidc:alice", "oidc", "oidc:bob", false, true, v1alpha1.DecisionApprove, nil},
		"the same, through the API":         {"oidc:alice", "oidc", "oidc:alice", false, true, v1alpha1.DecisionApprove, ErrFourEyes},
		"another, by kubectl":               {"alice", "kubernetes", "bob", true, true, v1alpha1.DecisionApprove, nil},
		"the same, by kubectl":              {"alice", "kubernetes", "alice", true, true, v1alpha1.DecisionApprove, ErrFourEyes},
		"maybe the same, by kubectl":        {"oidc:alice", "oidc", "alice", true, true, v1alpha1.DecisionApprove, ErrTwoNames},
		"a machine's name, by kubectl":      {"alice", "static", "bob", true, true, v1alpha1.DecisionApprove, ErrTwoNames},
		"nobody was asked who he is":        {"anonymous", "", "alice", true, true, v1alpha1.DecisionApprove, ErrTwoNames},
		"two eyes do":                       {"oidc:alice", "oidc", "alice", true, false, v1alpha1.DecisionApprove, nil},
		"anybody may turn down, by kubectl": {"oidc:alice", "oidc", "alice", true, true, v1alpha1.DecisionReject, nil},
	} {
		r := &v1alpha1.Remediation{}
		r.Spec.RequestedBy, r.Spec.RequestedVia, r.Spec.Approval.FourEyes = c.by, c.via, c.fourEyes
		err := mayDecide(r, &v1alpha1.ApprovalDecision{Decision: c.decision, User: c.approver}, nil, c.kubectl)
		if c.err == nil {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorIs(t, err, c.err, name)
		}
	}
}
