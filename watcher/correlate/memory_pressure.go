package correlate

import (
	"fmt"
	"time"
)

// memoryPressure joins what a node does that is short of memory, and what the
// workloads show whose pods it evicts.
type memoryPressure struct{}

// Name implements Rule.
func (memoryPressure) Name() string { return "memory_pressure" }

// Links implements Rule.
func (memoryPressure) Links() []Link {
	return []Link{{
		// The kubelet evicts first and reports the condition with its next status.
		Causes: []string{typeMemoryPressure}, Effects: []string{typeEvicted, typePodFailed}, by: byNode,
		Before: 2 * time.Minute, After: window, Confidence: 95,
		Basis: "the eviction names the node's memory",
		fits:  func(_, pod *problem) bool { return pod.loss == lossMemory },
	}, {
		Causes: []string{typeMemoryPressure}, Effects: []string{typeSystemOOM}, by: byNode,
		Before: 2 * time.Minute, After: window, Confidence: 85,
		Basis: "the node's kernel killed for want of memory at that time",
	}, {
		Causes: []string{typeMemoryPressure}, Effects: []string{typeOOMKilled}, by: byNode,
		Before: 2 * time.Minute, After: window, Confidence: 70,
		Basis: "a container without a memory limit was killed on the node at that time",
		fits:  func(_, kill *problem) bool { return kill.unlimited },
	}, {
		Causes: []string{typeEvicted, typePodFailed}, Effects: aftermath, by: byWorkload,
		Before: time.Minute, After: window, Confidence: 70,
		Basis: "the workload had lost a pod to the node's want of memory within 10 min before",
		fits:  func(pod, _ *problem) bool { return pod.loss == lossMemory },
	}}
}

// Leads implements Rule.
func (memoryPressure) Leads(in *Picture) bool { return in.rootIs(typeMemoryPressure) }

// Summary implements Rule.
func (memoryPressure) Summary(in *Picture) string {
	verb := "is"
	if !in.root.going() {
		verb = "was"
	}
	return fmt.Sprintf("Node %s %s short of memory%s.", in.root.node, verb, in.followed())
}
