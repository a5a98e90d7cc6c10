package guard

import "github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"

// gitops: what owns the manifests would take a change of the workload object
// back, so the patch is exported instead. Pods are nobody's manifests.
func gitops(f *Facts) Verdict {
	switch f.Decision.Action {
	case v1alpha1.ActionResizeTemplate, v1alpha1.ActionRolloutRestart, v1alpha1.ActionScale:
	default:
		return pass("the workload object is not changed")
	}
	switch {
	case f.Workload.GitOps != "":
		return Verdict{Outcome: Export, Reason: f.Workload.GitOps + " owns the manifests and would take the change back"}
	case f.Policy.Spec.Persistence == v1alpha1.PersistExport && f.Decision.Action == v1alpha1.ActionResizeTemplate:
		return Verdict{Outcome: Export, Reason: f.Policy.String() + " hands sizes to whoever owns the manifests"}
	}
	return pass("nobody else owns the manifests")
}
