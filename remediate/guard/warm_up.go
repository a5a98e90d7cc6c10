package guard

// warmUp: after its start the operator looks before it acts.
func warmUp(f *Facts) Verdict {
	if f.Decision.byPerson() {
		return pass("a person stands for it")
	}
	if until := f.Operator.Started.Add(f.Limits.StartWarmUp); f.Now.Before(until) {
		return wait(until, "the operator has just started").
			with("since", f.Now.Sub(f.Operator.Started)).with("warm_up", f.Limits.StartWarmUp)
	}
	return pass("the operator runs for long enough")
}
