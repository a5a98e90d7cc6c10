package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/rightsizer/rightsizer/deploy/e2e/effects"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// looping has a container killed again and again, every few seconds.
const looping = `sim.rightsizer.dev/back-off-seconds: "2", sim.rightsizer.dev/back-off-max-seconds: "4"`

// onceAndRecorded holds that each decision had one effect on each pod, by the API
// server's own log, that none is without its record, that every record came to its
// end, and that the audit chain is whole.
func onceAndRecorded(t *testing.T, o *operator, namespace string) {
	t.Helper()
	require.Eventually(t, func() bool { // what a last kill led to may be under way
		return !slices.ContainsFunc(remediationsOf(t, namespace), func(r unstructured.Unstructured) bool {
			return text(&r, "status", "finishTime") == ""
		})
	}, patience, poll, "every record comes to its end")
	made, err := effects.Read(cluster.AuditLogPath(), namespace)
	require.NoError(t, err)
	require.NotEmpty(t, made.Accepted)
	assert.Empty(t, made.Wrong(remediationsOf(t, namespace)))
	checked, err := rightsizerv1connect.NewAuditServiceClient(http.DefaultClient, o.url).VerifyAudit(t.Context(), &rightsizerv1.VerifyAuditRequest{})
	require.NoError(t, err)
	assert.True(t, checked.GetValid(), checked.GetFindings())
}

// stateSeen waits, by a watch, until a Remediation of a workload is in a state or
// beyond; empty is as soon as there is one. It returns at once.
func stateSeen(ctx context.Context, t *testing.T, namespace, workload, state string) {
	t.Helper()
	in := as(t, "").Resource(remediations).Namespace(namespace)
	seen := func(r *unstructured.Unstructured) bool {
		if text(r, "spec", "workload", "name") != workload {
			return false
		}
		if state == "" {
			return true
		}
		steps, _, _ := unstructured.NestedSlice(r.Object, "status", "transitions")
		return slices.ContainsFunc(steps, func(raw any) bool {
			step, ok := raw.(map[string]any)
			return ok && step["to"] == state
		})
	}
	found, err := in.List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	if slices.ContainsFunc(found.Items, func(r unstructured.Unstructured) bool { return seen(&r) }) {
		return
	}
	w, err := in.Watch(ctx, metav1.ListOptions{ResourceVersion: found.GetResourceVersion()})
	require.NoError(t, err)
	defer w.Stop()
	for event := range w.ResultChan() {
		if r, ok := event.Object.(*unstructured.Unstructured); ok && seen(r) {
			return
		}
	}
	require.Failf(t, "the watch ended", "before a Remediation of %s was in state %q", workload, state)
}

// The operator's process is killed, by SIGKILL, as its decision is made, as its
// intent is written, as the effect is in force, and as it has ended. Its successor
// brings each to its end: no effect is made twice, none is lost.
func TestSIGKILLAtAnyStateHasNoSecondEffect(t *testing.T) {
	const namespace = "killed"
	governed(t, namespace, "auto", nil)
	var o *operator
	for _, at := range []struct{ name, state string }{{"proposed", ""}, {"executing", "Executing"}, {"verifying", "Verifying"}, {"ended", "Succeeded"}} {
		name, state := at.name, at.state
		if o != nil {
			o.kill()
		}
		o = serve(t, cluster.KubeconfigPath())
		hungry(t, namespace, name, 2, "64Mi", "100", looping)
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		stateSeen(ctx, t, namespace, name, state)
		o.kill()
		cancel()
		o = serve(t, cluster.KubeconfigPath()).ready()
		o.waitState(namespace, name, rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
		for _, pod := range podsOf(t, namespace, "app="+name) {
			assert.GreaterOrEqual(t, memoryLimit(&pod), int64(100), name)
		}
	}
	onceAndRecorded(t, o, namespace)
}

// The operator's process is killed, by SIGKILL, at moments that nobody chose: most of
// them while the two effects of a decision are made, some while it is verified.
func TestSIGKILLAtRandomMomentsHasNoSecondEffect(t *testing.T) {
	const namespace, kills = "killed-at-random", 16
	governed(t, namespace, "auto", nil)
	victim := func(n int) string { return fmt.Sprintf("victim-%d", n) }
	hungry(t, namespace, victim(0), 2, "64Mi", "100", looping)
	for n := range kills {
		o := serve(t, cluster.KubeconfigPath())
		if n+1 < kills { // on its way meanwhile
			hungry(t, namespace, victim(n+1), 2, "64Mi", "100", looping)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		stateSeen(ctx, t, namespace, victim(n), "")
		cancel()
		longest := 100 * time.Millisecond // the steps up to the effects are within that
		if n%4 == 0 {
			longest = 3 * time.Second
		}
		moment := rand.N(longest)
		t.Logf("%s: killed after %s", victim(n), moment)
		<-time.After(moment)
		o.kill()
	}
	o := serve(t, cluster.KubeconfigPath()).ready()
	for n := range kills {
		o.waitState(namespace, victim(n), rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	}
	onceAndRecorded(t, o, namespace)
}

// Two operators that both believe to lead: each of them acts on every cause, and
// each pod is changed once for each decision all the same.
func TestTwoLeadersByForceHaveOneEffect(t *testing.T) {
	const namespace = "two-leaders"
	governed(t, namespace, "auto", nil)
	one := serve(t, cluster.KubeconfigPath(), "--leader-elect=off").ready()
	other := serve(t, cluster.KubeconfigPath(), "--leader-elect=off").ready()
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		hungry(t, namespace, name, 2, "64Mi", "100", looping)
	}
	for _, name := range names {
		one.waitState(namespace, name, rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	}
	both := func() bool {
		return strings.Contains(one.log.String(), "this replica leads") && strings.Contains(other.log.String(), "this replica leads")
	}
	require.Eventually(t, both, time.Second, poll)
	onceAndRecorded(t, one, namespace)
}
