package guard

// leak: memory that was raised several times, each time after an OOM kill, and is
// OOM-killed again, is not raised once more: more memory does not help it.
func leak(f *Facts) Verdict {
	d := &f.Decision
	if !d.OOM || d.memory() != Raise {
		return pass("it does not answer an OOM kill with more memory")
	}
	since := f.Now.Add(-f.Limits.LeakWithin)
	raises := 0
	for i := range f.History {
		p := &f.History[i]
		if p.sameContainer(f) && p.GaveMemory(since) {
			raises++
		}
	}
	v := pass("more memory may help")
	switch {
	case raises < f.Limits.LeakRaises:
	case d.byPerson():
		v = pass("more memory did not help, but a person stands for it")
	default:
		v = stop("more memory did not help: this looks like a leak")
	}
	return v.with("raises", raises).with("most", f.Limits.LeakRaises).with("within", f.Limits.LeakWithin)
}
