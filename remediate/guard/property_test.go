package guard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// drawFacts makes facts of any kind, each near enough to what passes that many do.
func drawFacts(t *rapid.T) guard.Facts {
	some := func(name string) bool { return rapid.IntRange(0, 7).Draw(t, name) == 0 }
	size := func(name string) int64 { return rapid.Int64Range(1, 600).Draw(t, name) * mi }
	back := func(name string, most time.Duration) time.Time {
		return ago(time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name)))
	}
	f := raise()
	d := &f.Decision
	d.OOM, d.Person, d.Approved = rapid.Bool().Draw(t, "oom"), some("person"), some("approved")
	d.Current, d.Desired = memoryLimit(size("current")), memoryLimit(size("desired"))
	d.Action = rapid.SampledFrom([]v1alpha1.ActionKind{"resize_in_place", "resize_template", "scale", "restart_pod"}).Draw(t, "action")
	if some("disrupts") {
		d.Disrupts = rapid.Int32Range(1, 2).Draw(t, "how many")
		d.DisruptsReady = rapid.Int32Range(0, d.Disrupts).Draw(t, "ready ones")
	}
	if some("scales") {
		d.CurrentReplicas, d.DesiredReplicas = rapid.Int32Range(1, 4).Draw(t, "replicas"), rapid.Int32Range(1, 4).Draw(t, "wanted")
	}
	f.Policy = auto(func(s *v1alpha1.PolicySpec) {
		if some("another mode") {
			s.Mode = rapid.SampledFrom([]v1alpha1.Mode{"Approve", "DryRun", "Recommend", "Off"}).Draw(t, "mode")
		}
	})
	f.Workload.Ready = rapid.Int32Range(0, 4).Draw(t, "ready")
	f.Workload.RollingOut = some("rolling out")
	if some("kube-system") {
		f.Workload.Namespace = policy.NamespaceKubeSystem
	}
	if some("frozen") {
		f.Operator.Frozen = "frozen"
	}
	f.Usage = guard.Usage{MemoryBytes: size("used") / 4, MemoryPeakBytes: size("peak") / 4, MemorySamples: rapid.Int64Range(40, 500).Draw(t, "samples")}
	if !some("no usage") {
		f.Usage.Time = back("sample", 6*time.Minute)
	}
	if some("an OOM") {
		f.Usage.LastOOM = back("last OOM", 48*time.Hour)
	}
	for range rapid.IntRange(-6, 6).Draw(t, "history") {
		began := time.Duration(rapid.Int64Range(int64(time.Second), int64(12*time.Hour)).Draw(t, "began"))
		f.History = append(f.History, past(began, func(p *guard.Past) {
			p.Disruptive = rapid.Bool().Draw(t, "disruptive")
			if p.Disruptive {
				p.Disruptions = 1
			}
			p.Memory = guard.Direction(rapid.IntRange(-1, 1).Draw(t, "moved"))
			p.State = rapid.SampledFrom([]v1alpha1.RemediationState{"Succeeded", "Verifying", "Escalated"}).Draw(t, "state")
		}))
	}
	return f
}

// What the guards let through keeps the promises, whatever else is so.
func TestWhatIsLetThroughIsSafe(t *testing.T) {
	t.Parallel()
	passed, lowered := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		r := guard.Ask(f)
		require.Len(t, r.Verdicts, len(guard.Guards()))
		if r.Outcome() >= guard.DryRun {
			return // nothing is done now
		}
		passed++
		d, limits := &f.Decision, guard.DefaultLimits()
		require.Empty(t, f.Operator.Frozen)
		require.NotEqual(t, policy.NamespaceKubeSystem, f.Workload.Namespace)
		if !d.Person {
			require.Contains(t, []v1alpha1.Mode{"Approve", "Auto"}, f.Policy.Spec.Mode)
		}
		if d.Desired.Limits.MemoryBytes < d.Current.Limits.MemoryBytes {
			lowered++
			require.False(t, f.Usage.Time.IsZero())
			require.LessOrEqual(t, f.Now.Sub(f.Usage.Time), limits.StaleAfter)
			require.GreaterOrEqual(t, f.Usage.MemorySamples, limits.MinMemorySamples)
			require.GreaterOrEqual(t, d.Desired.Limits.MemoryBytes, max(f.Usage.MemoryBytes, f.Usage.MemoryPeakBytes)+limits.MemoryMarginBytes)
			if !f.Usage.LastOOM.IsZero() {
				require.GreaterOrEqual(t, f.Now.Sub(f.Usage.LastOOM), limits.RecentOOM)
			}
		}
		if d.DisruptsReady > 0 {
			require.Greater(t, f.Workload.Ready, d.DisruptsReady)
		}
		begun, disrupted := int32(0), int32(0)
		for _, p := range f.History {
			if p.Started.After(f.Now.Add(-f.Policy.Spec.Budgets.Workload.Per.Duration)) {
				begun++
				disrupted += p.Disruptions
			}
		}
		require.Less(t, begun, f.Policy.Spec.Budgets.Workload.Actions)
		if d.Disrupts > 0 {
			require.LessOrEqual(t, disrupted+d.Disrupts, f.Policy.Spec.Budgets.Workload.Disruptions)
		}
	})
	t.Logf("%d let through, %d of them lower memory", passed, lowered)
	require.Positive(t, passed)
}
