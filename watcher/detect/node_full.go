package detect

import (
	"fmt"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const typeNodeFull = "node.full"

// NodeFull tells nodes whose pods ask for nearly all that they have. It is no
// fault by itself: a well-packed cluster is full. It explains why pods find no
// place.
type NodeFull struct{}

// Docs implements Detector.
func (NodeFull) Docs() []Doc {
	return []Doc{{
		Type: typeNodeFull, Severity: "info; warning where it has no place for another pod whatever its size (UPDATED as that changes)",
		Source: "requests of the pods on it from 95 % of the allocatable CPU or memory (NodeFullPercent), or as many " +
			"pods as it takes",
		Details:  "NodeLoadDetails",
		Resolves: "the requests fall below by more than 5 percent points and it takes pods, or the node is deleted",
	}}
}

// Detect implements Detector.
func (NodeFull) Detect(in *NodeInput, out []Finding) []Finding {
	n := in.Cur
	if in.Gone || !n.Full {
		return out
	}
	f := Finding{
		Problem: Identify(typeNodeFull, in.Cluster, n.UID, unix(n.FullSince)), Type: typeNodeFull,
		Severity: info, Occurred: n.FullSince, Reason: "Requests",
		Message: fmt.Sprintf("Node %s is full: its pods ask for %d %% of its CPU and %d %% of its memory", n.Name,
			share(n.Load.Requested.CPUMillis, n.Allocatable.CPUMillis),
			share(n.Load.Requested.MemoryBytes, n.Allocatable.MemoryBytes)),
		Ending: "Node " + n.Name + " has room again", Details: n.loadDetails(), Ordinal: n.FullChanges,
	}
	if n.noPlace() {
		f.Severity, f.Reason = warning, "Pods"
		f.Message = fmt.Sprintf("Node %s is full: it has %s and takes no more than %d", n.Name,
			count(n.Load.Pods, "pod"), n.AllocatablePods)
	}
	return append(out, f)
}

func (m *Machine) loadDetails() *rightsizerv1.NodeLoadDetails {
	return &rightsizerv1.NodeLoadDetails{
		RequestedCpuMillis: m.Load.Requested.CPUMillis, AllocatableCpuMillis: m.Allocatable.CPUMillis,
		RequestedMemoryBytes: m.Load.Requested.MemoryBytes, AllocatableMemoryBytes: m.Allocatable.MemoryBytes,
		Pods: m.Load.Pods, AllocatablePods: m.AllocatablePods,
	}
}
