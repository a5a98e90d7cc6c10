package guard

import (
	"slices"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
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
		if p.Finished.After(since) && !step(f, p) {
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

// step says that an action ended for a larger one of its kind: memory that was raised,
// was not enough, and may be raised once more. That is how a need of several times the
// limit is found, and says nothing of the cluster; only the last raise can fail.
func step(f *Facts, p *Past) bool {
	if p.State != v1alpha1.StateEscalated || p.Memory != Raise || !p.Killed {
		return false
	}
	raises, since := 0, p.Started.Add(-f.Limits.LeakWithin)
	for i := range f.History {
		q := &f.History[i]
		if q.WorkloadUID == p.WorkloadUID && q.Container == p.Container && !q.Started.After(p.Started) && q.GaveMemory(since) {
			raises++
		}
	}
	return raises < f.Limits.LeakRaises
}
