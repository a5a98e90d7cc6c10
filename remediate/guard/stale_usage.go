package guard

// staleUsage: nothing shrinks where it is not known what is used now.
func staleUsage(f *Facts) Verdict {
	if !f.Decision.lowers() {
		return pass("nothing shrinks")
	}
	if f.Usage.Time.IsZero() {
		return stop("nothing is known of its usage")
	}
	age := f.Now.Sub(f.Usage.Time)
	if age > f.Limits.StaleAfter {
		return stop("its usage is not known any more").with("age", age).with("most", f.Limits.StaleAfter)
	}
	return pass("its usage is known").with("age", age)
}
