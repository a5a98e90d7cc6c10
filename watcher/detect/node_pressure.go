package detect

// NodePressure tells the conditions by which a node says that it falls short of
// something.
type NodePressure struct{}

// shortages are the conditions in the order of their events.
var shortages = []struct {
	condition, eventType, says, ending string
}{
	{"MemoryPressure", "node.pressure.memory", "is short of memory and evicts pods", "has enough memory again"},
	{"DiskPressure", "node.pressure.disk", "is short of disk space and evicts pods", "has enough disk space again"},
	{"PIDPressure", "node.pressure.pid", "is short of process ids and evicts pods", "has enough process ids again"},
	{"NetworkUnavailable", "node.network_unavailable", "has no network for pods", "has a network again"},
}

// Docs implements Detector.
func (NodePressure) Docs() []Doc {
	var out []Doc
	for _, s := range shortages {
		doc := Doc{
			Type: s.eventType, Severity: "error", Source: "condition " + s.condition + " that is True",
			Details: "ConditionDetails", Resolves: "the condition is not True any more, or the node is deleted",
		}
		if s.condition == "NetworkUnavailable" {
			doc.Source += "; of a node that was never ready only 2 min after its creation (NodeStartGrace)"
		}
		out = append(out, doc)
	}
	return out
}

// Detect implements Detector.
func (NodePressure) Detect(in *NodeInput, out []Finding) []Finding {
	n := in.Cur
	if in.Gone || len(n.Conditions) < 2 {
		return out // Nearly always: Ready alone is held.
	}
	for _, s := range shortages {
		c := n.Condition(s.condition)
		if c == nil {
			continue
		}
		if s.condition == "NetworkUnavailable" && !n.Ready && !n.WasReady && young(n.Node, in.Thresholds.NodeStartGrace, in.Now) {
			continue // Routes are still being made; NodeReady wakes when the time is over.
		}
		out = append(out, Finding{
			Problem: Identify(s.eventType, in.Cluster, n.UID, unix(c.Since)), Type: s.eventType,
			Severity: errored, Occurred: c.Since, Reason: c.Reason,
			Message: "Node " + n.Name + " " + s.says + because(c), Ending: "Node " + n.Name + " " + s.ending,
			Details: conditionDetails(c),
		})
	}
	return out
}
