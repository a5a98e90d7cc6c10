package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/rightsizer/rightsizer/deploy/e2e/effects"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/remediate/policy/live"
)

// auditPolicy has the API server write down what the operator's own account does,
// beside the resizes of everybody.
var auditPolicy = strings.Replace(effects.AuditPolicy, "- {level: None}", `- {level: Metadata, users: ["`+operatorUser+`"]}
- {level: None}`, 1)

// right is a verb on a resource, a subresource after a slash, by a role: one that is
// cluster-wide or of the operator's namespace. Name is empty where the rule is for any.
// To add an action: its rules go to deploy/helm/templates/rbac-remediate.yaml, and what
// drives it to TestTheShippedRoleIsExact.
type right struct{ role, group, resource, name, verb string }

// numbered ends the name of one of many alike, of which a test uses the first ones:
// rightsizer-usage-07 stands for all of them.
var numbered = regexp.MustCompile(`-\d+$`)

// allowedBy finds the role in what the authorizer says of its decision.
var allowedBy = regexp.MustCompile(`of (ClusterRole|Role) "([^"]+)"`)

// rbacOf are the objects of a manifest that say who may what, and the operator's account.
func rbacOf(t *testing.T, files ...string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, file := range files {
		for _, obj := range documents(t, file) {
			switch obj.GetKind() {
			case "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding":
				out = append(out, obj)
			}
		}
	}
	return out
}

// grant applies rights as they are shipped, until the test ends.
func grant(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, obj := range objects {
		resource := schema.GroupVersionResource{Group: rbacv1.GroupName, Version: "v1", Resource: strings.ToLower(obj.GetKind()) + "s"}
		if obj.GetKind() == "ServiceAccount" {
			resource.Group = ""
		}
		client := as(t, "").Resource(resource).Namespace(obj.GetNamespace())
		_, err := apply(t.Context(), client, obj)
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Delete(context.Background(), obj.GetName(), metav1.DeleteOptions{}) })
	}
}

// rightsOf expands the rules of roles that are bound to the operator.
func rightsOf(t *testing.T, objects []*unstructured.Unstructured) map[right]bool {
	t.Helper()
	bound := map[string]bool{}
	for _, obj := range objects {
		if strings.HasSuffix(obj.GetKind(), "Binding") {
			bound[text(obj, "roleRef", "kind")+"/"+text(obj, "roleRef", "name")] = true
		}
	}
	out := map[right]bool{}
	for _, obj := range objects {
		if !bound[obj.GetKind()+"/"+obj.GetName()] {
			continue
		}
		var role rbacv1.ClusterRole
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &role))
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						for _, name := range namesOf(rule) {
							out[right{obj.GetKind() + "/" + obj.GetName(), group, resource, name, verb}] = true
						}
					}
				}
			}
		}
	}
	require.NotEmpty(t, out)
	return out
}

// namesOf are the names that a rule is for, those with a number as one; empty is any.
func namesOf(rule rbacv1.PolicyRule) []string {
	if len(rule.ResourceNames) == 0 {
		return []string{""}
	}
	var out []string
	for _, name := range rule.ResourceNames {
		out = append(out, numbered.ReplaceAllString(name, ""))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// accountKubeconfig is a kubeconfig with a token of the operator's account.
func accountKubeconfig(t *testing.T) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	token, err := client.CoreV1().ServiceAccounts("rightsizer").CreateToken(t.Context(), "rightsizer", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config, err := clientcmd.LoadFromFile(cluster.KubeconfigPath())
	require.NoError(t, err)
	for _, user := range config.AuthInfos {
		user.ClientCertificateData, user.ClientKeyData, user.ClientCertificate, user.ClientKey = nil, nil, "", ""
		user.Token = token.Status.Token
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, path))
	return path
}

// usedRights are those of what it has that the operator's account made use of since
// the log had a length, and what was refused for want of one. The API server says by
// which role it allowed a request; where more than one would do, the others are left
// over.
func usedRights(t *testing.T, since int64, have map[right]bool) (used map[right]bool, refused []string) {
	t.Helper()
	file, err := os.Open(cluster.AuditLogPath())
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // only read
	_, err = file.Seek(since, 0)
	require.NoError(t, err)
	used = map[right]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			User struct {
				Username string `json:"username"`
			} `json:"user"`
			Verb       string `json:"verb"`
			RequestURI string `json:"requestURI"`
			ObjectRef  *struct {
				Group       string `json:"apiGroup"`
				Resource    string `json:"resource"`
				Subresource string `json:"subresource"`
				Name        string `json:"name"`
			} `json:"objectRef"`
			Annotations map[string]string `json:"annotations"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &event))
		if event.ObjectRef == nil || event.User.Username != operatorUser {
			continue
		}
		if event.Annotations["authorization.k8s.io/decision"] != "allow" {
			refused = append(refused, event.Verb+" "+event.RequestURI)
			continue
		}
		by := allowedBy.FindStringSubmatch(event.Annotations["authorization.k8s.io/reason"])
		require.NotNil(t, by, "%s %s: %v", event.Verb, event.RequestURI, event.Annotations)
		r := right{by[1] + "/" + by[2], event.ObjectRef.Group, event.ObjectRef.Resource, "", event.Verb}
		if sub := event.ObjectRef.Subresource; sub != "" {
			r.resource += "/" + sub
		}
		if named := r; event.ObjectRef.Name != "" {
			if named.name = numbered.ReplaceAllString(event.ObjectRef.Name, ""); have[named] {
				r = named
			}
		}
		used[r] = true
	}
	require.NoError(t, lines.Err())
	slices.Sort(refused)
	return used, slices.Compact(refused)
}

func auditLogLength(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(cluster.AuditLogPath())
	require.NoError(t, err)
	return info.Size()
}

// healthyAll waits until no part says that it lacks something.
func (o *operator) healthyAll() {
	o.t.Helper()
	var ill []string
	assert.Eventually(o.t, func() bool {
		health, err := o.clusterClient().GetHealth(o.t.Context(), &rightsizerv1.GetHealthRequest{})
		if err != nil {
			return false
		}
		ill = nil
		for _, c := range health.GetComponents() {
			if c.GetState() != rightsizerv1.HealthState_HEALTH_STATE_OK {
				ill = append(ill, c.GetComponent()+": "+c.GetReason())
			}
		}
		return len(ill) == 0
	}, patience, poll)
	assert.Empty(o.t, ill)
}

// The operator under the role that is shipped, and nothing else, does all that it does:
// nothing is refused, and no right is left over.
func TestTheShippedRoleIsExact(t *testing.T) {
	const auto, asked = "exact-auto", "exact-asked"
	installCRDs(t)
	makeNamespace(t, "rightsizer")
	autoscalers(t)
	fullChain(t)
	forgetRemediations(t)
	since := auditLogLength(t)
	read := rbacOf(t, "../install.yaml")
	grant(t, read)
	config := accountKubeconfig(t)

	done := t.Run("readonly", func(t *testing.T) { reads(t, config) })

	remediate := rbacOf(t, "../kustomize/overlays/remediate/rbac.yaml")
	grant(t, remediate)
	done = t.Run("remediate", func(t *testing.T) { repairs(t, config, auto, asked) }) && done

	have := rightsOf(t, slices.Concat(read, remediate))
	used, refused := usedRights(t, since, have)
	assert.Empty(t, refused, "the role lacks these rights")
	if !done {
		return // what was not done tells nothing of what is left over
	}
	for r := range have {
		assert.True(t, used[r], "nothing used this right: %+v", r)
	}
}

// autoscalers installs a CRD that a cluster may have, so that it is watched.
func autoscalers(t *testing.T) {
	t.Helper()
	client := as(t, "").Resource(crds)
	_, err := apply(t.Context(), client, parse(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: verticalpodautoscalers.autoscaling.k8s.io
  annotations: {api-approved.kubernetes.io: "unapproved, a stand-in for a test"}
spec:
  group: autoscaling.k8s.io
  scope: Namespaced
  names: {kind: VerticalPodAutoscaler, listKind: VerticalPodAutoscalerList, plural: verticalpodautoscalers, singular: verticalpodautoscaler}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`)[0])
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = client.Delete(context.Background(), "verticalpodautoscalers.autoscaling.k8s.io", metav1.DeleteOptions{})
	})
	vpas := as(t, "").Resource(schema.GroupVersionResource{Group: "autoscaling.k8s.io", Version: "v1", Resource: "verticalpodautoscalers"})
	require.Eventually(t, func() bool {
		_, err := vpas.List(t.Context(), metav1.ListOptions{})
		return err == nil
	}, patience, poll)
}

// inPod are the settings that an operator in a pod has by itself, and it measures often.
var inPod = []string{"--usage-interval=1s", "--leader-elect=on", "--usage-checkpoints=on", "--operator-namespace=rightsizer"}

// reads is an operator that reads lists by pages, asks who calls, explains policies, and
// keeps what it measured when it ends.
func reads(t *testing.T, config string) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte("# none\n"), 0o600))
	o := serve(t, config, append(inPod, "--disable-watch-list", "--static-token-file="+tokens)...).ready()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	caller, err := client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"rightsizer.dev"}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = o.eventsAs(caller.Status.Token).ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{"default"}}})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "known, and without the right")
	o.leads()
	o.stop()

	// The next one finds what was kept, and writes it again.
	o = serve(t, config, inPod...).ready()
	explains := rightsizerv1connect.NewPolicyServiceClient(http.DefaultClient, o.url)
	for _, kind := range live.Kinds() {
		_, err := explains.ExplainPolicy(t.Context(), &rightsizerv1.ExplainPolicyRequest{Namespace: "default", Kind: kind, Name: "none"})
		assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err), kind)
	}
	_, err = o.remediationClient().GetRemediation(t.Context(), &rightsizerv1.GetRemediationRequest{Namespace: "default", Name: "none"})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	o.leads()
	o.healthyAll()
	o.stop()
}

// leads waits until the operator holds the lease.
func (o *operator) leads() {
	o.t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(o.t, err)
	require.Eventually(o.t, func() bool {
		lease, err := client.CoordinationV1().Leases("rightsizer").Get(o.t.Context(), "rightsizer", metav1.GetOptions{})
		return err == nil && lease.Spec.HolderIdentity != nil && strings.Contains(*lease.Spec.HolderIdentity, "_"+o.pid()+"_")
	}, patience, poll, "leads")
}

// repairs is an operator that cures under policies, by itself and as people approve.
func repairs(t *testing.T, config, auto, asked string) {
	o := serve(t, config, inPod...).ready()
	in := as(t, "").Resource(clusterPolicies)
	_, err := apply(t.Context(), in, parse(t, "apiVersion: rightsizer.dev/v1alpha1\nkind: ClusterRightSizerPolicy\nmetadata: {name: exact}\nspec: {mode: Observe}")[0])
	require.NoError(t, err)
	t.Cleanup(func() { _ = in.Delete(context.Background(), "exact", metav1.DeleteOptions{}) })
	governed(t, auto, "auto", map[string]any{ // all of it by itself, and at once
		"modes": []any{}, "riskCeiling": "Critical",
		"budgets.namespace": map[string]any{"per": "10m", "actions": int64(500), "disruptions": int64(50), "concurrent": int64(20)},
	})
	governed(t, asked, "approve", nil)
	endedLongAgo(t, auto)
	workloadsByHand(t, auto)
	admit(t, asked)
	allowOf(t, asked, "resizers", resizing, "bob")
	allow(t, asked, "approvers", []string{"remediations/approve", "remediations/status", "remediations"}, []string{"get", "update", "patch"}, "bob")
	o.leads()

	hungry(t, auto, "app", 1, "64Mi", "100", "")
	hungry(t, asked, "app", 1, "64Mi", "100", resting)
	r := o.waitState(asked, "app", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	require.Eventually(t, func() bool { // the authorizer hears of the role in a moment
		_, err = as(t, "bob").Resource(remediations).Namespace(asked).Patch(t.Context(), r.GetName(), types.MergePatchType,
			[]byte(`{"status":{"approval":{"decision":"Approve","user":"bob","generation":1}}}`), metav1.PatchOptions{}, "status")
		return err == nil
	}, patience, poll, "%v", err)
	for _, namespace := range []string{auto, asked} {
		o.waitState(namespace, "app", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
		assert.GreaterOrEqual(t, memoryLimit(&podsOf(t, namespace, "app=app")[0]), int64(100))
	}
	o.asksByHand(auto)
	require.Eventually(t, func() bool {
		_, err := as(t, "").Resource(remediations).Namespace(auto).Get(t.Context(), "of-old", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, patience, poll, "what ended long ago goes")
	for _, policy := range []*unstructured.Unstructured{
		must(in.Get(t.Context(), "exact", metav1.GetOptions{})),
		must(as(t, "").Resource(policies).Namespace(auto).Get(t.Context(), "default", metav1.GetOptions{})),
	} {
		conditions, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
		assert.NotEmpty(t, conditions, policy.GetName())
	}
	o.healthyAll()
	o.stop()
}

// must is for what the test has seen there already.
func must(obj *unstructured.Unstructured, err error) *unstructured.Unstructured {
	if err != nil {
		panic(err)
	}
	return obj
}

func (o *operator) pid() string { return strconv.Itoa(o.cmd.Process.Pid) }
