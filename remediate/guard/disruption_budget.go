package guard

import (
	"time"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// disruptionBudget: every PodDisruptionBudget has room for what is disrupted.
func disruptionBudget(f *Facts) Verdict {
	if f.Decision.Disrupts == 0 {
		return pass("nobody is disrupted")
	}
	unready := f.Decision.Action == v1alpha1.ActionRestartPod && f.Decision.DisruptsReady == 0
	for _, b := range f.Workload.Budgets {
		if unready && b.SparesReady {
			continue
		}
		if b.Allowed < f.Decision.Disrupts {
			return wait(time.Time{}, "PodDisruptionBudget %s has no room", b.Name).
				with("allowed", b.Allowed).with("wanted", f.Decision.Disrupts)
		}
	}
	return pass("every PodDisruptionBudget has room").with("budgets", len(f.Workload.Budgets))
}
