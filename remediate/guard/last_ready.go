package guard

// lastReady: the last replica that is ready is never taken away.
func lastReady(f *Facts) Verdict {
	taken := f.Decision.DisruptsReady
	if d := &f.Decision; d.DesiredReplicas < d.CurrentReplicas {
		// Which ones go is not ours to choose: the ready ones, at worst.
		taken = max(taken, min(d.CurrentReplicas-d.DesiredReplicas, f.Workload.Ready))
	}
	if taken == 0 {
		return pass("no ready replica is taken away")
	}
	remain := f.Workload.Ready - taken
	if remain < 1 {
		return stop("it would take the last ready replica away").with("ready", f.Workload.Ready).with("taken", taken)
	}
	return pass("ready replicas remain").with("ready", f.Workload.Ready).with("remain", remain)
}
