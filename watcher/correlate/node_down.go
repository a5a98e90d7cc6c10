package correlate

import (
	"fmt"
	"time"
)

// nodeDown joins what happens on a node that is lost, and to the workloads whose
// pods are evicted from it.
type nodeDown struct{}

// Name implements Rule.
func (nodeDown) Name() string { return "node_down" }

// Links implements Rule.
func (nodeDown) Links() []Link {
	lost := []string{typeNotReady, typeNodeRemoved}
	return []Link{{
		Causes: lost, Effects: []string{typeEvicted, typePodFailed}, by: byNode,
		Before: 2 * time.Minute, After: window, Confidence: 95,
		Basis: "the eviction or the pod's end names the loss of its node",
		fits:  func(_, pod *problem) bool { return pod.loss == lossNode },
	}, {
		// No OOM kills, image pulls and configuration errors: a node that cannot
		// be reached reports none, and once it is back they have causes of their
		// own.
		Causes: lost, by: byNode,
		Effects: []string{
			typeEvicted, typePodFailed, typePending, typeRestarted, typeCrashLoop, anyProbe, anyVolume,
			"pod.sandbox_failed", "pod.network_failed", "pod.dns_failed", typeRebooted, "node.network_unavailable",
			"node.tainted", "node.pressure.*", typeNotReady, typeNodeRemoved,
		},
		Before: 30 * time.Second, After: window, Confidence: 75,
		Basis: "it began on the node while that was lost, or within 10 min after",
		fits:  func(_, effect *problem) bool { return effect.loss != lossMemory },
	}, {
		Causes: []string{typeRebooted}, by: byNode,
		Effects: []string{
			typePodFailed, typeRestarted, typeCrashLoop, anyProbe, anyVolume, "pod.sandbox_failed", "pod.network_failed",
		},
		Before: 2 * time.Minute, After: window, Confidence: 70,
		Basis: "it began on the node within 10 min after its reboot",
	}, {
		Causes: []string{typeEvicted, typePodFailed}, Effects: aftermath, by: byWorkload,
		Before: window, After: window, Confidence: 70,
		Basis: "the workload had lost a pod with a node at that time",
		fits:  func(pod, _ *problem) bool { return pod.loss == lossNode },
	}}
}

// Leads implements Rule.
func (nodeDown) Leads(in *Picture) bool {
	return in.rootIs(typeNotReady, typeNodeRemoved, typeRebooted)
}

// Summary implements Rule.
func (nodeDown) Summary(in *Picture) string {
	what := map[string]string{
		typeNotReady: "is not ready", typeNodeRemoved: "was removed", typeRebooted: "was rebooted",
	}[in.root.typ]
	if in.root.typ == typeNotReady && !in.root.going() {
		what = "was not ready"
	}
	return fmt.Sprintf("Node %s %s%s.", in.root.node, what, in.followed())
}
