package guard

// window: the policy's windows say when actions are carried out, whoever asked
// for them.
func window(f *Facts) Verdict {
	open, why, next := f.Policy.Open(f.Now)
	if open {
		return pass("%s", why)
	}
	return wait(next, "%s", why)
}
