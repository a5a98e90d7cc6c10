package guard

// memoryFloor: a memory limit is never lowered to less than what is used plus a
// margin, nor set to it where there was none.
func memoryFloor(f *Facts) Verdict {
	from, to := f.Decision.Current.Limits.MemoryBytes, f.Decision.Desired.Limits.MemoryBytes
	if limited(from, to) != Lower {
		return pass("the memory limit is not lowered")
	}
	used := max(f.Usage.MemoryBytes, f.Usage.MemoryPeakBytes)
	// In floating point: exact enough for a margin, and it cannot overflow.
	margin := max(f.Limits.MemoryMarginBytes, int64(float64(used)*float64(f.Limits.MemoryMarginPercent)/100))
	v := pass("the memory limit stays above what is used")
	if to < used || to-used < margin {
		v = stop("the memory limit would be too close to what is used")
	}
	return v.with("limit", to).with("used", used).with("margin", margin)
}
