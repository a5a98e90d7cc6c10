package guard

import "time"

// rollout: while a rollout goes on, and for some time after, nothing is lowered
// and nobody is disrupted. What is only given more without a restart is not held
// up: a rollout whose pods are killed for want of memory never ends by itself.
func rollout(f *Facts) Verdict {
	d, w := &f.Decision, &f.Workload
	if d.Disrupts == 0 && !d.lowers() {
		return pass("nothing is lowered or disrupted")
	}
	if w.RollingOut {
		return wait(time.Time{}, "a rollout is going on")
	}
	if until := w.RolledOut.Add(f.Limits.RolloutWarmUp); !w.RolledOut.IsZero() && f.Now.Before(until) {
		return wait(until, "the last rollout is recent").
			with("since", f.Now.Sub(w.RolledOut)).with("warm_up", f.Limits.RolloutWarmUp)
	}
	return pass("no rollout is recent")
}
