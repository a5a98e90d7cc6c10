package guard

// causeAge: old causes are not acted on automatically. How old one is counts up
// to when the Remediation was made (its own expiry comes after that), or to when
// this process started.
func causeAge(f *Facts) Verdict {
	d := &f.Decision
	if d.byPerson() {
		return pass("a person stands for it")
	}
	if d.Cause.IsZero() {
		return stop("it has no cause, and nobody asked for it")
	}
	made := d.Proposed
	if made.IsZero() {
		made = f.Now
	}
	if f.Operator.Started.After(made) {
		made = f.Operator.Started
	}
	age, most := made.Sub(d.Cause), f.Policy.Spec.MaxCauseAge.Duration
	if age > most {
		return stop("its cause is too old").with("age", age).with("most", most)
	}
	return pass("its cause is recent").with("age", age).with("most", most)
}
