package policy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// No policy that the API server may hand over, whichever version of the CRD let it in,
// makes the compiling, the matching, the windows or the clamping panic; none reaches
// where none may, one that cannot be followed does nothing, and what is clamped stays
// on its side of what there is.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"namespace":"shop","name":"p"},"spec":{"mode":"Auto","selector":{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"tier","operator":"In","values":["a"]}]}}}`,
		`{"spec":{"mode":"Auto","namespaceSelector":{"names":["kube-system","operator"]},"clusterBudget":{"per":"1h","actions":1}}}`,
		`{"spec":{"mode":"Auto","windows":[{"name":"w","type":"Allow","days":["Mon"],"start":"23:00","end":"02:00","timeZone":"Europe/Berlin"},{"name":"d","type":"Deny","start":"24:60","end":"","timeZone":"Local"}]}}`,
		`{"spec":{"mode":"Auto","actions":{"restart_pod":{"mode":"Off"}},"bounds":{"minReplicas":9,"maxReplicas":-1,"memory":{"min":"1Gi","max":"1e30","stepPercent":-5},"containers":[{"name":"app","cpu":{"max":"1m"}}]}}}`,
		`{"spec":{"selector":{"matchExpressions":[{"key":"","operator":"Near","values":[]}]}}}`,
		`{"metadata":null,"spec":null}`,
	} {
		f.Add([]byte(seed), int64(64<<20), int64(1<<30), int32(2), int32(5), int64(1_750_000_000))
	}
	f.Fuzz(func(t *testing.T, raw []byte, has, want int64, replicas, wanted int32, at int64) {
		var one v1alpha1.RightSizerPolicy
		var all v1alpha1.ClusterRightSizerPolicy
		if json.Unmarshal(raw, &one) != nil || json.Unmarshal(raw, &all) != nil {
			return
		}
		policies := []*policy.Policy{policy.FromNamespaced(&one), policy.FromCluster(&all)}
		set := policy.NewSet("operator", policies)
		for _, namespace := range []string{policy.NamespaceKubeSystem, "operator"} {
			assert.False(t, set.Govern(&policy.Workload{Namespace: namespace, Kind: "Deployment", Name: "web"}).Governs())
		}
		w := &policy.Workload{Namespace: "shop", Kind: "Deployment", Name: "web", Labels: map[string]string{"app": "web"}}
		set.Explain(w)
		set.ClusterBudget()
		moment := time.Unix(at%(1<<33), 0) // years of four digits, as the API has them
		for _, p := range append(policies, set.Govern(w)) {
			open, _, next := p.Open(moment)
			assert.False(t, open && p.Err != nil, "a policy that cannot be followed")
			assert.False(t, !next.IsZero() && next.Before(moment), "a window opens before it is asked about")
			p.ModeFor(v1alpha1.ActionRestartPod)
			sideways(t, int64(replicas), int64(wanted), int64(p.ClampReplicas(replicas, wanted)))
			size, _ := p.Clamp("app", policy.Size{Limits: policy.Amounts{MemoryBytes: has}}, policy.Size{Limits: policy.Amounts{MemoryBytes: want}})
			if has > 0 && want > 0 {
				sideways(t, has, want, size.Limits.MemoryBytes)
			}
		}
	})
}

// sideways holds that an outcome is on the same side of what there is as what is
// wanted.
func sideways(t *testing.T, has, want, out int64) {
	t.Helper()
	assert.False(t, want > has && out < has || want < has && out > has, "%d was to become %d, and becomes %d", has, want, out)
}
