package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
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
	"github.com/rightsizer/rightsizer/remediate/audit"
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

// fullChain fills the audit chain to its bound of 512 segments, of which the next one
// costs the oldest.
func fullChain(t *testing.T) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	segments := client.CoreV1().ConfigMaps("rightsizer")
	const labelled = "rightsizer.dev/audit=segment"
	t.Cleanup(func() { // other tests need not read it
		_ = segments.DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: labelled})
	})
	first := 1
	oldest, err := segments.List(t.Context(), metav1.ListOptions{LabelSelector: labelled, Limit: 1})
	require.NoError(t, err)
	if len(oldest.Items) > 0 {
		_, err = fmt.Sscanf(oldest.Items[0].Name, "rightsizer-audit-%d", &first)
		require.NoError(t, err)
	}
	last := fmt.Sprintf("rightsizer-audit-%08d", first+511)

	log, err := audit.New(audit.Options{Config: cluster.RESTConfig(), Namespace: "rightsizer", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- log.Run(ctx) }()
	for found := false; !found; {
		var batch sync.WaitGroup // as many as go together in one append
		for range 64 {
			batch.Go(func() {
				_, err := log.Append(ctx, &rightsizerv1.AuditRecord{Actor: "exercise", Action: "exercise", Reason: strings.Repeat("long ago ", 110)})
				assert.NoError(t, err)
			})
		}
		batch.Wait()
		require.False(t, t.Failed())
		_, err = segments.Get(ctx, last, metav1.GetOptions{})
		found = err == nil
		require.True(t, found || apierrors.IsNotFound(err), "%v", err)
	}
	stop()
	require.NoError(t, <-ran)
	_, err = segments.Patch(t.Context(), last, types.MergePatchType, []byte(`{"immutable":true}`), metav1.PatchOptions{}) // it is full
	require.NoError(t, err)
}

// endedLongAgo is a Remediation that nobody needs any more.
func endedLongAgo(t *testing.T, namespace string) {
	t.Helper()
	in := as(t, "").Resource(remediations).Namespace(namespace)
	obj := parse(t, goodRemediation)[0]
	obj.SetName("of-old")
	_, err := apply(t.Context(), in, obj)
	require.NoError(t, err)
	ended := time.Now().AddDate(0, 0, -8).UTC().Format(metav1.RFC3339Micro)
	_, err = in.Patch(t.Context(), obj.GetName(), types.MergePatchType,
		[]byte(`{"status":{"state":"Cancelled","finishTime":"`+ended+`"}}`), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
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

// byHand are one action for each right to write that resize_in_place, which the OOM
// kills call for, does not use.
func byHand() []*rightsizerv1.CreateRemediationRequest {
	ask := func(kind, name, action string) *rightsizerv1.CreateRemediationRequest {
		return &rightsizerv1.CreateRemediationRequest{Kind: kind, Name: name, Action: &rightsizerv1.RemediationAction{Kind: action}, Reason: "an exercise"}
	}
	out := []*rightsizerv1.CreateRemediationRequest{
		ask("Deployment", "web", "restart_pod"), ask("Deployment", "roll", "rollout_restart"), ask("StatefulSet", "db", "rollout_restart"),
		ask("DaemonSet", "agent", "rollout_restart"), ask("CronJob", "nightly", "resize_template"),
		ask("Deployment", "wide", "scale"), ask("StatefulSet", "wide-db", "scale"), ask("ReplicaSet", "wide-rs", "scale"), ask("Deployment", "elastic", "scale"),
	}
	for _, r := range out {
		switch r.GetAction().GetKind() {
		case "resize_template":
			r.Container, r.Action.Limits = "app", &rightsizerv1.Resources{MemoryBytes: 96 * mi}
		case "scale":
			r.Action.Replicas = 3
		}
	}
	return out
}

// workloadsByHand are those workloads, of two replicas each, so that one can go, with
// an autoscaler of elastic.
func workloadsByHand(t *testing.T, namespace string) {
	t.Helper()
	for _, name := range []string{"web", "roll", "wide", "elastic"} {
		hungry(t, namespace, name, 2, "64Mi", "10", "")
	}
	const pod = `spec: {%s containers: [{name: app, image: registry.example.com/app:1, resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}}]}`
	for _, c := range [][3]string{
		{"StatefulSet", "db", "replicas: 2, serviceName: db,"},
		{"StatefulSet", "wide-db", "replicas: 2, serviceName: db,"},
		{"ReplicaSet", "wide-rs", "replicas: 2,"},
		{"DaemonSet", "agent", ""},
	} {
		applyTo(t, namespace, fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {name: %[2]s}\nspec: {%s selector: {matchLabels: {app: %[2]s}}, template: {metadata: {labels: {app: %[2]s}}, "+fmt.Sprintf(pod, "")+"}}", c[0], c[1], c[2]))
	}
	applyTo(t, namespace, "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec: {schedule: 0 3 * * *, jobTemplate: {spec: {template: {"+fmt.Sprintf(pod, "restartPolicy: Never,")+"}}}}")
	applyTo(t, namespace, "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: elastic}\n"+
		"spec: {minReplicas: 2, maxReplicas: 4, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: elastic}}")
}

func applyTo(t *testing.T, namespace, manifest string) {
	t.Helper()
	obj := parse(t, manifest)[0]
	version, err := schema.ParseGroupVersion(obj.GetAPIVersion())
	require.NoError(t, err)
	_, err = apply(t.Context(), as(t, "").Resource(version.WithResource(strings.ToLower(obj.GetKind())+"s")).Namespace(namespace), obj)
	require.NoError(t, err, manifest)
}

// rolledOutLongAgo dates a Deployment's last rollout back, once it is complete: of a
// recent one the guards wait for the outcome.
func rolledOutLongAgo(t *testing.T, namespace, name string) bool {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	d, err := client.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	if !slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Reason == "NewReplicaSetAvailable" }) {
		return false
	}
	_, err = client.AppsV1().Deployments(namespace).Patch(t.Context(), name, types.StrategicMergePatchType,
		[]byte(`{"status":{"conditions":[{"type":"Progressing","lastUpdateTime":"2020-01-01T00:00:00Z"}]}}`), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	return true
}

// asksByHand has each of them done, and waits until it is.
func (o *operator) asksByHand(namespace string) {
	t := o.t
	for _, r := range byHand() {
		r.Namespace = namespace
		last := "nothing yet"
		assert.Eventually(t, func() bool { // once it stands still
			if pods := podsOf(t, namespace, "app="+r.GetName()); r.GetAction().GetKind() == "restart_pod" && len(pods) > 0 {
				r.Action.Parameters = map[string]string{"pod": pods[0].Name}
			}
			if r.GetKind() == "Deployment" && r.GetAction().GetKind() != "scale" && !rolledOutLongAgo(t, namespace, r.GetName()) {
				return false
			}
			_, err := o.remediationClient().CreateRemediation(t.Context(), r)
			if err != nil {
				last = err.Error()
			}
			return err == nil
		}, patience, 500*time.Millisecond, "%s of %s", r.GetAction().GetKind(), r.GetName())
		if t.Failed() {
			t.Fatalf("%s of %s: %s", r.GetAction().GetKind(), r.GetName(), last)
		}
	}
	ended := map[rightsizerv1.RemediationState]bool{
		rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED: true, rightsizerv1.RemediationState_REMEDIATION_STATE_ESCALATED: true,
		rightsizerv1.RemediationState_REMEDIATION_STATE_ROLLED_BACK: true, rightsizerv1.RemediationState_REMEDIATION_STATE_ABORTED: true,
		rightsizerv1.RemediationState_REMEDIATION_STATE_FAILED: true,
	}
	var open, failed []string
	assert.Eventually(t, func() bool {
		resp, err := o.remediationClient().ListRemediations(t.Context(), &rightsizerv1.ListRemediationsRequest{Namespaces: []string{namespace}})
		open, failed = nil, nil
		for _, r := range resp.GetRemediations() {
			line := fmt.Sprintf("%s of %s: %s: %s", r.GetAction().GetKind(), r.GetWorkload().GetName(), r.GetState(), r.GetMessage())
			if !ended[r.GetState()] {
				open = append(open, line)
			} else if r.GetState() != rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED {
				failed = append(failed, line)
			}
		}
		return err == nil && len(open) == 0
	}, patience, 500*time.Millisecond)
	assert.Empty(t, open)
	assert.Empty(t, failed)
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
