package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// freely is a change of the shipped Auto policy under which disruptive actions are
// carried out without a person.
func freely(more map[string]any) map[string]any {
	room := map[string]any{"per": "10m", "actions": int64(100), "disruptions": int64(100), "concurrent": int64(4)}
	out := map[string]any{"riskCeiling": "Critical", "modes": []any{}, "budgets.workload": room, "budgets.namespace": room}
	maps.Copy(out, more)
	return out
}

// applied applies an object of a kind to a namespace.
func applied(t *testing.T, namespace, group, resource, text string) {
	t.Helper()
	gvr := schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
	_, err := apply(t.Context(), as(t, "").Resource(gvr).Namespace(namespace), parse(t, text)[0])
	require.NoError(t, err)
}

// web is the rest of a workload's spec: two containers' worth of a template.
func web(name string) string {
	return fmt.Sprintf(`
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - name: app
        image: registry.example.com/%[1]s:1
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
`, name)
}

// longAgo has the last rollout of a Deployment be complete since an hour, so that
// nobody has to wait for its warm-up.
func longAgo(t *testing.T, namespace, name string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		d, err := client.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || d.Status.ReadyReplicas != *d.Spec.Replicas || d.Status.ObservedGeneration != d.Generation {
			return false
		}
		i := slices.IndexFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
			return c.Type == appsv1.DeploymentProgressing && c.Reason == "NewReplicaSetAvailable"
		})
		if i < 0 {
			return false
		}
		d.Status.Conditions[i].LastUpdateTime = metav1.NewTime(time.Now().Add(-time.Hour))
		_, err = client.AppsV1().Deployments(namespace).UpdateStatus(t.Context(), d, metav1.UpdateOptions{})
		return err == nil
	}, patience, poll, "the first rollout of %s", name)
}

// ask asks for an action on a workload.
func (o *operator) ask(namespace, kind, name string, action *rightsizerv1.RemediationAction, container string) *rightsizerv1.Remediation {
	o.t.Helper()
	var made *rightsizerv1.Remediation
	require.EventuallyWithT(o.t, func(c *assert.CollectT) {
		resp, err := o.remediationClient().CreateRemediation(o.t.Context(), &rightsizerv1.CreateRemediationRequest{
			Namespace: namespace, Kind: kind, Name: name, Container: container, Action: action, Reason: "an exercise", RequestId: name + action.GetKind(),
		})
		require.NoError(c, err)
		made = resp.GetRemediation()
	}, patience, poll)
	return made
}

// becomes waits until a Remediation has a state, and no other end.
func (o *operator) becomes(r *rightsizerv1.Remediation, want rightsizerv1.RemediationState) *rightsizerv1.Remediation {
	o.t.Helper()
	var now *rightsizerv1.Remediation
	require.Eventually(o.t, func() bool {
		resp, err := o.remediationClient().GetRemediation(o.t.Context(), &rightsizerv1.GetRemediationRequest{Namespace: r.GetNamespace(), Name: r.GetName()})
		if err != nil {
			return false
		}
		now = resp.GetRemediation()
		return now.GetState() == want
	}, patience, poll, "%s: %s: %s", want, r.GetName(), fmtLater{&now})
	return now
}

// fmtLater writes a Remediation as it is when it is written.
type fmtLater struct{ r **rightsizerv1.Remediation }

func (f fmtLater) String() string { return (*f.r).GetState().String() + ": " + (*f.r).GetMessage() }

// audited checks that each step of a Remediation is in the audit chain, and that the
// chain is whole.
func (o *operator) audited(r *rightsizerv1.Remediation, actions ...string) {
	o.t.Helper()
	client := rightsizerv1connect.NewAuditServiceClient(http.DefaultClient, o.url)
	listed, err := client.ListAuditRecords(o.t.Context(), &rightsizerv1.ListAuditRecordsRequest{Namespaces: []string{r.GetNamespace()}, PageSize: 200})
	require.NoError(o.t, err)
	for _, want := range actions {
		assert.True(o.t, slices.ContainsFunc(listed.GetRecords(), func(rec *rightsizerv1.AuditRecord) bool {
			return rec.GetRemediation() == r.GetName() && rec.GetAction() == want
		}), "no record %s of %s", want, r.GetName())
	}
	checked, err := client.VerifyAudit(o.t.Context(), &rightsizerv1.VerifyAuditRequest{})
	require.NoError(o.t, err)
	assert.True(o.t, checked.GetValid(), checked.GetFindings())
}

const (
	succeeded  = rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED
	rolledBack = rightsizerv1.RemediationState_REMEDIATION_STATE_ROLLED_BACK
	escalated  = rightsizerv1.RemediationState_REMEDIATION_STATE_ESCALATED
)

// A pod is restarted through the eviction API: a disruption budget holds it up as
// long as it has no room, then that pod alone goes, and the one that the controller
// makes is looked at.
func TestAPodIsRestartedThroughTheEvictionAPI(t *testing.T) {
	const namespace = "restarted"
	governed(t, namespace, "auto", freely(nil))
	applied(t, namespace, "apps", "deployments", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 3"+web("web"))
	budget := "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\nspec:\n  maxUnavailable: %d\n  selector: {matchLabels: {app: web}}\n"
	applied(t, namespace, "policy", "poddisruptionbudgets", fmt.Sprintf(budget, 0))
	longAgo(t, namespace, "web")
	o := serve(t, cluster.KubeconfigPath()).ready()
	before := podsOf(t, namespace, "app=web")
	require.Len(t, before, 3)
	victim := before[1]

	r := o.ask(namespace, "Deployment", "web", &rightsizerv1.RemediationAction{Kind: "restart_pod", Parameters: map[string]string{"pod": victim.Name}}, "")
	require.Eventually(t, func() bool {
		made := remediationsOf(t, namespace)
		return len(made) == 1 && strings.Contains(text(&made[0], "status", "message"), "PodDisruptionBudget web has no room")
	}, patience, poll)
	assert.Len(t, podsOf(t, namespace, "app=web"), 3)
	applied(t, namespace, "policy", "poddisruptionbudgets", fmt.Sprintf(budget, 1))
	r = o.becomes(r, succeeded)
	assert.Equal(t, victim.Name, r.GetAction().GetParameters()["pod"])
	now := podsOf(t, namespace, "app=web")
	require.Len(t, now, 3)
	kept := 0
	for i := range now {
		assert.NotEqual(t, victim.UID, now[i].UID)
		if now[i].UID == before[0].UID || now[i].UID == before[2].UID {
			kept++
		}
	}
	assert.Equal(t, 2, kept, "the others are left alone")
	o.audited(r, "remediation.proposed", "remediation.executing", "remediation.succeeded")

	_, err := o.remediationClient().RollbackRemediation(t.Context(), &rightsizerv1.RollbackRemediationRequest{Namespace: namespace, Name: r.GetName()})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		made := remediationsOf(t, namespace)
		return len(made) == 1 && strings.Contains(text(&made[0], "status", "message"), "cannot be taken back")
	}, patience, poll, "who asks for it is told")
}

// Workloads of each kind are restarted by a rollout and resized in their template,
// the resize is taken back, and a CronJob has it for its next run.
func TestWorkloadsOfEachKindAreRolledOut(t *testing.T) {
	const namespace = "rolled"
	governed(t, namespace, "auto", freely(map[string]any{"cooldowns": map[string]any{"raise": "0s", "lower": "1m", "disrupt": "10s"}}))
	applied(t, namespace, "apps", "deployments", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 2"+web("d"))
	applied(t, namespace, "apps", "statefulsets", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec:\n  replicas: 2\n  serviceName: s"+web("s"))
	applied(t, namespace, "apps", "daemonsets", "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: a}\nspec:"+web("a"))
	applied(t, namespace, "batch", "cronjobs", `
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - name: app
            image: registry.example.com/c:1
            resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
`)
	longAgo(t, namespace, "d")
	require.Eventually(t, func() bool {
		ready := 0
		for _, pod := range podsOf(t, namespace, "app in (s, a)") {
			if slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Ready }) {
				ready++
			}
		}
		return ready == 2+len(podsOf(t, namespace, "app=a")) && ready > 2
	}, patience, poll)
	o := serve(t, cluster.KubeconfigPath()).ready()
	uids := func(app string) (out []types.UID) {
		for _, pod := range podsOf(t, namespace, "app="+app) {
			out = append(out, pod.UID)
		}
		return out
	}
	larger := &rightsizerv1.RemediationAction{Kind: "resize_template", Limits: &rightsizerv1.Resources{MemoryBytes: 96 * mi}}
	restart := &rightsizerv1.RemediationAction{Kind: "rollout_restart"}

	var resized []*rightsizerv1.Remediation
	for _, w := range []struct{ kind, name string }{{"Deployment", "d"}, {"StatefulSet", "s"}, {"DaemonSet", "a"}} {
		before := uids(w.name)
		r := o.becomes(o.ask(namespace, w.kind, w.name, restart, ""), succeeded)
		for _, uid := range uids(w.name) {
			assert.NotContains(t, before, uid, "%s: every pod is replaced", w.kind)
		}
		o.audited(r, "remediation.proposed", "remediation.executing", "remediation.succeeded")
		if w.kind == "Deployment" {
			longAgo(t, namespace, "d")
		}
		r = o.becomes(o.ask(namespace, w.kind, w.name, larger, "app"), succeeded)
		pods := podsOf(t, namespace, "app="+w.name)
		require.Len(t, pods, len(before), w.kind)
		for i := range pods {
			assert.EqualValues(t, 96, memoryLimit(&pods[i]), w.kind)
		}
		o.audited(r, "remediation.proposed", "remediation.executing", "remediation.succeeded")
		resized = append(resized, r)
	}
	r := o.becomes(o.ask(namespace, "CronJob", "c", larger, "app"), succeeded)
	assert.Contains(t, r.GetMessage(), "for the next run")

	back := resized[1]
	_, err := o.remediationClient().RollbackRemediation(t.Context(), &rightsizerv1.RollbackRemediationRequest{Namespace: namespace, Name: back.GetName()})
	require.NoError(t, err)
	o.becomes(back, rolledBack)
	require.Eventually(t, func() bool {
		pods := podsOf(t, namespace, "app=s")
		return len(pods) == 2 && memoryLimit(&pods[0]) == 64 && memoryLimit(&pods[1]) == 64
	}, patience, poll, "its pods have their old size again")
}

// Under persistence Template a cure that has proven itself is put into the template
// by a decision of its own; pods that come later begin with it.
func TestACureIsPutIntoTheTemplate(t *testing.T) {
	const namespace = "templated"
	governed(t, namespace, "auto", freely(map[string]any{"persistence": "Template"}))
	hungry(t, namespace, "web", 2, "64Mi", "100", "")
	o := serve(t, cluster.KubeconfigPath()).ready()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	h := hear(ctx, t, o, "remediation.*")
	h.waitFor(t, "the cure in place", func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == "remediation.succeeded" && ev.GetNamespace() == namespace && ev.GetRemediation().GetAction() == "resize_in_place"
	})
	longAgo(t, namespace, "web")
	h.waitFor(t, "the cure in the template", func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == "remediation.succeeded" && ev.GetNamespace() == namespace && ev.GetRemediation().GetAction() == "resize_template"
	})
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	d, err := client.AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
	require.NoError(t, err)
	cured := d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value() / mi
	assert.GreaterOrEqual(t, cured, int64(100))

	made := len(remediationsOf(t, namespace))
	k := objects{t, client, namespace}
	k.patchDeployment(ctx, "web", `{"spec":{"replicas":4}}`)
	require.Eventually(t, func() bool {
		pods := podsOf(t, namespace, "app=web")
		return len(pods) == 4 && !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return memoryLimit(&p) != cured })
	}, patience, poll)
	assert.Len(t, remediationsOf(t, namespace), made, "nothing had to be decided for the new ones")
	for i := range remediationsOf(t, namespace) {
		r := &remediationsOf(t, namespace)[i]
		o.audited(&rightsizerv1.Remediation{Namespace: namespace, Name: r.GetName()}, "remediation.executing", "remediation.succeeded")
	}
}

// A resize that the kubelet finds infeasible is not waited for: it is escalated at
// once, and its pod is made anew, since another node could hold it.
func TestAnInfeasibleResizeMovesThePod(t *testing.T) {
	const namespace = "infeasible"
	governed(t, namespace, "auto", freely(nil))
	hungry(t, namespace, "web", 2, "64Mi", "100", `sim.rightsizer.dev/resize-infeasible: "true"`)
	longAgo(t, namespace, "web")
	o := serve(t, cluster.KubeconfigPath()).ready()
	before := podsOf(t, namespace, "app=web")
	r := o.waitState(namespace, "web", escalated)
	assert.Contains(t, r.GetMessage(), "infeasible on this node")
	assert.Contains(t, r.GetMessage(), "a new pod in its place is asked for")
	o.audited(r, "remediation.executing", "remediation.escalated")
	require.Eventually(t, func() bool {
		for _, pod := range podsOf(t, namespace, "app=web") {
			if !slices.ContainsFunc(before, func(b corev1.Pod) bool { return b.UID == pod.UID }) {
				return true
			}
		}
		return false
	}, patience, poll, "a new pod")
}
