//go:build soak

package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
	"github.com/rightsizer/rightsizer/deploy/e2e/effects"
)

var remediations = schema.GroupVersionResource{Group: "rightsizer.dev", Version: "v1alpha1", Resource: "remediations"}

// victim is a Deployment that is OOM-killed until its limit is 100 Mi.
const victim = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: victim-%[1]d}
spec:
  replicas: 2
  selector: {matchLabels: {app: victim-%[1]d}}
  template:
    metadata:
      labels: {app: victim-%[1]d}
      annotations: {sim.rightsizer.dev/needs-mi: "100", sim.rightsizer.dev/back-off-seconds: "2", sim.rightsizer.dev/back-off-max-seconds: "4"}
    spec:
      containers:
      - name: app
        image: registry.example.com/victim:1
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
`

// The operator's process is killed SOAKKILLS times, 200 by default, each at a random
// moment of a decision's life: shortly after it was made, or until long after its
// effect. In the end no effect was made twice and none is without its record, by the
// API server's own log, and every record has come to its end or waits for an approval.
func TestKillsAtRandomPoints(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("SOAKKILLS"))
	if err != nil || kills < 1 {
		kills = 200
	}
	cluster, err := devcluster.Start(t.Context(), devcluster.Options{
		Nodes: 3, AuditPolicy: effects.AuditPolicy, Progress: devcluster.ProgressPrinter(os.Stderr, false),
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, cluster.Stop()) }()
	const namespace = "killed"
	require.NoError(t, cluster.MakeNamespace(t.Context(), "rightsizer"))
	require.NoError(t, cluster.ApplyManifests(t.Context(), "../../crd", ""))
	require.NoError(t, cluster.ApplyManifests(t.Context(), "../../crd/examples/auto.yaml", namespace))
	client, err := dynamic.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	inNamespace := client.Resource(remediations).Namespace(namespace)
	all := func() []unstructured.Unstructured {
		found, err := inNamespace.List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		return found.Items
	}
	o := newOperator(t, cluster.KubeconfigPath())
	for n := range kills {
		o.start(t)
		apply(t.Context(), t, cluster, n, namespace)
		require.Eventually(t, func() bool { return len(all()) > n }, patience, 10*time.Millisecond, "a decision for victim %d", n)
		longest := 300 * time.Millisecond // most of a decision's steps are within that
		if n%4 == 0 {
			longest = 10 * time.Second // it is being verified
		}
		wait(t.Context(), rand.N(longest))
		o.end(syscall.SIGKILL)
	}
	o.start(t)
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(all(), func(r unstructured.Unstructured) bool {
			end, _, _ := unstructured.NestedString(r.Object, "status", "finishTime")
			state, _, _ := unstructured.NestedString(r.Object, "status", "state")
			return end == "" && state != "PendingApproval" // nobody is there to restart a pod whose resize did not take
		})
	}, 10*time.Minute, time.Second, "every record comes to its end, or waits for somebody")
	logged, err := effects.Read(cluster.AuditLogPath(), namespace)
	require.NoError(t, err)
	records := all()
	t.Logf("%d kills, %d decisions, %d effects, %d unanswered", kills, len(records), len(logged.Accepted), len(logged.Unanswered))
	assert.GreaterOrEqual(t, len(records), kills)
	assert.GreaterOrEqual(t, len(logged.Accepted)+len(logged.Unanswered), 2*kills)
	for _, wrong := range logged.Wrong(records) {
		t.Error(wrong)
	}
}

// apply makes victim n.
func apply(ctx context.Context, t *testing.T, cluster *devcluster.Cluster, n int, namespace string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "victim.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, victim, n), 0o600))
	require.NoError(t, cluster.ApplyManifests(ctx, file, namespace))
}
