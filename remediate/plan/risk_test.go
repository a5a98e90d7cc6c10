package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// raised is the harmless case: more memory, in place, without a restart.
func raised(change func(f *plan.RiskFacts)) plan.RiskFacts {
	f := plan.RiskFacts{
		Action: v1alpha1.ActionResizeInPlace, Namespace: "shop", Kind: "Deployment", Replicas: 3, Ready: 3,
		From: policy.Size{Limits: amounts(0, 100*mi)}, To: policy.Size{Limits: amounts(0, 160*mi)}, DataAge: time.Minute,
	}
	if change != nil {
		change(&f)
	}
	return f
}

// Each fact alone makes it riskier, and is told.
func TestRisk(t *testing.T) {
	t.Parallel()
	restart := func(f *plan.RiskFacts) { f.Action, f.Restarts, f.RestartsReady = v1alpha1.ActionRestartPod, 1, 1 }
	lower := func(f *plan.RiskFacts) { f.To.Limits.MemoryBytes = 80 * mi }
	for name, c := range map[string]struct {
		change func(f *plan.RiskFacts)
		want   v1alpha1.RiskLevel
		reason string
	}{
		"raise":           {nil, v1alpha1.RiskLow, "without a restart"},
		"raise a lot":     {func(f *plan.RiskFacts) { f.To.Limits.MemoryBytes = 300 * mi }, v1alpha1.RiskMedium, "raised to 300 % in one step (+1)"},
		"lower":           {lower, v1alpha1.RiskMedium, "something is taken away (+1)"},
		"lower, old data": {func(f *plan.RiskFacts) { lower(f); f.DataAge = 2 * time.Hour }, v1alpha1.RiskHigh, "the newest sample is 2h0m0s old (+1)"},
		"lower, no data":  {func(f *plan.RiskFacts) { lower(f); f.DataAge = -1 }, v1alpha1.RiskHigh, "no samples speak for it (+1)"},
		"lower a lot":     {func(f *plan.RiskFacts) { f.To.Limits.MemoryBytes = 40 * mi }, v1alpha1.RiskHigh, "lowered to 40 % in one step (+1)"},
		"restart":         {restart, v1alpha1.RiskMedium, "evicts a pod"},
		"single replica":  {func(f *plan.RiskFacts) { restart(f); f.Replicas, f.Ready, f.RestartsReady = 1, 0, 0 }, v1alpha1.RiskHigh, "a single replica (+1)"},
		"the last ready":  {func(f *plan.RiskFacts) { restart(f); f.Ready = 1 }, v1alpha1.RiskCritical, "no ready replica would remain"},
		"no headroom":     {func(f *plan.RiskFacts) { restart(f); f.Budgets = true }, v1alpha1.RiskHigh, "allows 0 evictions, 1 are needed (+1)"},
		"headroom":        {func(f *plan.RiskFacts) { restart(f); f.Budgets, f.Headroom = true, 2 }, v1alpha1.RiskMedium, "allows 2 evictions"},
		"StatefulSet":     {func(f *plan.RiskFacts) { restart(f); f.Kind = "StatefulSet" }, v1alpha1.RiskHigh, "state"},
		"DaemonSet":       {func(f *plan.RiskFacts) { restart(f); f.Kind = "DaemonSet" }, v1alpha1.RiskHigh, "node"},
		"bare pod":        {func(f *plan.RiskFacts) { restart(f); f.Kind = "Pod" }, v1alpha1.RiskCritical, "does not come back (+2)"},
		"production":      {func(f *plan.RiskFacts) { restart(f); f.Namespace = "production" }, v1alpha1.RiskHigh, "the namespace is production (+1)"},
		"labelled so": {func(f *plan.RiskFacts) {
			restart(f)
			f.NamespaceLabels = map[string]string{"environment": "production"}
		}, v1alpha1.RiskHigh, "the namespace is production (+1)"},
		"rollout":          {func(f *plan.RiskFacts) { f.Action = v1alpha1.ActionRolloutRestart }, v1alpha1.RiskMedium, "replaces all pods"},
		"next run":         {func(f *plan.RiskFacts) { f.Action, f.Kind = v1alpha1.ActionResizeTemplate, "CronJob" }, v1alpha1.RiskLow, "next run"},
		"scale out":        {func(f *plan.RiskFacts) { f.Action, f.FromReplicas, f.ToReplicas = v1alpha1.ActionScale, 2, 3 }, v1alpha1.RiskLow, "2 to 3"},
		"scale in":         {func(f *plan.RiskFacts) { f.Action, f.FromReplicas, f.ToReplicas = v1alpha1.ActionScale, 3, 2 }, v1alpha1.RiskMedium, "takes replicas away: 3 to 2 (+1)"},
		"export":           {func(f *plan.RiskFacts) { f.Action = v1alpha1.ActionExport }, v1alpha1.RiskLow, "changes nothing in the cluster"},
		"of somebody's":    {func(f *plan.RiskFacts) { f.Action = "drain_cache" }, v1alpha1.RiskMedium, "this installation's own"},
		"resize, restarts": {func(f *plan.RiskFacts) { f.Restarts = 1 }, v1alpha1.RiskMedium, "restarts 1 containers (+1)"},
	} {
		level, reasons := plan.Risk(raised(c.change))
		var texts []string
		for _, r := range reasons {
			texts = append(texts, string(r))
		}
		assert.Equal(t, c.want, level, "%s: %v", name, texts)
		assert.Contains(t, strings.Join(texts, "\n"), c.reason, name)
	}
}

// The reasons account for the level: who reads them sees where it comes from.
func TestReasonsAccountForTheRisk(t *testing.T) {
	t.Parallel()
	levels := []v1alpha1.RiskLevel{v1alpha1.RiskLow, v1alpha1.RiskMedium, v1alpha1.RiskHigh, v1alpha1.RiskCritical}
	rapid.Check(t, func(t *rapid.T) {
		f := plan.RiskFacts{
			Action:    rapid.SampledFrom([]v1alpha1.ActionKind{"resize_in_place", "restart_pod", "rollout_restart", "resize_template", "scale", "export", "webhook", "own"}).Draw(t, "action"),
			Kind:      rapid.SampledFrom([]string{"Deployment", "StatefulSet", "DaemonSet", "Pod", "Job", "CronJob"}).Draw(t, "kind"),
			Namespace: rapid.SampledFrom([]string{"shop", "production"}).Draw(t, "namespace"),
			Replicas:  rapid.Int32Range(0, 3).Draw(t, "replicas"), Ready: rapid.Int32Range(0, 3).Draw(t, "ready"),
			Restarts: rapid.Int32Range(0, 2).Draw(t, "restarts"), RestartsReady: rapid.Int32Range(0, 2).Draw(t, "restarts ready"),
			Budgets: rapid.Bool().Draw(t, "budgets"), Headroom: rapid.Int32Range(0, 2).Draw(t, "headroom"),
			From:         policy.Size{Requests: amounts(rapid.Int64Range(0, 9).Draw(t, "from cpu"), 0), Limits: amounts(0, rapid.Int64Range(0, 9).Draw(t, "from"))},
			To:           policy.Size{Requests: amounts(rapid.Int64Range(0, 9).Draw(t, "to cpu"), 0), Limits: amounts(0, rapid.Int64Range(0, 9).Draw(t, "to"))},
			FromReplicas: rapid.Int32Range(0, 3).Draw(t, "from replicas"), ToReplicas: rapid.Int32Range(0, 3).Draw(t, "to replicas"),
			DataAge: time.Duration(rapid.Int64Range(-1, int64(3*time.Hour)).Draw(t, "age")),
		}
		level, reasons := plan.Risk(f)
		sum := 0
		for _, r := range reasons {
			sum += strings.Count(string(r), "(+1)") + 2*strings.Count(string(r), "(+2)")
		}
		require.Equal(t, levels[min(sum, 3)], level, reasons)
		require.LessOrEqual(t, len(reasons), 32)
	})
}
