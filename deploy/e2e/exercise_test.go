package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/audit"
)

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

// forgetRemediations deletes what other tests have left: an operator goes on with what
// is open, whether or not it still has the rights.
func forgetRemediations(t *testing.T) {
	t.Helper()
	left, err := as(t, "").Resource(remediations).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, r := range left.Items {
		require.NoError(t, as(t, "").Resource(remediations).Namespace(r.GetNamespace()).Delete(t.Context(), r.GetName(), metav1.DeleteOptions{}))
	}
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
