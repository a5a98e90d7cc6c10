package guard

import "time"

// cooldown: a container is left alone for a while after an action, how long
// depends on what comes next. A person may be quicker.
func cooldown(f *Facts) Verdict {
	d, c := &f.Decision, &f.Policy.Spec.Cooldowns
	if d.byPerson() {
		return pass("a person stands for it")
	}
	curesOOM := d.OOM && d.raises()
	var (
		until  time.Time
		reason string
	)
	later := func(last time.Time, pause time.Duration, why string) {
		if t := last.Add(pause); !last.IsZero() && t.After(until) {
			until, reason = t, why
		}
	}
	for i := range f.History {
		p := &f.History[i]
		if !p.sameContainer(f) || p.Started.IsZero() {
			continue
		}
		if p.underWay() && !curesOOM {
			return wait(time.Time{}, "%s is under way for this container", p.Name)
		}
		last := p.Started
		if p.Finished.After(last) {
			last = p.Finished
		}
		if d.lowers() {
			later(last, c.Lower.Duration, "it was changed recently, and would be lowered")
		} else {
			later(p.Started, c.Raise.Duration, "it was changed recently")
		}
		if d.Disrupts > 0 && p.Disruptive {
			later(last, c.Disrupt.Duration, "it was disrupted recently")
		}
	}
	if f.Now.Before(until) {
		return wait(until, "%s", reason).with("until", until.UTC().Format(time.RFC3339))
	}
	return pass("it was left alone for long enough")
}
