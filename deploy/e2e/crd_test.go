package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

var (
	policies        = schema.GroupVersionResource{Group: "rightsizer.dev", Version: "v1alpha1", Resource: "rightsizerpolicies"}
	clusterPolicies = schema.GroupVersionResource{Group: "rightsizer.dev", Version: "v1alpha1", Resource: "clusterrightsizerpolicies"}
	remediations    = schema.GroupVersionResource{Group: "rightsizer.dev", Version: "v1alpha1", Resource: "remediations"}
	crds            = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	admissions      = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	bindings        = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
)

// operatorUser is who the shipped admission policies know as the operator.
const operatorUser = "system:serviceaccount:rightsizer:rightsizer"

func as(t *testing.T, user string) dynamic.Interface {
	t.Helper()
	config := rest.CopyConfig(cluster.RESTConfig())
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	}
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// documents reads the objects of YAML files.
func documents(t *testing.T, pattern string) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	var out []*unstructured.Unstructured
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		out = append(out, parse(t, string(raw))...)
	}
	return out
}

func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for in := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096); ; {
		obj := &unstructured.Unstructured{}
		err := in.Decode(&obj.Object)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		if len(obj.Object) > 0 {
			out = append(out, obj)
		}
	}
}

// apply applies an object server-side, as whoever ships it does.
func apply(ctx context.Context, client dynamic.ResourceInterface, obj *unstructured.Unstructured, subresources ...string) (*unstructured.Unstructured, error) {
	return client.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "e2e", Force: true}, subresources...)
}

// installCRDs applies the shipped CRDs and waits until they are served.
func installCRDs(t *testing.T) {
	t.Helper()
	client := as(t, "")
	for _, crd := range documents(t, "../crd/*.yaml") {
		_, err := apply(t.Context(), client.Resource(crds), crd)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		for _, resource := range []schema.GroupVersionResource{policies, clusterPolicies, remediations} {
			if _, err := client.Resource(resource).List(t.Context(), metav1.ListOptions{}); err != nil {
				return false
			}
		}
		return true
	}, patience, poll)
}

func makeNamespace(t *testing.T, name string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	_, err = client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
}

// Each shipped example is a whole policy for the namespace that it is applied to.
func TestExamplesAreAccepted(t *testing.T) {
	installCRDs(t)
	client := as(t, "")
	for _, name := range []string{"observe", "approve", "auto"} {
		namespace := "example-" + name
		makeNamespace(t, namespace)
		example := documents(t, "../crd/examples/"+name+".yaml")
		require.Len(t, example, 1)
		assert.Empty(t, example[0].GetNamespace())
		in := client.Resource(policies).Namespace(namespace)
		stored, err := apply(t.Context(), in, example[0])
		require.NoError(t, err, name)
		mode, _, _ := unstructured.NestedString(stored.Object, "spec", "mode")
		assert.Equal(t, name, strings.ToLower(mode))
		ceiling, _, _ := unstructured.NestedString(stored.Object, "spec", "riskCeiling")
		assert.Equal(t, "Medium", ceiling, "a default is filled in")

		again, err := apply(t.Context(), in, example[0])
		require.NoError(t, err)
		assert.Equal(t, stored.GetResourceVersion(), again.GetResourceVersion(), "applying it again changes nothing")
		require.NoError(t, in.Delete(t.Context(), stored.GetName(), metav1.DeleteOptions{}))
	}
}

const goodRemediation = `
apiVersion: rightsizer.dev/v1alpha1
kind: Remediation
metadata: {name: r}
spec:
  workload: {apiVersion: apps/v1, kind: Deployment, name: web, uid: 2f1c}
  container: app
  action: {kind: resize_in_place, limits: {memory: 128Mi}}
  episode: "1"
  mode: Approve
  risk: Low
  requestedBy: alice
  approval: {fourEyes: true, approvers: [{kind: User, name: alice}, {kind: User, name: bob}, {kind: User, name: mallory}]}
`

// What is wrong is refused with a message that says what would be right.
func TestBadObjectsAreRefused(t *testing.T) {
	installCRDs(t)
	makeNamespace(t, "refused")
	client := as(t, "")
	for _, c := range []struct {
		name, spec string
		want       []string
	}{
		{"mode", `{mode: auto}`, []string{"spec.mode", `supported values: "Off", "Observe", "Recommend", "DryRun", "Approve", "Auto"`}},
		{"mode that YAML reads as false", `{mode: false}`, []string{"spec.mode", "string"}},
		{"unknown field", `{modus: Auto}`, []string{"modus"}},
		{"mode of an action", `{modes: [{action: resize-in-place, mode: Auto}]}`, []string{"must be the kind of an action: restart_pod"}},
		{"an action twice", `{modes: [{action: scale, mode: Auto}, {action: scale, mode: "Off"}]}`, []string{"spec.modes[1]", "Duplicate value"}},
		{"min above max", `{bounds: {memory: {min: 2Gi, max: 1Gi}}}`, []string{"spec.bounds.memory", "min must not be more than max"}},
		{"memory in cores", `{bounds: {memory: {max: 512}}}`, []string{"max must be an amount of memory of at least 1Mi, such as 2Gi"}},
		{"amount", `{bounds: {cpu: {max: lots}}}`, []string{"spec.bounds.cpu.max"}},
		{"replicas", `{bounds: {minReplicas: 5, maxReplicas: 2}}`, []string{"minReplicas must not be more than maxReplicas"}},
		{"step", `{bounds: {cpu: {maxDecreasePercent: 95}}}`, []string{"spec.bounds.cpu.maxDecreasePercent", "less than or equal to 90"}},
		{"budget", `{budgets: {workload: {per: 10s, actions: 1, disruptions: 1, concurrent: 1}}}`, []string{"must be a duration from 1m to 24h, such as 10m"}},
		{"duration", `{verification: {window: 5 minutes}}`, []string{"spec.verification.window", "must be a duration from 10s to 24h, such as 5m"}},
		{"duration as a number", `{maxCauseAge: 600}`, []string{"spec.maxCauseAge", "string"}},
		{"cause age", `{maxCauseAge: 2h}`, []string{"must be a duration from 1s to 1h, such as 10m"}},
		{"cooldown", `{cooldowns: {lower: 0s}}`, []string{"must be a duration from 1m to 720h, such as 6h"}},
		{"time of day", `{windows: [{name: night, start: "25:00", end: "06:00"}]}`, []string{"spec.windows[0].start", "must be a time of day from 00:00 to 23:59, such as 22:00"}},
		{"time zone", `{windows: [{name: night, timeZone: "+02:00", start: "22:00", end: "06:00"}]}`, []string{"must be the IANA name of a time zone, such as Europe/Berlin or UTC"}},
		{"day", `{windows: [{name: night, days: [Monday], start: "22:00", end: "06:00"}]}`, []string{"spec.windows[0].days[0]", `supported values: "Mon", "Tue"`}},
		{"kind", `{selector: {kinds: [Deploy]}}`, []string{"spec.selector.kinds[0]", `"Deployment"`}},
		{"label key", `{selector: {matchLabels: {"a b": c}}}`, []string{"keys must be label keys, such as app.kubernetes.io/name"}},
		{"label value", `{selector: {matchLabels: {a: "b c"}}}`, []string{"must be the value of a label"}},
		{"expression", `{selector: {matchExpressions: [{key: app, operator: Exists, values: [a]}]}}`, []string{"values must be set with In and NotIn, and left out with Exists and DoesNotExist"}},
		{"webhook in the clear", `{webhooks: [{name: h, url: "http://example.com"}]}`, []string{"must be an https URL without user and fragment"}},
		{"webhook with a password", `{webhooks: [{name: h, url: "https://me:pw@example.com"}]}`, []string{"must be an https URL without user and fragment"}},
		{"webhook that decides unsigned", `{webhooks: [{name: h, url: "https://example.com", answer: Veto}]}`, []string{"secretRef must be set where the answer decides"}},
		{"webhook with a secret elsewhere", `{webhooks: [{name: h, url: "https://example.com", secretRef: {name: s, namespace: other}}]}`, []string{"namespace"}},
		{"webhook timeout", `{webhooks: [{name: h, url: "https://example.com", timeout: 5m}]}`, []string{"must be a duration from 100ms to 30s, such as 5s"}},
		{"network", `{webhooks: [{name: h, url: "https://example.com", allowedNetworks: [example.com]}]}`, []string{"must be a network such as 203.0.113.0/24"}},
		{"approver", `{approval: {approvers: [{kind: Robot, name: x}]}}`, []string{`supported values: "User", "Group"`}},
		{"ceiling", `{riskCeiling: Extreme}`, []string{`supported values: "Low", "Medium", "High", "Critical"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			obj := parse(t, "apiVersion: rightsizer.dev/v1alpha1\nkind: RightSizerPolicy\nmetadata: {name: bad}\nspec: "+c.spec)[0]
			refused(t, client.Resource(policies).Namespace("refused"), obj, c.want)
		})
	}
	for _, c := range []struct {
		name, spec string
		want       []string
	}{
		{"kube-system by name", `{namespaceSelector: {names: [kube-system]}}`, []string{"kube-system is out of reach of every policy: leave it out"}},
		{"kube-system by label", `{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}`, []string{"kube-system is out of reach of every policy: select other namespaces"}},
		{"no namespace", `{namespaceSelector: {names: ["a/b"]}}`, []string{"must be the name of a namespace"}},
	} {
		t.Run("cluster: "+c.name, func(t *testing.T) {
			obj := parse(t, "apiVersion: rightsizer.dev/v1alpha1\nkind: ClusterRightSizerPolicy\nmetadata: {name: bad}\nspec: "+c.spec)[0]
			refused(t, client.Resource(clusterPolicies), obj, c.want)
		})
	}
	for _, c := range []struct {
		name, from, to string
		want           []string
	}{
		{"mode that makes none", "mode: Approve", "mode: Observe", []string{"must be DryRun, Approve or Auto: no other mode makes a Remediation"}},
		{"resize of nothing", "limits: {memory: 128Mi}", "parameters: {}", []string{"requests or limits must be set for a resize"}},
		{"resize of no container", "container: app", "reason: none", []string{"container must be set for a resize"}},
		{"nobody decided", "requestedBy: alice", "reason: none", []string{"policy or requestedBy must be set"}},
		{"scale to nowhere", "kind: resize_in_place", "kind: scale", []string{"replicas must be set to scale"}},
		{"no UID", ", uid: 2f1c", "", []string{"spec.workload.uid: Required value"}},
	} {
		t.Run("remediation: "+c.name, func(t *testing.T) {
			text := strings.Replace(goodRemediation, c.from, c.to, 1)
			require.NotEqual(t, goodRemediation, text)
			refused(t, client.Resource(remediations).Namespace("refused"), parse(t, text)[0], c.want)
		})
	}
}

func refused(t *testing.T, in dynamic.ResourceInterface, obj *unstructured.Unstructured, want []string) {
	t.Helper()
	_, err := in.Create(t.Context(), obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	require.Error(t, err)
	assert.True(t, apierrors.IsInvalid(err) || apierrors.IsBadRequest(err), err)
	for _, text := range want {
		assert.ErrorContains(t, err, text)
	}
}

// A Remediation's spec never changes, its status is a subresource, and a decision
// is made once, whoever asks.
func TestRemediationIsWhatWasDecided(t *testing.T) {
	installCRDs(t)
	makeNamespace(t, "immutable")
	in := as(t, "").Resource(remediations).Namespace("immutable")
	made := parse(t, goodRemediation)[0]
	require.NoError(t, unstructured.SetNestedField(made.Object, "Approved", "status", "state"))
	stored, err := in.Create(t.Context(), made, metav1.CreateOptions{})
	require.NoError(t, err)
	_, found, _ := unstructured.NestedMap(stored.Object, "status")
	assert.False(t, found, "the status is not written with the object")

	patch := func(body string, subresources ...string) (*unstructured.Unstructured, error) {
		return in.Patch(t.Context(), "r", types.MergePatchType, []byte(body), metav1.PatchOptions{}, subresources...)
	}
	_, err = patch(`{"spec":{"action":{"limits":{"memory":"1Gi"}}}}`)
	require.ErrorContains(t, err, "spec cannot be changed, since an approval is bound to it")
	after, err := patch(`{"spec":{"risk":"High"},"status":{"state":"PendingApproval"}}`, "status")
	require.NoError(t, err)
	risk, _, _ := unstructured.NestedString(after.Object, "spec", "risk")
	assert.Equal(t, "Low", risk)
	assert.EqualValues(t, 1, after.GetGeneration())
	_, err = patch(`{"status":{"state":"Done"}}`, "status")
	require.ErrorContains(t, err, "status.state")
	_, err = patch(`{"status":{"approval":{"decision":"Approve","user":"bob","generation":1}}}`, "status")
	require.NoError(t, err)
	for _, body := range []string{`{"status":{"approval":{"decision":"Reject"}}}`, `{"status":{"approval":null}}`} {
		_, err = patch(body, "status")
		require.ErrorContains(t, err, "approval was given and cannot be changed")
	}
}

// admit installs the shipped admission policies, for some namespaces alone, so
// that other tests do not meet them; they are gone when the test ends.
func admit(t *testing.T, namespaces ...string) {
	t.Helper()
	client := as(t, "")
	for _, obj := range documents(t, "../admission/*.yaml") {
		resource := admissions
		if obj.GetKind() == "ValidatingAdmissionPolicyBinding" {
			resource = bindings
			values := make([]any, 0, len(namespaces))
			for _, n := range namespaces {
				values = append(values, n)
			}
			require.NoError(t, unstructured.SetNestedField(obj.Object, map[string]any{"matchExpressions": []any{
				map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": values},
			}}, "spec", "matchResources", "namespaceSelector"))
		}
		_, err := apply(t.Context(), client.Resource(resource), obj)
		require.NoError(t, err)
		t.Cleanup(func() {
			_ = client.Resource(resource).Delete(context.Background(), obj.GetName(), metav1.DeleteOptions{})
		})
	}
	for _, name := range []string{"approvals.rightsizer.dev", "records.rightsizer.dev", "reserved.rightsizer.dev"} {
		require.Eventually(t, func() bool {
			obj, err := client.Resource(admissions).Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(t, err)
			checked, found, _ := unstructured.NestedMap(obj.Object, "status", "typeChecking")
			return found && assert.Empty(t, checked, "warnings about the expressions")
		}, patience, poll)
	}
}

// allow gives users rights in a namespace, and waits until they hold.
func allow(t *testing.T, namespace, name string, resources, verbs []string, users ...string) {
	t.Helper()
	allowOf(t, namespace, name, rbacv1.PolicyRule{APIGroups: []string{"rightsizer.dev"}, Resources: resources, Verbs: verbs}, users...)
}

// resizing is what one has to be allowed to do by oneself who approves a resize.
var resizing = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/resize"}, Verbs: []string{"patch"}}

func allowOf(t *testing.T, namespace, name string, rule rbacv1.PolicyRule, users ...string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	_, err = client.RbacV1().Roles(namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	bound := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}}
	for _, u := range users {
		bound.Subjects = append(bound.Subjects, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: u})
	}
	_, err = client.RbacV1().RoleBindings(namespace).Create(t.Context(), bound, metav1.CreateOptions{})
	require.NoError(t, err)
}

// Approval as kubectl does it, by people with real rights and people without.
func TestApprovalIsBoundToWhoGivesIt(t *testing.T) {
	const namespace = "approvals"
	installCRDs(t)
	makeNamespace(t, namespace)
	admit(t, namespace)
	everything := []string{"get", "list", "create", "update", "patch"}
	allow(t, namespace, "writers", []string{"remediations", "remediations/status"}, everything, operatorUser, "alice", "bob", "carol", "dave", "mallory")
	allowOf(t, namespace, "resizers", resizing, "alice", "bob", "carol", "mallory")
	allow(t, namespace, "approvers", []string{"remediations/approve"}, []string{"update"}, "alice", "bob", "carol", "dave")

	in := func(user string) dynamic.ResourceInterface {
		return as(t, user).Resource(remediations).Namespace(namespace)
	}
	write := func(user, name, status string) error {
		_, err := in(user).Patch(t.Context(), name, types.MergePatchType, []byte(`{"status":`+status+`}`), metav1.PatchOptions{}, "status")
		return err
	}
	approval := func(decision, user string, generation int) string {
		return fmt.Sprintf(`{"approval":{"decision":%q,"user":%q,"generation":%d}}`, decision, user, generation)
	}
	// The admission policy and the rights take a moment to be in force.
	require.Eventually(t, func() bool {
		_, err := in("alice").Create(t.Context(), parse(t, goodRemediation)[0], metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "Remediations are made by the operator: ask it for one with CreateRemediation")
	}, patience, poll)
	made := parse(t, goodRemediation)[0]
	_, err := in(operatorUser).Create(t.Context(), made, metav1.CreateOptions{})
	require.NoError(t, err)

	require.ErrorContains(t, write("bob", "r", approval("Approve", "bob", 1)), "the state is not set yet, and must be PendingApproval")
	require.NoError(t, write(operatorUser, "r", `{"state":"PendingApproval","message":"waits"}`))
	for _, c := range []struct{ name, user, status, want string }{
		{"in another's name", "mallory", approval("Approve", "bob", 1), "status.approval.user must be your own name, mallory"},
		{"without the right", "mallory", approval("Approve", "mallory", 1), "mallory may not approve here: the right update on remediations/approve"},
		{"what he may not do by himself", "dave", approval("Approve", "dave", 1), "you may not do by yourself what you would approve: the rights needed here are patch on pods/resize"},
		{"what was not looked at", "bob", approval("Approve", "bob", 2), "status.approval.generation must be 1"},
		{"another field", "bob", `{"state":"Approved"}`, "nothing of the status but approval can be written"},
		{"another field beside it", "bob", `{"message":"","approval":{"decision":"Approve","user":"bob","generation":1}}`, "nothing of the status but approval can be written"},
		{"a field that was not set", "bob", `{"holder":"me","approval":{"decision":"Approve","user":"bob","generation":1}}`, "nothing of the status but approval can be written"},
		{"a field taken away", "bob", `{"state":null,"approval":{"decision":"Approve","user":"bob","generation":1}}`, "nothing of the status but approval can be written"},
		{"what he asked for himself", "alice", approval("Approve", "alice", 1), "wants another person to decide (four eyes)"},
		{"who is not named", "carol", approval("Approve", "carol", 1), "you are none of the approvers"},
		{"no decision", "bob", `{"approval":{"decision":"Maybe","user":"bob","generation":1}}`, `supported values: "Approve", "Reject"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.ErrorContains(t, write(c.user, "r", c.status), c.want)
		})
	}
	require.NoError(t, write("bob", "r", `{"approval":{"decision":"Approve","user":"bob","generation":1,"reason":"looked at it"}}`))
	require.ErrorContains(t, write("bob", "r", approval("Reject", "bob", 1)), "cannot be changed")
	require.NoError(t, write(operatorUser, "r", `{"state":"Approved"}`), "the operator goes on")
	after, err := in("bob").Get(t.Context(), "r", metav1.GetOptions{})
	require.NoError(t, err)
	user, _, _ := unstructured.NestedString(after.Object, "status", "approval", "user")
	assert.Equal(t, "bob", user)
}

// kube-system and the operator's own namespace take no policies.
func TestReservedNamespacesTakeNoPolicies(t *testing.T) {
	installCRDs(t)
	makeNamespace(t, "rightsizer")
	admit(t, "kube-system", "rightsizer")
	for _, namespace := range []string{"kube-system", "rightsizer"} {
		in := as(t, "").Resource(policies).Namespace(namespace)
		require.Eventually(t, func() bool {
			_, err := in.Create(t.Context(), documents(t, "../crd/examples/auto.yaml")[0], metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil && strings.Contains(err.Error(), "namespace "+namespace+" is out of reach of every policy")
		}, patience, poll)
	}
}

// The operator follows policies: it lists and explains them, and writes what
// becomes of them.
func TestPoliciesAreServedAndTold(t *testing.T) {
	const namespace = "governed"
	installCRDs(t)
	makeNamespace(t, namespace)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	objects{t, client, namespace}.deploy(ctx, "web", 1, nil)
	o := serve(t, cluster.KubeconfigPath()).ready()
	api := rightsizerv1connect.NewPolicyServiceClient(http.DefaultClient, o.url)

	in := as(t, "").Resource(policies).Namespace(namespace)
	_, err = apply(ctx, in, documents(t, "../crd/examples/approve.yaml")[0])
	require.NoError(t, err)
	broken := parse(t, `{apiVersion: rightsizer.dev/v1alpha1, kind: RightSizerPolicy, metadata: {name: broken}, spec: {mode: Auto,
		selector: {names: [db]}, windows: [{name: night, timeZone: Mars/Olympus, start: "22:00", end: "06:00"}]}}`)[0]
	_, err = apply(ctx, in, broken)
	require.NoError(t, err)
	condition := func(name, kind string) string {
		obj, err := in.Get(ctx, name, metav1.GetOptions{})
		require.NoError(t, err)
		conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == kind {
				return fmt.Sprint(c["status"], " ", c["reason"], " ", c["message"])
			}
		}
		return ""
	}
	require.Eventually(t, func() bool { return condition("default", "Ready") == "True InForce mode Approve" }, patience, poll)
	require.Eventually(t, func() bool {
		return strings.HasPrefix(condition("broken", "Accepted"), "False Invalid spec.windows[night]")
	}, patience, poll)

	list, err := api.ListPolicies(ctx, &rightsizerv1.ListPoliciesRequest{Namespaces: []string{namespace}, PageSize: 1})
	require.NoError(t, err)
	require.Len(t, list.GetPolicies(), 1)
	assert.Equal(t, "broken", list.GetPolicies()[0].GetName())
	assert.False(t, list.GetPolicies()[0].GetReady())
	list, err = api.ListPolicies(ctx, &rightsizerv1.ListPoliciesRequest{Namespaces: []string{namespace}, PageSize: 1, PageToken: list.GetNextPageToken()})
	require.NoError(t, err)
	assert.Equal(t, "default", list.GetPolicies()[0].GetName())
	assert.Equal(t, rightsizerv1.PolicyMode_POLICY_MODE_APPROVE, list.GetPolicies()[0].GetMode())

	why, err := api.ExplainPolicy(ctx, &rightsizerv1.ExplainPolicyRequest{Namespace: namespace, Kind: "Deployment", Name: "web"})
	require.NoError(t, err)
	assert.Equal(t, "default", why.GetPolicy().GetName())
	require.Len(t, why.GetMatches(), 2)
	assert.Equal(t, "does not name web", why.GetMatches()[1].GetReason())
	_, err = api.ExplainPolicy(ctx, &rightsizerv1.ExplainPolicyRequest{Namespace: namespace, Kind: "Deployment", Name: "gone"})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	_, err = api.ExplainPolicy(ctx, &rightsizerv1.ExplainPolicyRequest{Namespace: namespace, Kind: "Widget", Name: "web"})
	assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))

	// A change is seen while the operator runs.
	start := time.Now()
	_, err = apply(ctx, in, documents(t, "../crd/examples/auto.yaml")[0])
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		why, err := api.ExplainPolicy(ctx, &rightsizerv1.ExplainPolicyRequest{Namespace: namespace, Kind: "Deployment", Name: "web"})
		return err == nil && why.GetPolicy().GetMode() == rightsizerv1.PolicyMode_POLICY_MODE_AUTO
	}, patience, poll)
	t.Logf("a changed policy governed after %s", time.Since(start))
	for _, name := range []string{"default", "broken"} {
		require.NoError(t, in.Delete(ctx, name, metav1.DeleteOptions{}))
	}
}
