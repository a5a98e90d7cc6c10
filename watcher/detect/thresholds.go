package detect

import (
	"errors"
	"fmt"
	"time"
)

// Thresholds say when something is worth an event, and how urgent it is.
type Thresholds struct {
	// CrashLoopRestarts is how many restarts in a row, each after a run shorter
	// than CrashLoopReset, make a crash loop. From 1 to 1,000. Default 2: one
	// restart is an accident that the kubelet mends without a pause; at the
	// second it starts to hold back.
	CrashLoopRestarts int32
	// CrashLoopReset is how long a container must run without ending for its
	// crash loop to be over. From 1 s to 24 h. Default 10 min: after a run of
	// that length the kubelet itself forgets its back-off.
	CrashLoopReset time.Duration
	// CrashLoopCriticalRestarts is how many restarts in a row make a crash loop
	// critical. At least CrashLoopRestarts. Default 5: the pause is then 80 s
	// and grows to its cap of 5 min, so that it does not mend itself.
	CrashLoopCriticalRestarts int32
	// OOMCriticalKills is how many ends in a row, the last by the OOM killer,
	// make the kill critical. From 1 to 1,000. Default 3: two kills may be one
	// burst of load, the third says that the limit does not fit.
	OOMCriticalKills int32
	// UnschedulableAfter is how long the scheduler must find no node for a pod
	// before that is told. From 0 to 1 h. Default 10 s: shorter is what a rollout
	// or an autoscaler mends by itself.
	UnschedulableAfter time.Duration
	// PendingAfter is how long a pod may wait to start for no more particular
	// reason. From 1 s to 24 h. Default 5 min: large images and slow volumes take
	// minutes.
	PendingAfter time.Duration
	// ProbeFailures is how many failures of a probe in a row, as Kubernetes
	// Events tell them, are a problem. From 1 to 1,000. Default 3, as many as
	// kubelets take by default before they act: programs that start fail some.
	ProbeFailures int32
	// ProbeQuiet is how long a ready container's probe must not be told as failed
	// for the problem to be over. From 10 s to 1 h. Default 6 min: of one pod
	// kubelets tell 25 things at once, then one in 5 min, and probes have periods.
	ProbeQuiet time.Duration
	// EvidenceQuiet is how long Kubernetes Events must not repeat a failure that
	// shows nowhere else (volumes, sandboxes) for it to be over. From 1 min to
	// 1 h. Default 10 min: kubelets repeat a failure that lasts every 2 to 5 min,
	// and limit the Events of one object to one in 5 min.
	EvidenceQuiet time.Duration
	// NodeStartGrace is how long after its creation a node that was never ready
	// counts as starting. From 0 to 1 h. Default 2 min: images of the network and
	// storage plugins are pulled in that time.
	NodeStartGrace time.Duration
	// NodeFullPercent is the share of a node's CPU or memory from which on its
	// pods' requests make it full. From 50 to 100 percent. Default 95: less is
	// left than most pods ask for.
	NodeFullPercent int32
	// UnavailableAfter is how long a workload must have fewer available pods than
	// it asks for. From 1 s to 24 h. Default 2 min: pods that are replaced in
	// order are there by then.
	UnavailableAfter time.Duration
	// HPAFailingAfter is how long an autoscaler must be unable to work. From 1 s
	// to 24 h. Default 1 min: new pods have no metrics before, and a metrics
	// server that restarts is back by then.
	HPAFailingAfter time.Duration
	// PDBBlockingAfter is how long a disruption budget must allow no eviction.
	// From 1 s to 24 h. Default 10 min: a rollout uses a budget up for minutes.
	PDBBlockingAfter time.Duration
	// ExhaustionPercent is the share of its limit, or of what a node has to
	// allocate, from which on what is used is exhaustion. From 50 to 100 percent.
	// Default 90: most programs need some minutes for the rest.
	ExhaustionPercent int32
	// ExhaustionCriticalPercent is the share from which on memory is told at once,
	// and as an error. From ExhaustionPercent to 100 percent. Default 97: the next
	// burst kills it.
	ExhaustionCriticalPercent int32
	// ExhaustionAfter is how long it must last. From 0 to 1 h. Default 30 s: a
	// burst is over by the sample after.
	ExhaustionAfter time.Duration
	// ThrottledPercent is the share of the CPU quota's periods in which a container
	// is held back. From 1 to 100 percent. Default 25: every fourth tenth of a
	// second, which people notice.
	ThrottledPercent int32
	// PressurePercent is the share of time in which a task waits for a resource.
	// From 1 to 100 percent. Default 20: a fifth of the time is lost.
	PressurePercent int32
	// PressureAfter is how long throttling or pressure must last. From 0 to 1 h.
	// Default 1 min: programs that start are held back for that long.
	PressureAfter time.Duration
	// UnderutilizedPercent is the share of a request that is not needed from which
	// on that is told. From 10 to 99 percent. Default 50: half of it serves nobody.
	UnderutilizedPercent int32
	// OpportunityAfter is how long a request must not fit before that is told. From
	// 0 to 7 days. Default 1 h: shorter is a burst, a rollout, or a lull.
	OpportunityAfter time.Duration
}

// DefaultThresholds returns the defaults.
func DefaultThresholds() Thresholds {
	return Thresholds{
		CrashLoopRestarts:         2,
		CrashLoopReset:            10 * time.Minute,
		CrashLoopCriticalRestarts: 5,
		OOMCriticalKills:          3,
		NodeStartGrace:            2 * time.Minute,
		NodeFullPercent:           95,
		UnavailableAfter:          2 * time.Minute,
		HPAFailingAfter:           time.Minute,
		PDBBlockingAfter:          10 * time.Minute,
		UnschedulableAfter:        10 * time.Second,
		PendingAfter:              5 * time.Minute,
		ProbeFailures:             3,
		ProbeQuiet:                6 * time.Minute,
		EvidenceQuiet:             10 * time.Minute,
		ExhaustionPercent:         90,
		ExhaustionCriticalPercent: 97,
		ExhaustionAfter:           30 * time.Second,
		ThrottledPercent:          25,
		PressurePercent:           20,
		PressureAfter:             time.Minute,
		UnderutilizedPercent:      50,
		OpportunityAfter:          time.Hour,
	}
}

// Validate names each value out of bounds, and what would be right.
func (t Thresholds) Validate() error {
	const most = 1000
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(t.CrashLoopRestarts >= 1 && t.CrashLoopRestarts <= most,
		"CrashLoopRestarts is %d, must be 1 to %d", t.CrashLoopRestarts, most)
	check(t.CrashLoopReset >= time.Second && t.CrashLoopReset <= 24*time.Hour,
		"CrashLoopReset is %s, must be 1s to 24h", t.CrashLoopReset)
	check(t.CrashLoopCriticalRestarts >= t.CrashLoopRestarts && t.CrashLoopCriticalRestarts <= most,
		"CrashLoopCriticalRestarts is %d, must be CrashLoopRestarts (%d) to %d",
		t.CrashLoopCriticalRestarts, t.CrashLoopRestarts, most)
	check(t.OOMCriticalKills >= 1 && t.OOMCriticalKills <= most,
		"OOMCriticalKills is %d, must be 1 to %d", t.OOMCriticalKills, most)
	within := func(name string, d, low, high time.Duration) {
		check(d >= low && d <= high, "%s is %s, must be %s to %s", name, d, low, high)
	}
	within("UnschedulableAfter", t.UnschedulableAfter, 0, time.Hour)
	within("PendingAfter", t.PendingAfter, time.Second, 24*time.Hour)
	check(t.ProbeFailures >= 1 && t.ProbeFailures <= most, "ProbeFailures is %d, must be 1 to %d", t.ProbeFailures, most)
	within("ProbeQuiet", t.ProbeQuiet, 10*time.Second, time.Hour)
	within("EvidenceQuiet", t.EvidenceQuiet, time.Minute, time.Hour)
	within("NodeStartGrace", t.NodeStartGrace, 0, time.Hour)
	check(t.NodeFullPercent >= 50 && t.NodeFullPercent <= 100,
		"NodeFullPercent is %d, must be 50 to 100", t.NodeFullPercent)
	percent := func(name string, p, low int32) {
		check(p >= low && p <= 100, "%s is %d, must be %d to 100", name, p, low)
	}
	percent("ExhaustionPercent", t.ExhaustionPercent, 50)
	percent("ExhaustionCriticalPercent", t.ExhaustionCriticalPercent, t.ExhaustionPercent)
	percent("ThrottledPercent", t.ThrottledPercent, 1)
	percent("PressurePercent", t.PressurePercent, 1)
	within("ExhaustionAfter", t.ExhaustionAfter, 0, time.Hour)
	check(t.UnderutilizedPercent >= 10 && t.UnderutilizedPercent <= 99,
		"UnderutilizedPercent is %d, must be 10 to 99", t.UnderutilizedPercent)
	within("OpportunityAfter", t.OpportunityAfter, 0, 7*24*time.Hour)
	within("PressureAfter", t.PressureAfter, 0, time.Hour)
	within("UnavailableAfter", t.UnavailableAfter, time.Second, 24*time.Hour)
	within("HPAFailingAfter", t.HPAFailingAfter, time.Second, 24*time.Hour)
	within("PDBBlockingAfter", t.PDBBlockingAfter, time.Second, 24*time.Hour)
	return errors.Join(errs...)
}
