package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

const mi = 1 << 20

// governed makes a namespace with one of the shipped policies, changed: with a
// short window of verification, which the tests wait for. Its policy is gone when
// the test ends, so that no other test's operator acts there.
func governed(t *testing.T, namespace, example string, change map[string]any) {
	t.Helper()
	installCRDs(t)
	makeNamespace(t, "rightsizer") // where the operator keeps its audit chain
	makeNamespace(t, namespace)
	policy := documents(t, "../crd/examples/"+example+".yaml")[0]
	require.NoError(t, unstructured.SetNestedField(policy.Object, "10s", "spec", "verification", "window"))
	for path, value := range change {
		require.NoError(t, unstructured.SetNestedField(policy.Object, value, append([]string{"spec"}, strings.Split(path, ".")...)...))
	}
	in := as(t, "").Resource(policies).Namespace(namespace)
	_, err := apply(t.Context(), in, policy)
	require.NoError(t, err)
	t.Cleanup(func() { _ = in.Delete(context.Background(), policy.GetName(), metav1.DeleteOptions{}) })
}

// hungry is a Deployment of one container, killed until its limit reaches a need.
// With a back-off it rests after its second kill.
func hungry(t *testing.T, namespace, name string, replicas int, limit, need string, annotations string) {
	t.Helper()
	d := parse(t, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata:
      labels: {app: %[1]s}
      annotations: {sim.rightsizer.dev/needs-mi: "%[4]s", %[5]s}
    spec:
      containers:
      - name: app
        image: registry.example.com/%[1]s:1
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: %[3]s}}
`, name, replicas, limit, need, annotations))[0]
	_, err := apply(t.Context(), as(t, "").Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(namespace), d)
	require.NoError(t, err)
}

func podsOf(t *testing.T, namespace, selector string) []corev1.Pod {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	found, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	require.NoError(t, err)
	return found.Items
}

func remediationsOf(t *testing.T, namespace string) []unstructured.Unstructured {
	t.Helper()
	found, err := as(t, "").Resource(remediations).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return found.Items
}

func text(obj *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, path...)
	return s
}

// memoryLimit is what the spec of a pod's only container allows, in MiB.
func memoryLimit(pod *corev1.Pod) int64 {
	return pod.Spec.Containers[0].Resources.Limits.Memory().Value() / mi
}

func restarts(pods []corev1.Pod) (n int32) {
	for i := range pods {
		for _, s := range pods[i].Status.ContainerStatuses {
			n += s.RestartCount
		}
	}
	return n
}

// An OOM-looping Deployment under the shipped Auto policy is given more memory in
// place, all replicas of it; its siblings are left alone, and its trail is there:
// events, Remediation, Kubernetes Events, audit. Where no policy is, nothing is
// done. The cure lasts as the workload is scaled up and as a pod is deleted.
func TestAnOOMLoopIsCuredInPlace(t *testing.T) {
	const namespace, bystander = "cured", "uncured"
	governed(t, namespace, "auto", nil)
	o := serve(t, cluster.KubeconfigPath()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	h := hear(ctx, t, o, "remediation.*")
	require.NoError(t, cluster.Apply(ctx, "over-provisioned", namespace))
	require.NoError(t, cluster.Apply(ctx, "oom", namespace))
	require.NoError(t, cluster.Apply(ctx, "oom", bystander))
	for _, ns := range []string{namespace, bystander} {
		defer cluster.Remove(context.Background(), "oom", ns) //nolint:errcheck // the cluster goes anyway
	}

	ev := h.waitFor(t, "a cure that held", func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == "remediation.succeeded" && ev.GetPhase() == resolved
	})
	assert.Equal(t, namespace, ev.GetNamespace())
	assert.Equal(t, "checkout", ev.GetWorkload().GetName())
	assert.Equal(t, "resize_in_place", ev.GetRemediation().GetAction())
	assert.Contains(t, ev.GetRemediation().GetDiff(), "/spec/containers/0/resources/limits/memory")
	assert.Equal(t, "RightSizerPolicy/"+namespace+"/default", ev.GetRemediation().GetPolicy())

	pods := podsOf(t, namespace, "app=checkout")
	require.Len(t, pods, 2)
	for i := range pods {
		assert.GreaterOrEqual(t, memoryLimit(&pods[i]), int64(192), pods[i].Name)
		assert.True(t, slices.ContainsFunc(pods[i].ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
			return strings.HasPrefix(f.Manager, "rightsizer-") && f.Subresource == "resize"
		}), "the decision shows in the pod")
		assert.LessOrEqual(t, restarts(pods[i:i+1]), int32(3))
	}
	assert.Zero(t, restarts(podsOf(t, namespace, "app!=checkout")), "siblings are left alone")

	theTrail(t, o, namespace)
	assert.Empty(t, remediationsOf(t, bystander))
	for _, pod := range podsOf(t, bystander, "") {
		assert.EqualValues(t, 128, memoryLimit(&pod), "without a policy nothing is changed")
	}

	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	cured := func(count int) func() bool {
		return func() bool {
			pods := podsOf(t, namespace, "app=checkout")
			return len(pods) == count && !slices.ContainsFunc(pods, func(p corev1.Pod) bool {
				return p.DeletionTimestamp != nil || memoryLimit(&p) < 192
			})
		}
	}
	k := objects{t, client, namespace}
	k.patchDeployment(ctx, "checkout", `{"spec":{"replicas":3}}`)
	require.Eventually(t, cured(3), patience, poll, "a new replica is given what the others have")
	require.NoError(t, client.CoreV1().Pods(namespace).Delete(ctx, pods[0].Name, metav1.DeleteOptions{}))
	require.Eventually(t, cured(3), patience, poll, "so is the successor of a pod that was deleted")
}

// theTrail is what a cure leaves behind.
func theTrail(t *testing.T, o *operator, namespace string) {
	t.Helper()
	made := remediationsOf(t, namespace)
	require.NotEmpty(t, made)
	names := map[string]bool{}
	for i := range made {
		r := &made[i]
		names[r.GetName()] = true
		assert.Equal(t, "Succeeded", text(r, "status", "state"), text(r, "status", "message"))
		targets, _, _ := unstructured.NestedSlice(r.Object, "status", "targets")
		seen := map[string]bool{}
		for _, target := range targets {
			entry, ok := target.(map[string]any)
			require.True(t, ok)
			uid, _ := entry["uid"].(string)
			assert.False(t, seen[uid], "one effect for each pod")
			seen[uid] = true
		}
	}
	audited := rightsizerv1connect.NewAuditServiceClient(http.DefaultClient, o.url)
	listed, err := audited.ListAuditRecords(t.Context(), &rightsizerv1.ListAuditRecordsRequest{Namespaces: []string{namespace}, PageSize: 100})
	require.NoError(t, err)
	did := map[string]*rightsizerv1.AuditRecord{}
	for _, record := range listed.GetRecords() {
		assert.True(t, names[record.GetRemediation()], record.GetRemediation())
		did[record.GetAction()] = record
	}
	if before := did["remediation.executing"]; assert.NotNil(t, before, "the effect's record") {
		assert.NotEmpty(t, before.GetDiff())
		assert.NotEmpty(t, before.GetCauseEventIds())
		assert.Contains(t, before.GetEvidence()["desired"], "limits.memory=")
		assert.NotEmpty(t, before.GetEvidence()["resource_version"])
		assert.NotEmpty(t, before.GetEvidence()["guard_disruption_budget"], before.GetEvidence())
		assert.EqualValues(t, 1, before.GetPolicyGeneration())
	}
	assert.NotNil(t, did["remediation.succeeded"])
	checked, err := audited.VerifyAudit(t.Context(), &rightsizerv1.VerifyAuditRequest{})
	require.NoError(t, err)
	assert.True(t, checked.GetValid(), checked.GetFindings())

	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	for _, about := range []string{"Deployment", "RightSizerPolicy"} {
		require.Eventually(t, func() bool {
			found, err := client.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + about})
			return err == nil && slices.ContainsFunc(found.Items, func(e corev1.Event) bool { return e.Reason == "RemediationSucceeded" })
		}, patience, poll, "a Kubernetes Event about the %s", about)
	}
}

// A need of four times the limit is met by the third raise. Each raise that is too
// small ends as such and is followed by a larger one; nothing is ever taken back.
func TestAnOOMAfterTooSmallARaiseRaisesAgain(t *testing.T) {
	const namespace = "raised"
	governed(t, namespace, "auto", nil)
	o := serve(t, cluster.KubeconfigPath()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	h := hear(ctx, t, o, "remediation.*")
	hungry(t, namespace, "large", 1, "100Mi", "400", `sim.rightsizer.dev/back-off-seconds: "2", sim.rightsizer.dev/back-off-max-seconds: "4"`)
	h.waitFor(t, "a cure that held", func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == "remediation.succeeded" && ev.GetNamespace() == namespace
	})
	pods := podsOf(t, namespace, "app=large")
	require.Len(t, pods, 1)
	assert.GreaterOrEqual(t, memoryLimit(&pods[0]), int64(400))
	assert.LessOrEqual(t, memoryLimit(&pods[0]), int64(800))
	made := remediationsOf(t, namespace)
	slices.SortFunc(made, func(a, b unstructured.Unstructured) int {
		return strings.Compare(text(&a, "spec", "episode"), text(&b, "spec", "episode"))
	})
	require.LessOrEqual(t, len(made), 3)
	for i := range made {
		want := "Escalated"
		if i == len(made)-1 {
			want = "Succeeded"
		}
		assert.Equal(t, want, text(&made[i], "status", "state"), "episode %s: %s", text(&made[i], "spec", "episode"), text(&made[i], "status", "message"))
	}
	for _, ev := range h.all() {
		assert.NotEqual(t, "remediation.rolled_back", ev.GetType())
	}
	assert.LessOrEqual(t, restarts(pods), int32(4), "three kills, and one that was under way as it was raised")
}

// DryRun makes a record and a server-side dry run, and changes nothing: every
// object of the namespace keeps its resource version.
func TestDryRunChangesNothing(t *testing.T) {
	const namespace = "dry"
	governed(t, namespace, "auto", map[string]any{"mode": "DryRun", "modes": []any{}})
	hungry(t, namespace, "still", 2, "64Mi", "100", `sim.rightsizer.dev/back-off-seconds: "300", sim.rightsizer.dev/back-off-max-seconds: "300"`)
	require.Eventually(t, func() bool { // killed twice, and now left alone for five minutes
		pods := podsOf(t, namespace, "app=still")
		return len(pods) == 2 && !slices.ContainsFunc(pods, func(p corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].RestartCount == 0 || p.Status.ContainerStatuses[0].State.Running != nil
		})
	}, patience, poll)
	before := versions(t, namespace)
	require.Greater(t, len(before), 4, "%v", before)

	o := serve(t, cluster.KubeconfigPath()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	h := hear(ctx, t, o, "remediation.*")
	ev := h.waitFor(t, "the dry run", func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == "remediation.dry_run" && ev.GetNamespace() == namespace
	})
	made := remediationsOf(t, namespace)
	require.Len(t, made, 1)
	assert.Equal(t, made[0].GetName(), ev.GetObject().GetName())
	assert.Equal(t, "DryRun", text(&made[0], "status", "state"))
	assert.Contains(t, text(&made[0], "status", "message"), "server-side dry run")
	assert.NotEmpty(t, text(&made[0], "spec", "diff"))
	assert.Equal(t, before, versions(t, namespace))
}

// versions are the resource versions of everything in a namespace, but for the
// records of what was seen and decided.
func versions(t *testing.T, namespace string) map[string]string {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	lists, err := client.Discovery().ServerPreferredNamespacedResources()
	require.NoError(t, err)
	all, err := dynamic.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	out := map[string]string{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, r := range list.APIResources {
			if r.Name == "events" || r.Name == "remediations" || gv.Group == "metrics.k8s.io" || !slices.Contains(r.Verbs, "list") {
				continue
			}
			found, err := all.Resource(gv.WithResource(r.Name)).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err, r.Name)
			for i := range found.Items {
				obj := &found.Items[i]
				version := obj.GetResourceVersion()
				if r.Name == "rightsizerpolicies" { // its status tells what it governs
					version = strconv.FormatInt(obj.GetGeneration(), 10)
				}
				out[r.Name+"/"+obj.GetName()] = version
			}
		}
	}
	return out
}

// Frozen, nothing is done; unfrozen, it goes on. The switch is one key of one
// ConfigMap.
func TestTheFreezeSwitchStopsEverything(t *testing.T) {
	const namespace = "frozen"
	governed(t, namespace, "auto", nil)
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	freeze := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "rightsizer-freeze"}, Data: map[string]string{"freeze": "an exercise"}}
	_, err = client.CoreV1().ConfigMaps("rightsizer").Create(t.Context(), freeze, metav1.CreateOptions{})
	require.NoError(t, err)
	thaw := func(ctx context.Context) error {
		return client.CoreV1().ConfigMaps("rightsizer").Delete(ctx, freeze.Name, metav1.DeleteOptions{})
	}
	t.Cleanup(func() { _ = thaw(context.Background()) })
	o := serve(t, cluster.KubeconfigPath()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	h := hear(ctx, t, o, "remediation.*", "pod.oom_killed")
	hungry(t, namespace, "app", 1, "64Mi", "100", `sim.rightsizer.dev/back-off-seconds: "2"`)
	require.Eventually(t, func() bool {
		kills := 0
		for _, ev := range h.all() {
			if ev.GetNamespace() == namespace && ev.GetType() == "pod.oom_killed" {
				kills++
			}
		}
		return kills >= 4
	}, patience, poll, "kills after the operator has warmed up")
	assert.EqualValues(t, 64, memoryLimit(&podsOf(t, namespace, "app=app")[0]))
	require.NoError(t, thaw(ctx))
	h.waitFor(t, "it goes on", func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == "remediation.verifying" && ev.GetNamespace() == namespace
	})
	assert.GreaterOrEqual(t, memoryLimit(&podsOf(t, namespace, "app=app")[0]), int64(100))
}
