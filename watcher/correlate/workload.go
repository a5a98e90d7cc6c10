package correlate

import (
	"cmp"
	"fmt"
)

// workload is the default: the problems of one workload and episode, the oldest
// of which stands for the root. What has no workload is its own.
type workload struct{}

// Name implements Rule.
func (workload) Name() string { return "workload" }

// Links implements Rule.
func (workload) Links() []Link {
	return []Link{{
		Causes: []string{"*"}, Effects: []string{"*"}, by: byWorkload,
		After: window, Confidence: 50,
		Basis: "both are of one workload, no rule explains them, and the older was not over for more than 10 min",
	}}
}

// Leads implements Rule.
func (workload) Leads(*Picture) bool { return true }

// Summary implements Rule.
func (workload) Summary(in *Picture) string {
	if in.total == 1 {
		return fmt.Sprintf("%s: %s", in.root.title(), cmp.Or(in.root.message, in.root.typ))
	}
	return fmt.Sprintf("%s of %s; the first was %s.", plural(in.total, "problem"), in.root.title(), in.root.typ)
}
