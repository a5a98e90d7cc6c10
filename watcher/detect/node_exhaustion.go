package detect

import "fmt"

const typeNodeExhaustion = "node.exhaustion"

// NodeExhaustion tells nodes that use nearly all that they have to allocate.
type NodeExhaustion struct{}

// Docs implements Detector.
func (NodeExhaustion) Docs() []Doc {
	return []Doc{{
		Type:     typeNodeExhaustion,
		Severity: "warning; error for memory from 97 % on (ExhaustionCriticalPercent)",
		Source: "measured working set or CPU of the node from 90 % of what it has to allocate on (ExhaustionPercent) for 30 s " +
			"(ExhaustionAfter); memory from ExhaustionCriticalPercent on at once",
		Details:  "UsageDetails",
		Resolves: "it falls by more than 5 percent points below, the deletion of the node",
	}}
}

// Detect implements Detector.
func (NodeExhaustion) Detect(in *NodeInput, out []Finding) []Finding {
	if in.Gone || len(in.Use) == 0 {
		return out
	}
	u, n := &in.Use[0], in.Cur
	for _, about := range []struct {
		resource, reason, name string
		level                  *Level
	}{{"memory", "NodeMemory", "memory", &u.Memory}, {"cpu", "NodeCPU", "CPU", &u.CPU}} {
		l := about.level
		if l.State == LevelCalm {
			continue
		}
		f := Finding{
			Problem: Identify(typeNodeExhaustion, in.Cluster, n.UID, about.resource, unix(l.Since)), Type: typeNodeExhaustion,
			Ordinal: l.Changes, Severity: warning, Occurred: l.Since, Reason: about.reason,
			Message: fmt.Sprintf("Node %s uses %s of its allocatable %s", n.Name, percentText(l.Share), about.name),
			Ending:  "Node " + n.Name + " is no longer short of " + about.name,
			Details: l.details(about.resource, percentShare(in.Thresholds.ExhaustionPercent)),
		}
		if about.resource == "memory" && l.State == LevelCritical {
			f.Severity = errored
		}
		out = append(out, f)
	}
	return out
}
