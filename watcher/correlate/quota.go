package correlate

import "fmt"

// quota joins the workloads that one quota keeps from creating pods, and what
// they lack for it.
type quota struct{}

// Name implements Rule.
func (quota) Name() string { return "quota" }

// Links implements Rule.
func (quota) Links() []Link {
	return []Link{{
		Causes: []string{typeQuota}, Effects: []string{typeQuota}, by: byQuota,
		After: window, Confidence: 85,
		Basis: "the same quota refused pods of both",
	}, {
		// Not everything in the namespace: a workload that the quota never
		// refused anything has another reason to be unavailable.
		Causes: []string{typeQuota}, Effects: types(aftermath, typeJobFailed), by: byWorkload,
		Before: window, After: window, Confidence: 90,
		Basis: "the quota refused pods of this workload at that time",
	}}
}

// Leads implements Rule.
func (quota) Leads(in *Picture) bool { return in.rootIs(typeQuota) }

// Summary implements Rule.
func (quota) Summary(in *Picture) string {
	name := "A quota"
	if in.root.detail != "" {
		name = "Quota " + in.root.detail
	}
	return fmt.Sprintf("%s of namespace %s refuses pods of %s.", name, in.root.namespace, in.whose())
}
