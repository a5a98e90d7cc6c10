package detect

import (
	"fmt"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typePDBBlocking = "pdb.blocking"
	// reasonSyncFailed is the disruption controller's, for example of pods whose
	// owner has no scale.
	reasonSyncFailed = "SyncFailed"
)

// BudgetInput is a PodDisruptionBudget at one moment.
type BudgetInput = Input[object.Budget]

// BudgetSubject describes a PodDisruptionBudget; its workload is the one that it
// covers, where it covers just one.
func BudgetSubject(in *BudgetInput) Subject {
	s := Subject{Kind: "PodDisruptionBudget", Key: in.Cur.Key, UID: in.Cur.UID}
	if in.Workload.Kind != "" {
		s.Workload = object.WorkloadKey{Namespace: in.Cur.Namespace, Kind: in.Workload.Kind, Name: in.Workload.Name}
	}
	return s
}

// PDBBlocking tells budgets that have not allowed a single eviction for
// Thresholds.PDBBlockingAfter: node drains and updates wait for them.
type PDBBlocking struct{}

// Docs implements Detector.
func (PDBBlocking) Docs() []Doc {
	return []Doc{{
		Type: typePDBBlocking, Severity: "warning",
		Source: "`status.disruptionsAllowed` is 0 for 10 min (PDBBlockingAfter) by the condition DisruptionAllowed, " +
			"while it covers pods or cannot count them (reason SyncFailed)",
		Details: "PdbDetails", Resolves: "it allows an eviction or covers no pods, or is deleted",
	}}
}

// Detect implements Detector.
func (PDBBlocking) Detect(in *BudgetInput, out []Finding) []Finding {
	b := in.Cur
	// Where it cannot count its pods, what the status says of them is of before.
	uncounted := b.Reason == reasonSyncFailed
	if in.Gone || b.Allowed > 0 || b.Expected == 0 && !uncounted || b.BlockedSince == 0 {
		return out
	}
	due := b.BlockedSince + inSeconds(in.Thresholds.PDBBlockingAfter)
	if in.Now.Unix() < due {
		return append(out, Finding{Wake: due})
	}
	f := Finding{
		Problem: Identify(typePDBBlocking, in.Cluster, b.UID, unix(b.BlockedSince)), Type: typePDBBlocking,
		Severity: warning, Occurred: b.BlockedSince, Reason: "InsufficientPods",
		Message: fmt.Sprintf("PodDisruptionBudget %s allows no eviction: %d of its %s are healthy and %d must be",
			b.Name, b.Healthy, count(b.Expected, "pod"), b.Required),
		Ending: "PodDisruptionBudget " + b.Name + " allows evictions again",
		Details: &rightsizerv1.PdbDetails{
			ExpectedPods: b.Expected, CurrentHealthy: b.Healthy, DesiredHealthy: b.Required,
			DisruptionsAllowed: b.Allowed, SinceTime: moment(b.BlockedSince),
		},
	}
	if uncounted {
		f.Reason = b.Reason
		f.Message = "PodDisruptionBudget " + b.Name + " allows no eviction, since its pods cannot be counted"
		return append(out, withReason(f, b.Message))
	}
	if b.Required >= b.Expected {
		f.Reason = "NoneMayBeMissing"
		f.Message += ", so that it can never allow one"
	}
	return append(out, f)
}
