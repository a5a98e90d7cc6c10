package correlate

import (
	"fmt"
	"time"
)

// rollout joins what a workload shows soon after its template changed.
type rollout struct{}

// Name implements Rule.
func (rollout) Name() string { return "rollout" }

// Links implements Rule.
func (rollout) Links() []Link {
	return []Link{{
		Causes: rolloutStarted, by: byWorkload,
		Effects: types(unavailable,
			typeOOMKilled, typeCrashLoop, typeRestarted, typePodFailed, "pod.config_error", anyImagePull, anyProbe,
			anyVolume, anyUnschedulable, typePending, "admission.refused", "limitrange.refused"),
		Before: 30 * time.Second, After: window, Confidence: 80,
		Basis: "it began within 10 min after the workload's template changed",
	}, {
		// The deadline for progress is 10 min by default and told at its end.
		Causes: rolloutStarted, Effects: []string{typeStuck}, by: byWorkload,
		After: 20 * time.Minute, Confidence: 90,
		Basis: "the rollout itself did not get on within its deadline",
	}}
}

// Leads implements Rule.
func (rollout) Leads(in *Picture) bool { return in.rootIs(rolloutStarted...) }

// Summary implements Rule.
func (rollout) Summary(in *Picture) string {
	return fmt.Sprintf("After the rollout of %s began: %s.", in.root.title(), in.kinds())
}
