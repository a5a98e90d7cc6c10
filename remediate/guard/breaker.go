package guard

import (
	"slices"
)

// breaker: where actions did not do what they were for, a person approves the
// next one.
func breaker(f *Facts) Verdict {
	since := f.Now.Add(-f.Limits.BreakerWithin)
	var ended []*Past
	failed, done := 0, 0
	for i := range f.History {
		p := &f.History[i]
		if !p.done() {
			continue
		}
		if p.Finished.After(since) {
			done++
			if p.failed() {
				failed++
			}
		}
		if p.WorkloadUID == f.Workload.UID {
			ended = append(ended, p)
		}
	}
	slices.SortStableFunc(ended, func(a, b *Past) int { return b.Finished.Compare(a.Finished) })
	row := 0
	for _, p := range ended {
		if !p.failed() || (row == 0 && !p.Finished.After(since)) {
			break
		}
		row++
	}
	v := pass("what was done went well enough")
	why := ""
	switch {
	case row >= f.Limits.BreakerWorkload:
		why = "the last actions for this workload failed"
	case failed >= f.Limits.BreakerCluster && failed*2 > done:
		why = "most of the last actions in the cluster failed"
	}
	switch {
	case why == "":
	case f.Decision.Approved:
		v = pass("%s, and it was approved", why)
	default:
		v = approve("%s: a person should look", why)
	}
	return v.with("failed_in_a_row", row).of(cluster, "failed_in_cluster", failed).of(cluster, "done_in_cluster", done).with("within", f.Limits.BreakerWithin)
}
