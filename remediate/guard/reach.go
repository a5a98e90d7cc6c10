package guard

import "github.com/rightsizer/rightsizer/remediate/policy"

// reach: kube-system and the operator's own namespace are left alone, whoever
// asks.
func reach(f *Facts) Verdict {
	if f.OutOfReach != "" {
		return stop("%s", f.OutOfReach)
	}
	// Not left to whoever fills the facts in.
	if f.Workload.Namespace == policy.NamespaceKubeSystem {
		return stop("%s is out of reach", policy.NamespaceKubeSystem)
	}
	return pass("namespace %s is in reach", f.Workload.Namespace)
}
