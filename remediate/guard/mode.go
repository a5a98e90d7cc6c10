package guard

import "github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"

// mode: how far the governing policy goes for this kind of action. Where it goes
// no further than recommendations, a person may still ask, and another one
// approve; Off is nothing at all.
func mode(f *Facts) Verdict {
	m := f.Policy.ModeFor(f.Decision.Action)
	v := pass("%s is in mode %s for %s", f.Policy, m, f.Decision.Action)
	switch m {
	case v1alpha1.ModeAuto:
	case v1alpha1.ModeApprove:
		if !f.Decision.Approved {
			v = approve("%s asks for approval of %s", f.Policy, f.Decision.Action)
		}
	case v1alpha1.ModeDryRun:
		v = Verdict{Outcome: DryRun, Reason: f.Policy.String() + " only allows a dry run of " + string(f.Decision.Action)}
	case v1alpha1.ModeObserve, v1alpha1.ModeRecommend:
		switch {
		case !f.Decision.Person:
			v = stop("%s goes no further than %s for %s", f.Policy, m, f.Decision.Action)
		case !f.Decision.Approved:
			v = approve("%s goes no further than %s for %s, so what a person asks for has to be approved", f.Policy, m, f.Decision.Action)
		}
	default: // Off, and what no version of this operator knows.
		v = stop("%s is in mode %s for %s", f.Policy, m, f.Decision.Action)
	}
	return v.with("mode", m)
}
