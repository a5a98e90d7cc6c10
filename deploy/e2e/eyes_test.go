package e2e_test

import (
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// decider makes an account that may decide on remediations of namespace ours, and,
// with the real verbs, do to its pods what they do.
func (c *callers) decider(t *testing.T, name string, editor bool) string {
	t.Helper()
	c.account(t, name)
	for role, rules := range map[string][]rbacv1.PolicyRule{
		"decider": {{APIGroups: []string{"rightsizer.dev"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
		"editor":  {{APIGroups: []string{"", "apps"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	} {
		if role == "editor" && !editor {
			continue
		}
		_, err := c.kube.RbacV1().Roles(ours).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: rules}, metav1.CreateOptions{})
		require.True(t, err == nil || apierrors.IsAlreadyExists(err), "%v", err)
		_, err = c.kube.RbacV1().RoleBindings(ours).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-" + role}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: ours}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	return c.token(t, name, "rightsizer.dev")
}

func (o *operator) remediationsAs(token string) rightsizerv1connect.RemediationServiceClient {
	return rightsizerv1connect.NewRemediationServiceClient(showing(token), o.url)
}

// fourEyes has somebody ask for a change and try to have it by himself, by another's
// request, and by somebody who may approve but not do it; what is refused is audited.
func fourEyes(t *testing.T, o *operator, who *callers, viewer, admin string) {
	t.Helper()
	governed(t, ours, "approve", nil)
	hungry(t, ours, "web", 1, "64Mi", "10", "")
	alice, bob, carol := who.decider(t, "alice", true), who.decider(t, "bob", true), who.decider(t, "carol", false)
	wish := &rightsizerv1.CreateRemediationRequest{
		Namespace: ours, Kind: "Deployment", Name: "web", Container: "app", Reason: "a campaign", RequestId: "campaign",
		Action: &rightsizerv1.RemediationAction{Kind: "resize_in_place", Limits: &rightsizerv1.Resources{MemoryBytes: 96 * mi}},
	}
	var made *rightsizerv1.CreateRemediationResponse
	var err error
	require.Eventually(t, func() bool { // once its pod runs
		made, err = o.remediationsAs(alice).CreateRemediation(t.Context(), wish)
		return err == nil
	}, patience, poll, "%v", err)
	name := made.GetRemediation().GetName()
	again, err := o.remediationsAs(alice).CreateRemediation(t.Context(), wish)
	require.NoError(t, err)
	assert.Equal(t, made.GetRemediation().GetUid(), again.GetRemediation().GetUid(), "the same request has one effect")
	wish.Reason = "another campaign"
	_, err = o.remediationsAs(alice).CreateRemediation(t.Context(), wish)
	assert.Equal(t, connect.CodeAborted, connect.CodeOf(err), "the same request_id with another body")
	assertDetail(t, err, "REQUEST_ID_REUSED")

	require.Eventually(t, func() bool {
		one, err := o.remediationsAs(alice).GetRemediation(t.Context(), &rightsizerv1.GetRemediationRequest{Namespace: ours, Name: name})
		return err == nil && one.GetRemediation().GetState() == rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL
	}, patience, poll)
	approval := &rightsizerv1.ApproveRemediationRequest{Namespace: ours, Name: name, RequestId: "yes", Reason: "it is right"}
	for what, token := range map[string]string{"who asked": alice, "who may not do it himself": carol, "who may only look": viewer} {
		_, err = o.remediationsAs(token).ApproveRemediation(t.Context(), approval)
		assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "%s: %v", what, err)
	}
	first, err := o.remediationsAs(bob).ApproveRemediation(t.Context(), approval)
	require.NoError(t, err)
	assert.Contains(t, first.GetRemediation().GetDecidedBy(), "bob")
	second, err := o.remediationsAs(bob).ApproveRemediation(t.Context(), approval)
	require.NoError(t, err)
	assert.Equal(t, first.GetRemediation().GetEtag(), second.GetRemediation().GetEtag(), "the same answer")
	approval.Reason = "it is wrong"
	_, err = o.remediationsAs(bob).ApproveRemediation(t.Context(), approval)
	assert.Equal(t, connect.CodeAborted, connect.CodeOf(err))

	chain := rightsizerv1connect.NewAuditServiceClient(showing(admin), o.url)
	missing := map[string]bool{"alice": true, "carol": true, "viewer": true}
	require.Eventually(t, func() bool {
		page, err := chain.ListAuditRecords(t.Context(), &rightsizerv1.ListAuditRecordsRequest{Namespaces: []string{ours}, Actions: []string{"access.denied"}})
		for _, r := range page.GetRecords() {
			for who := range missing {
				if r.GetActor() == "system:serviceaccount:"+ours+":"+who {
					delete(missing, who)
				}
			}
		}
		return err == nil && len(missing) == 0
	}, patience, poll, "refusals without a record: %v", missing)
}
