package action

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Elsewhere says whether another node could hold a target's pod with the size that
// its own node does not give it, and why not: by what nodes can give at all, their
// taints and the pod's node selector. What others hold of it is the scheduler's to
// know.
func (a *ResizeInPlace) Elsewhere(ctx context.Context, s *Subject, t *v1alpha1.Target) (bool, string, error) {
	if s.Workload.Kind == "DaemonSet" {
		return false, "a DaemonSet's pods are bound to their nodes", nil
	}
	pod, err := belonging(ctx, a.Client, s.Workload, t.Pod, t.UID)
	if err != nil {
		return false, "", err
	}
	nodes, err := a.Client.Nodes(ctx)
	if err != nil {
		return false, "", Judge(err)
	}
	needs := requested(&pod.Spec, s.Container, sizeIn(t.Desired))
	for i := range nodes {
		if n := &nodes[i]; n.Name != pod.Spec.NodeName && takes(n, pod) && holds(n, needs) {
			return true, "", nil
		}
	}
	return false, fmt.Sprintf("none of %d nodes could hold %d bytes of memory and %dm CPU", len(nodes), needs.MemoryBytes, needs.CPUMillis), nil
}

// requested is what a pod asks for, with another size for one container.
func requested(spec *corev1.PodSpec, container string, size policy.Size) policy.Amounts {
	var sum policy.Amounts
	add := func(c *corev1.Container) {
		one := amounts(c.Resources.Requests)
		if c.Name == container {
			one = size.Requests
		}
		sum.CPUMillis += one.CPUMillis
		sum.MemoryBytes += one.MemoryBytes
	}
	for i := range spec.Containers {
		add(&spec.Containers[i])
	}
	for i := range spec.InitContainers {
		if at, ok := find(spec, spec.InitContainers[i].Name); ok && at.sidecar {
			add(&spec.InitContainers[i])
		}
	}
	return sum
}

func holds(n *corev1.Node, needs policy.Amounts) bool {
	give := amounts(n.Status.Allocatable)
	return give.MemoryBytes >= needs.MemoryBytes && give.CPUMillis >= needs.CPUMillis
}

// takes says whether a node takes pods at all, and this one.
func takes(n *corev1.Node, pod *corev1.Pod) bool {
	if n.Spec.Unschedulable {
		return false
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return false
		}
	}
	for name, value := range pod.Spec.NodeSelector {
		if has, ok := n.Labels[name]; !ok || has != value {
			return false
		}
	}
	for i := range n.Spec.Taints {
		if taint := &n.Spec.Taints[i]; taint.Effect != corev1.TaintEffectPreferNoSchedule && !tolerated(pod, taint) {
			return false
		}
	}
	return true
}

func tolerated(pod *corev1.Pod, taint *corev1.Taint) bool {
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		all := t.Key == "" && t.Operator == corev1.TolerationOpExists
		value := t.Operator == corev1.TolerationOpExists || t.Value == taint.Value
		if (t.Effect == "" || t.Effect == taint.Effect) && (all || t.Key == taint.Key && value) {
			return true
		}
	}
	return false
}
