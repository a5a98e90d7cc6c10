package correlate

import (
	"fmt"
	"time"
)

// oomStorm joins the OOM kills of one workload and what follows from them.
type oomStorm struct{}

// Name implements Rule.
func (oomStorm) Name() string { return "oom_storm" }

// Links implements Rule.
func (oomStorm) Links() []Link {
	return []Link{{
		Causes: []string{typeOOMKilled}, Effects: []string{typeCrashLoop, typeRestarted}, by: byWorkload,
		Before: time.Minute, After: window, Confidence: 95,
		Basis: "the same container was OOM killed",
		fits: func(kill, end *problem) bool {
			return kill.object.GetUid() == end.object.GetUid() && kill.container == end.container
		},
	}, {
		Causes: []string{typeOOMKilled}, Effects: []string{typeOOMKilled}, by: byWorkload,
		After: window, Confidence: 80,
		Basis: "the workload was OOM killed within 10 min before",
	}, {
		Causes: []string{typeOOMKilled, typeCrashLoop}, Effects: types(unavailable, typeStuck, typeJobFailed), by: byWorkload,
		Before: 5 * time.Minute, After: window, Confidence: 75,
		Basis: "containers of the workload kept failing at that time",
	}, {
		Causes: []string{typeOOMKilled}, Effects: []string{typeCrashLoop, typeRestarted, anyProbe}, by: byWorkload,
		After: window, Confidence: 60,
		Basis: "another container of the workload was OOM killed within 10 min before",
	}, {
		Causes: types(unavailable, typeOOMKilled, typeCrashLoop), Effects: []string{anyHPA, typePDBBlocking}, by: byWorkload,
		After: window, Confidence: 55,
		Basis: "the workload had lost capacity at that time",
	}}
}

// Leads implements Rule. One kill alone is no storm.
func (oomStorm) Leads(in *Picture) bool { return in.rootIs(typeOOMKilled) && len(in.members) > 1 }

// Summary implements Rule.
func (oomStorm) Summary(in *Picture) string {
	return fmt.Sprintf("OOM kills of %s: %s.", in.root.title(), in.kinds())
}
