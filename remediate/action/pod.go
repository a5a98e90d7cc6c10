package action

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// place is a container in a pod's spec.
type place struct {
	// list is containers or initContainers, index its place there.
	list  string
	index int
	spec  *corev1.Container
	// sidecar says that it is a native sidecar.
	sidecar bool
}

// find finds a container; false where the pod has none of that name.
func find(spec *corev1.PodSpec, name string) (place, bool) {
	for i := range spec.Containers {
		if spec.Containers[i].Name == name {
			return place{"containers", i, &spec.Containers[i], false}, true
		}
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if c.Name == name {
			always := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
			return place{"initContainers", i, c, always}, true
		}
	}
	return place{}, false
}

// statusOf finds a container's status; nil where there is none yet.
func statusOf(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// class is the pod's QoS class, with another size for one container.
func class(spec *corev1.PodSpec, name string, size policy.Size) plan.QoS {
	var sizes []policy.Size
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			s := sizeOf(&list[i].Resources)
			if list[i].Name == name {
				s = size
			}
			sizes = append(sizes, s)
		}
	}
	return plan.Class(sizes)
}

func isReady(pod *corev1.Pod) bool {
	return conditionOf(pod, corev1.PodReady) != nil && conditionOf(pod, corev1.PodReady).Status == corev1.ConditionTrue
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// alive says that a pod may still be changed.
func alive(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// ends is how often a container has ended. The kubelet counts a restart as the
// next attempt is made; until then the end shows in the state alone.
func ends(s *corev1.ContainerStatus) int32 {
	if s == nil {
		return 0
	}
	if s.State.Terminated != nil {
		return s.RestartCount + 1
	}
	if w := s.State.Waiting; w != nil && s.LastTerminationState.Terminated != nil {
		switch w.Reason {
		case "", "ContainerCreating", "PodInitializing":
		default:
			return s.RestartCount + 1
		}
	}
	return s.RestartCount
}

// lastOOM is when a container was last OOM-killed, as far as its status shows.
func lastOOM(s *corev1.ContainerStatus) time.Time {
	if s == nil {
		return time.Time{}
	}
	for _, t := range []*corev1.ContainerStateTerminated{s.State.Terminated, s.LastTerminationState.Terminated} {
		if t != nil && t.Reason == "OOMKilled" {
			return t.FinishedAt.Time
		}
	}
	return time.Time{}
}

// started is when a container started last; zero where it does not run.
func started(s *corev1.ContainerStatus) time.Time {
	if s == nil || s.State.Running == nil {
		return time.Time{}
	}
	return s.State.Running.StartedAt.Time
}

// SizeOf reads the size of a container of a pod by its spec; false where the pod
// has no container of that name that can be resized.
func SizeOf(pod *corev1.Pod, container string) (policy.Size, bool) {
	at, ok := find(&pod.Spec, container)
	if !ok || at.list == "initContainers" && !at.sidecar {
		return policy.Size{}, false
	}
	return sizeOf(&at.spec.Resources), true
}

// WouldRestart says whether a container of a pod is restarted for this size.
func WouldRestart(pod *corev1.Pod, container string, to policy.Size) bool {
	at, ok := find(&pod.Spec, container)
	return ok && restarts(at.spec, sizeOf(&at.spec.Resources), to)
}

// SizeOfTemplate is SizeOf for a workload's template.
func SizeOfTemplate(template *corev1.PodTemplateSpec, container string) (policy.Size, bool) {
	return SizeOf(&corev1.Pod{Spec: template.Spec}, container)
}

// SetSize writes into an action what of a size changes.
func SetSize(a *v1alpha1.RemediationAction, from, to policy.Size) { setTo(a, from, to) }

// life is how often a container of a pod has ended, and when it was last
// OOM-killed; with no name that of all its containers.
func life(pod *corev1.Pod, container string) (total int32, oom time.Time) {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if container != "" && list[i].Name != container {
				continue
			}
			total += ends(&list[i])
			if at := lastOOM(&list[i]); at.After(oom) {
				oom = at
			}
		}
	}
	return total, oom
}
