package guard

// memoryEvidence: memory is not lowered without samples to rest on, nor soon
// after an OOM kill.
func memoryEvidence(f *Facts) Verdict {
	if f.Decision.memory() != Lower {
		return pass("memory is not lowered")
	}
	if since := f.Now.Sub(f.Usage.LastOOM); !f.Usage.LastOOM.IsZero() && since < f.Limits.RecentOOM {
		return stop("it was OOM-killed recently").with("since", since).with("least", f.Limits.RecentOOM)
	}
	if f.Usage.MemorySamples < f.Limits.MinMemorySamples {
		return stop("too few samples of its memory").with("samples", f.Usage.MemorySamples).with("least", f.Limits.MinMemorySamples)
	}
	return pass("samples of its memory speak for it").with("samples", f.Usage.MemorySamples)
}
