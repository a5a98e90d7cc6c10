package app

import (
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/watcher/correlate"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

// thresholds of the detectors, as they are configured.
func thresholds(c *config.Config) detect.Thresholds {
	return detect.Thresholds{
		CrashLoopRestarts: c.CrashLoopRestarts, CrashLoopReset: c.CrashLoopReset,
		CrashLoopCriticalRestarts: c.CrashLoopCriticalRestarts, OOMCriticalKills: c.OOMCriticalKills,
		NodeStartGrace: c.NodeStartGrace, NodeFullPercent: c.NodeFullPercent,
		UnavailableAfter: c.UnavailableAfter, HPAFailingAfter: c.HPAFailingAfter, PDBBlockingAfter: c.PDBBlockingAfter,
		UnschedulableAfter: c.UnschedulableAfter, PendingAfter: c.PendingAfter,
		ExhaustionPercent: c.ExhaustionPercent, ExhaustionCriticalPercent: c.ExhaustionCriticalPercent, ExhaustionAfter: c.ExhaustionAfter,
		ThrottledPercent: c.ThrottledPercent, PressurePercent: c.PressurePercent, PressureAfter: c.PressureAfter, UnderutilizedPercent: c.UnderutilizedPercent, OpportunityAfter: c.OpportunityAfter,
		ProbeFailures: c.ProbeFailures, ProbeQuiet: c.ProbeQuiet, EvidenceQuiet: c.EvidenceQuiet,
	}
}

// incidentOptions are how events are joined, as it is configured.
func incidentOptions(c *config.Config) correlate.Options {
	o := correlate.Options{
		Linger: c.IncidentLinger, Keep: c.IncidentKeep, Settle: c.IncidentSettle,
		MaxIncidents: c.MaxIncidents, MaxProblems: c.MaxIncidentProblems,
	}
	if o.Settle == 0 {
		o.Settle = -1 // Its own zero is the default.
	}
	return o
}
