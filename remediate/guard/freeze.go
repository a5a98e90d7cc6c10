package guard

import "time"

// freeze: the switch stops everything at once, whoever asks.
func freeze(f *Facts) Verdict {
	if f.Operator.Frozen != "" {
		return wait(time.Time{}, "everything is frozen: %s", f.Operator.Frozen)
	}
	return pass("nothing is frozen")
}
