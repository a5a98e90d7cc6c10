package detect

import (
	"fmt"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const (
	typeNodeCordoned = "node.cordoned"
	typeNodeDrained  = "node.drained"
	typeNodeTainted  = "node.tainted"
)

// NodeCordoned tells nodes that take no new pods because somebody said so, and
// the moment at which the last pod that a drain evicts has left.
type NodeCordoned struct{}

// Docs implements Detector.
func (NodeCordoned) Docs() []Doc {
	return []Doc{
		{
			Type: typeNodeCordoned, Severity: "info", Source: "`spec.unschedulable`", Details: "NodeLoadDetails",
			Resolves: "it is taken back, or the node is deleted",
		},
		{
			Type: typeNodeDrained, Severity: "info",
			Source:  "the last pod left a cordoned node; those of DaemonSets, static and ended ones do not count",
			Details: "NodeLoadDetails", Resolves: point,
		},
	}
}

// Detect implements Detector.
func (NodeCordoned) Detect(in *NodeInput, out []Finding) []Finding {
	n := in.Cur
	if in.Gone || !n.Unschedulable {
		return out
	}
	out = append(out, Finding{
		Problem: Identify(typeNodeCordoned, in.Cluster, n.UID, unix(n.CordonedAt)), Type: typeNodeCordoned,
		Severity: info, Occurred: n.CordonedAt, Reason: "Unschedulable",
		Message: fmt.Sprintf("Node %s is cordoned: it takes no new pods, %s to move", n.Name, count(n.Load.Movable, "pod")),
		Ending:  "Node " + n.Name + " takes new pods again",
		Details: n.loadDetails(),
	})
	if p := in.Prev; p != nil && p.UID == n.UID && p.Unschedulable && p.Load.Movable > 0 && n.Load.Movable == 0 {
		out = append(out, Finding{
			Problem: Identify(typeNodeDrained, in.Cluster, n.UID, unix(n.CordonedAt)), Type: typeNodeDrained, Point: true, Recurs: true,
			Severity: info, Reason: "Drained",
			Message: "Node " + n.Name + " is drained: the last pod that can be moved has left it",
			Details: n.loadDetails(),
		})
	}
	return out
}

// NodeTainted tells taints that somebody put on a node. What the node lifecycle
// adds by itself is told by the problems that it stands for, and what a node is
// born with is its purpose and no news.
type NodeTainted struct{}

// Docs implements Detector.
func (NodeTainted) Docs() []Doc {
	return []Doc{{
		Type: typeNodeTainted, Severity: "info; warning with effect NoExecute, which evicts pods",
		Source: "`spec.taints` with effect NoSchedule or NoExecute that were seen to come or say when they came " +
			"(`timeAdded`); not those of Kubernetes itself (`node.kubernetes.io/…` but out-of-service, " +
			"`node.cloudprovider.kubernetes.io/…`)",
		Details:  "NodeTaintDetails",
		Resolves: "the taint is gone, or the node is deleted",
	}}
}

// Detect implements Detector.
func (NodeTainted) Detect(in *NodeInput, out []Finding) []Finding {
	n := in.Cur
	if in.Gone {
		return out
	}
	for i := range n.Taints {
		t := &n.Taints[i]
		if t.Since == 0 || t.Effect != "NoSchedule" && t.Effect != "NoExecute" || lifecycleTaint(t.Key) {
			continue
		}
		f := Finding{
			Problem: Identify(typeNodeTainted, in.Cluster, n.UID, t.Key, t.Value, t.Effect, unix(t.Since)), Type: typeNodeTainted,
			Severity: info, Occurred: t.Since, Reason: t.Effect,
			Details: &rightsizerv1.NodeTaintDetails{Key: t.Key, Value: t.Value, Effect: t.Effect},
		}
		taint := t.Key + ":" + t.Effect
		if t.Value != "" {
			taint = t.Key + "=" + t.Value + ":" + t.Effect
		}
		f.Message = "Node " + n.Name + " is tainted with " + taint + ": it takes only pods that tolerate that"
		f.Ending = "Node " + n.Name + " has lost the taint " + taint
		if t.Effect == "NoExecute" {
			f.Severity = warning
			f.Message += " and evicts the others"
		}
		out = append(out, f)
	}
	return out
}

// lifecycleTaint says that Kubernetes or the cloud provider puts the taint on
// nodes by itself.
func lifecycleTaint(key string) bool {
	return key != "node.kubernetes.io/out-of-service" &&
		(strings.HasPrefix(key, "node.kubernetes.io/") || strings.HasPrefix(key, "node.cloudprovider.kubernetes.io/"))
}

// count writes a number of things: 1 pod, 3 pods.
func count[N int | int32 | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
