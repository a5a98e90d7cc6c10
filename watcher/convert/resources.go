package convert

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// amounts reads CPU and memory of a list; negative quantities count as 0.
func amounts(list corev1.ResourceList) object.Resources {
	var out object.Resources
	if q, ok := list[corev1.ResourceCPU]; ok {
		out.CPUMillis = millis(q)
	}
	if q, ok := list[corev1.ResourceMemory]; ok {
		out.MemoryBytes = max(q.Value(), 0)
	}
	return out
}

// millis saturates where MilliValue would wrap around.
func millis(q resource.Quantity) int64 {
	if q.Value() >= math.MaxInt64/1000 {
		return math.MaxInt64
	}
	return max(q.MilliValue(), 0)
}

// allotment is what a container's status says to be in force; nil where it says
// nothing, or nothing but the spec.
func allotment(spec *object.Container, status *corev1.ContainerStatus) *object.Allotment {
	if status.Resources == nil {
		return nil
	}
	actual := object.Allotment{
		Requests: amounts(status.Resources.Requests),
		Limits:   amounts(status.Resources.Limits),
	}
	if actual.Requests == spec.Requests && actual.Limits == spec.Limits {
		return nil
	}
	return &actual
}

// podRequests is what the scheduler counts for a pod: the larger of what its
// long-running containers need together and what each init container needs
// beside the sidecars started before it, plus the pod's overhead. A container
// in the middle of a resize counts with the larger of what it wants, what it
// was promised and what it has, an infeasible resize without what it wants.
// Requests of the pod as a whole stand in place of the sum.
//
// Source: component-helpers/resource, PodRequests with UseStatusResources.
func podRequests(pod *corev1.Pod, containers []object.Container) object.Resources {
	infeasible := resizeInfeasible(pod)
	var (
		longRunning object.Resources // app containers and sidecars
		sidecars    object.Resources // sidecars so far
		initPeak    object.Resources // most that the init phase needs
	)
	for i := range containers {
		c := &containers[i]
		need := containerRequests(pod, c, infeasible)
		switch c.Kind {
		case kindApp:
			longRunning = longRunning.Plus(need)
		case kindSidecar:
			sidecars = sidecars.Plus(need)
			longRunning = longRunning.Plus(need)
			initPeak = initPeak.Max(sidecars)
		case kindInit:
			initPeak = initPeak.Max(sidecars.Plus(need))
		default: // Ephemeral containers have no resources of their own.
		}
	}
	total := longRunning.Max(initPeak)
	if pod.Spec.Resources != nil {
		whole := amounts(pod.Spec.Resources.Requests)
		if _, ok := pod.Spec.Resources.Requests[corev1.ResourceCPU]; ok {
			total.CPUMillis = whole.CPUMillis
		}
		if _, ok := pod.Spec.Resources.Requests[corev1.ResourceMemory]; ok {
			total.MemoryBytes = whole.MemoryBytes
		}
	}
	return total.Plus(amounts(pod.Spec.Overhead))
}

func containerRequests(pod *corev1.Pod, c *object.Container, infeasible bool) object.Resources {
	status := statusOf(pod, c)
	if status == nil {
		return c.Requests
	}
	held := amounts(status.AllocatedResources)
	if c.Actual != nil {
		held = held.Max(c.Actual.Requests)
	} else if status.Resources != nil {
		held = held.Max(c.Requests)
	}
	if infeasible && held != (object.Resources{}) {
		return held
	}
	return held.Max(c.Requests)
}

// podLimits sums the limits of the containers that run side by side.
func podLimits(containers []object.Container) object.Resources {
	var total object.Resources
	for i := range containers {
		if k := containers[i].Kind; k == kindApp || k == kindSidecar {
			total = total.Plus(containers[i].InForce().Limits)
		}
	}
	return total
}

func resizeInfeasible(pod *corev1.Pod) bool {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodResizePending {
			return c.Reason == corev1.PodReasonInfeasible
		}
	}
	return false
}
