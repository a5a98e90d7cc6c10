package guard

import "github.com/rightsizer/rightsizer/remediate/policy"

// risk: above the policy's ceiling a person approves.
func risk(f *Facts) Verdict {
	ceiling := f.Policy.Spec.RiskCeiling
	v := pass("the risk is not above the ceiling")
	if policy.Above(f.Decision.Risk, ceiling) {
		v = pass("the risk is above the ceiling, and was approved")
		if !f.Decision.Approved {
			v = approve("the risk is above the policy's ceiling")
		}
	}
	return v.with("risk", f.Decision.Risk).with("ceiling", ceiling)
}
