package detect

import (
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeNodeNotReady = "node.not_ready"
	typeNodeReady    = "node.ready"
)

// NodeReady tells nodes that are not ready, and new ones that are for the first
// time. A young node that has never been ready is starting, which is no problem
// before Thresholds.NodeStartGrace is over.
type NodeReady struct{}

// Docs implements Detector.
func (NodeReady) Docs() []Doc {
	return []Doc{
		{
			Type: typeNodeNotReady, Severity: "critical",
			Source: "condition Ready that is not True, with its reason; of a node that was never ready only " +
				"2 min after its creation (NodeStartGrace)",
			Details:  "ConditionDetails",
			Resolves: "condition Ready is True, or the node is deleted",
		},
		{
			Type: typeNodeReady, Severity: "info",
			Source:   "condition Ready of a node that came while the operator was watching, for the first time",
			Details:  "ConditionDetails",
			Resolves: point,
		},
	}
}

// Detect implements Detector.
func (NodeReady) Detect(in *NodeInput, out []Finding) []Finding {
	n := in.Cur
	ready := n.Condition("Ready")
	if n.Ready {
		if n.WasReady || in.Gone || ready == nil {
			return out
		}
		return append(out, Finding{
			Problem: Identify(typeNodeReady, in.Cluster, n.UID), Type: typeNodeReady, Point: true,
			Severity: info, Occurred: ready.Since, Reason: ready.Reason,
			Message: "Node " + n.Name + " is ready for the first time", Details: conditionDetails(ready),
		})
	}
	if in.Gone {
		return out
	}
	if !n.WasReady && young(n.Node, in.Thresholds.NodeStartGrace, in.Now) {
		return append(out, Finding{Wake: n.CreateTime + inSeconds(in.Thresholds.NodeStartGrace)})
	}
	if ready == nil {
		ready = &object.StatusCondition{Type: "Ready", Status: object.ConditionUnknown, Reason: "NodeStatusNeverUpdated"}
	}
	f := Finding{
		Problem: Identify(typeNodeNotReady, in.Cluster, n.UID, unix(n.NotReadySince)), Type: typeNodeNotReady,
		Severity: critical, Occurred: n.NotReadySince, Reason: ready.Reason,
		Message: "Node " + n.Name + " is not ready" + because(ready), Ending: "Node " + n.Name + " is ready again",
		Details: conditionDetails(ready),
	}
	if ready.Status == object.ConditionUnknown {
		f.Ordinal = 1 // The kubelet said no, then nothing any more.
	}
	return append(out, f)
}

// because is a condition's own words for the end of a sentence.
func because(c *object.StatusCondition) string {
	switch {
	case c.Reason != "" && c.Message != "":
		return ": " + c.Reason + ", " + c.Message
	case c.Reason != "" || c.Message != "":
		return ": " + c.Reason + c.Message
	}
	return ""
}
