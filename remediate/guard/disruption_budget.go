package guard

import "time"

// disruptionBudget: every PodDisruptionBudget has room for what is disrupted.
func disruptionBudget(f *Facts) Verdict {
	if f.Decision.Disrupts == 0 {
		return pass("nobody is disrupted")
	}
	for _, b := range f.Workload.Budgets {
		if b.Allowed < f.Decision.Disrupts {
			return wait(time.Time{}, "PodDisruptionBudget %s has no room", b.Name).
				with("allowed", b.Allowed).with("wanted", f.Decision.Disrupts)
		}
	}
	return pass("every PodDisruptionBudget has room").with("budgets", len(f.Workload.Budgets))
}
