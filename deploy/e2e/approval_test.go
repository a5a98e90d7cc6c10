package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// resting leaves a container alone for a while after each kill but the first: it is
// not killed all the time until somebody has decided.
const resting = `sim.rightsizer.dev/back-off-seconds: "20", sim.rightsizer.dev/back-off-max-seconds: "20"`

func (o *operator) remediationClient() rightsizerv1connect.RemediationServiceClient {
	return rightsizerv1connect.NewRemediationServiceClient(http.DefaultClient, o.url)
}

// cli runs the binary as a user does.
func (o *operator) cli(args ...string) (string, error) {
	path, err := binary()
	require.NoError(o.t, err)
	out, err := exec.CommandContext(o.t.Context(), path, append(args, "--server="+o.url)...).CombinedOutput()
	return string(out), err
}

// assertDetail holds that a detail of an error says something: its reason, or the
// field that is wrong.
func assertDetail(t *testing.T, err error, want string) {
	t.Helper()
	var coded *connect.Error
	require.ErrorAs(t, err, &coded)
	assert.True(t, slices.ContainsFunc(coded.Details(), func(d *connect.ErrorDetail) bool {
		return strings.Contains(string(d.Bytes()), want)
	}), "%s in the details of: %v", want, err)
}

// waitState waits until a workload's Remediation is in a state, and returns it.
func (o *operator) waitState(namespace, workload string, want rightsizerv1.RemediationState) *rightsizerv1.Remediation {
	o.t.Helper()
	var found *rightsizerv1.Remediation
	var last []string // of this workload's
	if !assert.Eventually(o.t, func() bool {
		resp, err := o.remediationClient().ListRemediations(o.t.Context(), &rightsizerv1.ListRemediationsRequest{Namespaces: []string{namespace}})
		if err != nil {
			return false
		}
		last = last[:0]
		for _, r := range resp.GetRemediations() {
			if r.GetWorkload().GetName() != workload {
				continue
			}
			if r.GetState() == want {
				found = r
				return true
			}
			last = append(last, fmt.Sprintf("%s %s: %s", r.GetName(), r.GetState(), r.GetMessage()))
		}
		return false
	}, patience, poll, "%s of %s", want, workload) {
		o.t.Fatalf("there is:\n%s", strings.Join(last, "\n"))
	}
	return found
}

// Under the shipped Approve policy nothing is done until somebody approves, over the
// API or with the command line; what is turned down is not done, and what was done
// can be taken back.
func TestApproveModeThroughAPIAndCommandLine(t *testing.T) {
	const namespace = "approved"
	governed(t, namespace, "approve", nil)
	o := serve(t, cluster.KubeconfigPath()).ready()
	api := o.remediationClient()
	for _, name := range []string{"by-api", "by-cli", "turned-down"} {
		hungry(t, namespace, name, 1, "64Mi", "100", resting)
	}
	limit := func(name string) int64 { return memoryLimit(&podsOf(t, namespace, "app="+name)[0]) }

	r := o.waitState(namespace, "by-api", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	assert.NotEmpty(t, r.GetDiff())
	assert.NotEmpty(t, r.GetRiskReasons())
	assert.NotNil(t, r.GetExpireTime())
	assert.EqualValues(t, 64, limit("by-api"))
	approve := &rightsizerv1.ApproveRemediationRequest{Namespace: namespace, Name: r.GetName(), Etag: "1", RequestId: "once", Reason: "looks right"}
	_, err := api.ApproveRemediation(t.Context(), approve)
	assert.Equal(t, connect.CodeAborted, connect.CodeOf(err))
	assertDetail(t, err, "ETAG_MISMATCH")
	assert.EqualValues(t, 64, limit("by-api"))
	one, err := api.GetRemediation(t.Context(), &rightsizerv1.GetRemediationRequest{Namespace: namespace, Name: r.GetName()})
	require.NoError(t, err)
	approve.Etag = one.GetRemediation().GetEtag()
	first, err := api.ApproveRemediation(t.Context(), approve)
	require.NoError(t, err)
	assert.Equal(t, rightsizerv1.RemediationState_REMEDIATION_STATE_APPROVED, first.GetRemediation().GetState())
	assert.Equal(t, "anonymous", first.GetRemediation().GetDecidedBy())
	again, err := api.ApproveRemediation(t.Context(), approve)
	require.NoError(t, err)
	assert.Equal(t, first.GetRemediation().GetEtag(), again.GetRemediation().GetEtag(), "the same answer")
	approve.Reason = "another"
	_, err = api.ApproveRemediation(t.Context(), approve)
	assertDetail(t, err, "REQUEST_ID_REUSED")

	r = o.waitState(namespace, "by-cli", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	out, err := o.cli("remediations", "approve", r.GetName(), "-n", namespace, "--reason=seen")
	require.NoError(t, err, out)
	down := o.waitState(namespace, "turned-down", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	out, err = o.cli("remediations", "reject", down.GetName(), "-n", namespace, "--reason=not now")
	require.NoError(t, err, out)
	assert.Contains(t, out, "rejected")

	cured := o.waitState(namespace, "by-api", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	o.waitState(namespace, "by-cli", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	assert.GreaterOrEqual(t, limit("by-api"), int64(100))
	assert.GreaterOrEqual(t, limit("by-cli"), int64(100))
	assert.EqualValues(t, 64, limit("turned-down"))
	_, err = api.CancelRemediation(t.Context(), &rightsizerv1.CancelRemediationRequest{Namespace: namespace, Name: cured.GetName()})
	assert.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err))

	out, err = o.cli("remediations", "rollback", cured.GetName(), "-n", namespace, "--reason=an exercise")
	require.NoError(t, err, out)
	o.waitState(namespace, "by-api", rightsizerv1.RemediationState_REMEDIATION_STATE_ROLLED_BACK)
	assert.EqualValues(t, 64, limit("by-api"))
	records, err := o.cli("audit", "list", "--remediation="+cured.GetName(), "--action=remediation.rolled_back")
	require.NoError(t, err, records)
	assert.Contains(t, records, "an exercise")
	assert.Contains(t, records, "anonymous")
}

// What a person asks for is judged like anything else: a dry run keeps and changes
// nothing, a request has one effect, and four eyes see it.
func TestAPersonAsksForARepair(t *testing.T) {
	const namespace = "asked"
	governed(t, namespace, "approve", nil)
	hungry(t, namespace, "web", 2, "64Mi", "10", "")
	o := serve(t, cluster.KubeconfigPath()).ready()
	api := o.remediationClient()
	require.Eventually(t, func() bool {
		w, err := o.workloadClient().GetWorkload(t.Context(), &rightsizerv1.GetWorkloadRequest{Namespace: namespace, Kind: "Deployment", Name: "web"})
		return err == nil && w.GetWorkload().GetReadyReplicas() == 2
	}, patience, poll, "nothing of it changes any more")
	wish := &rightsizerv1.CreateRemediationRequest{
		Namespace: namespace, Kind: "Deployment", Name: "web", Container: "app", Reason: "a campaign begins",
		Action:       &rightsizerv1.RemediationAction{Kind: "resize_in_place", Limits: &rightsizerv1.Resources{MemoryBytes: 96 * mi}},
		ValidateOnly: true, RequestId: "campaign",
	}
	before := versions(t, namespace)
	would, err := api.CreateRemediation(t.Context(), wish)
	require.NoError(t, err)
	assert.True(t, would.GetRemediation().GetDryRun())
	assert.Contains(t, would.GetRemediation().GetDiff(), "96Mi")
	assert.Contains(t, would.GetRemediation().GetMessage(), "asks for approval")
	assert.Empty(t, remediationsOf(t, namespace))
	assert.Equal(t, before, versions(t, namespace))

	wish.ValidateOnly = false
	made, err := api.CreateRemediation(t.Context(), wish)
	require.NoError(t, err)
	assert.Equal(t, would.GetRemediation().GetName(), made.GetRemediation().GetName())
	assert.Equal(t, "anonymous", made.GetRemediation().GetRequestedBy())
	again, err := api.CreateRemediation(t.Context(), wish)
	require.NoError(t, err)
	assert.Equal(t, made.GetRemediation().GetUid(), again.GetRemediation().GetUid())
	wish.Reason = "another campaign"
	_, err = api.CreateRemediation(t.Context(), wish)
	assertDetail(t, err, "REQUEST_ID_REUSED")
	wish.RequestId = ""
	_, err = api.CreateRemediation(t.Context(), wish)
	assert.Equal(t, connect.CodeAlreadyExists, connect.CodeOf(err))

	r := o.waitState(namespace, "web", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	_, err = api.ApproveRemediation(t.Context(), &rightsizerv1.ApproveRemediationRequest{Namespace: namespace, Name: r.GetName()})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "who asked does not approve")
	assertDetail(t, err, "NOT_APPROVER")
	out, err := o.cli("remediations", "cancel", r.GetName(), "-n", namespace)
	require.NoError(t, err, out)
	o.waitState(namespace, "web", rightsizerv1.RemediationState_REMEDIATION_STATE_CANCELLED)
	assert.Len(t, remediationsOf(t, namespace), 1)

	for field, wrong := range map[string]*rightsizerv1.CreateRemediationRequest{
		"action.kind": {Namespace: namespace, Kind: "Deployment", Name: "web", Action: &rightsizerv1.RemediationAction{Kind: "reboot"}},
		"container":   {Namespace: namespace, Kind: "Deployment", Name: "web", Action: wish.GetAction()},
		"kind":        {Namespace: namespace, Kind: "Service", Name: "web", Container: "app", Action: wish.GetAction()},
	} {
		_, err = api.CreateRemediation(t.Context(), wrong)
		assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), field)
		assertDetail(t, err, field)
	}
	_, err = api.CreateRemediation(t.Context(), &rightsizerv1.CreateRemediationRequest{Namespace: namespace, Kind: "Deployment", Name: "none", Container: "app", Action: wish.GetAction()})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = api.CreateRemediation(t.Context(), &rightsizerv1.CreateRemediationRequest{
		Namespace: "kube-system", Kind: "Pod", Name: "none", Container: "app", Action: wish.GetAction(),
	})
	assert.Error(t, err)
}

// asOperator is a kubeconfig of the operator's own service account, which the
// admission policies know.
func asOperator(t *testing.T) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "e2e-operator"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operatorUser}},
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = client.RbacV1().ClusterRoleBindings().Delete(context.Background(), binding.Name, metav1.DeleteOptions{})
	})
	config, err := clientcmd.LoadFromFile(cluster.KubeconfigPath())
	require.NoError(t, err)
	for _, user := range config.AuthInfos {
		user.Impersonate = operatorUser
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, path))
	_, err = os.Stat(path)
	require.NoError(t, err)
	return path
}

// An approval by kubectl is heeded where the admission policy has seen to it that it
// was made by who it names, and is worth nothing elsewhere; nor is a state that
// somebody else wrote.
func TestApprovalByKubectl(t *testing.T) {
	const bound, unbound = "bound", "unbound"
	governed(t, bound, "approve", nil)
	governed(t, unbound, "approve", nil)
	admit(t, bound)
	allow(t, bound, "approvers", []string{"remediations/approve", "remediations/status", "remediations"}, []string{"get", "update", "patch"}, "bob")
	allowOf(t, bound, "resizers", resizing, "bob")
	allow(t, unbound, "approvers", []string{"remediations/approve", "remediations/status", "remediations"}, []string{"get", "update", "patch"}, "bob")
	o := serve(t, asOperator(t)).ready()
	approval := []byte(`{"status":{"approval":{"decision":"Approve","user":"bob","generation":1,"reason":"by kubectl"}}}`)
	for _, namespace := range []string{bound, unbound} {
		hungry(t, namespace, "app", 1, "64Mi", "100", resting)
		r := o.waitState(namespace, "app", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
		_, err := as(t, "mallory").Resource(remediations).Namespace(namespace).Patch(t.Context(), r.GetName(), types.MergePatchType, approval, metav1.PatchOptions{}, "status")
		require.Error(t, err, "who may not")
		require.Eventually(t, func() bool { // the authorizer hears of the role in a moment
			_, err = as(t, "bob").Resource(remediations).Namespace(namespace).Patch(t.Context(), r.GetName(), types.MergePatchType, approval, metav1.PatchOptions{}, "status")
			return err == nil
		}, patience, poll, "%v", err)
	}
	r := o.waitState(bound, "app", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	assert.Equal(t, "bob", r.GetDecidedBy())
	assert.GreaterOrEqual(t, memoryLimit(&podsOf(t, bound, "app=app")[0]), int64(100))
	for what, metadata := range map[string]string{
		"ownerReferences": `[{"apiVersion":"v1","kind":"ConfigMap","name":"none","uid":"6f1d2a5e-0000-4000-8000-000000000000"}]`,
		"finalizers":      `["example.com/forever"]`,
	} {
		patch := []byte(`{"metadata":{"` + what + `":` + metadata + `}}`)
		_, err := as(t, "bob").Resource(remediations).Namespace(bound).Patch(t.Context(), r.GetName(), types.MergePatchType, patch, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		require.True(t, apierrors.IsForbidden(err), "%v", err)
		require.ErrorContains(t, err, "metadata."+what+": a Remediation is the record of a decision")
	}
	_, err := as(t, "bob").Resource(remediations).Namespace(bound).Patch(t.Context(), r.GetName(), types.MergePatchType, []byte(`{"metadata":{"labels":{"seen":"yes"}}}`), metav1.PatchOptions{})
	require.NoError(t, err, "what does no harm")

	r = o.waitState(unbound, "app", rightsizerv1.RemediationState_REMEDIATION_STATE_ABORTED)
	assert.Contains(t, r.GetMessage(), "approvals by kubectl are not heeded")
	assert.EqualValues(t, 64, memoryLimit(&podsOf(t, unbound, "app=app")[0]))

	hungry(t, unbound, "forged", 1, "64Mi", "100", resting)
	r = o.waitState(unbound, "forged", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	forged := []byte(`{"status":{"state":"Approved","approval":{"decision":"Approve","user":"boss","generation":1}}}`)
	_, err = as(t, "bob").Resource(remediations).Namespace(unbound).Patch(t.Context(), r.GetName(), types.MergePatchType, forged, metav1.PatchOptions{}, "status")
	require.NoError(t, err, "nothing keeps him from it")
	r = o.waitState(unbound, "forged", rightsizerv1.RemediationState_REMEDIATION_STATE_ABORTED)
	assert.Contains(t, r.GetMessage(), "the audit chain has no record that it was")
	assert.EqualValues(t, 64, memoryLimit(&podsOf(t, unbound, "app=forged")[0]))
}
