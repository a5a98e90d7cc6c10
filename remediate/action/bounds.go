package action

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy"
)

// bounded is the largest step between from and to that LimitRanges and quotas leave
// room for, and what bound it. It is asked after the API server has
// refused the whole step.
func (a *ResizeInPlace) bounded(ctx context.Context, pod *corev1.Pod, container string, from, to policy.Size) (policy.Size, string, error) {
	to, why, err := within(ctx, a.Client, pod.Namespace, &pod.Spec, container, 1, from, to)
	return to, strings.Join(why, "; "), err
}

// onNode is the largest step between from and to that the pod's node could give at
// all, and what bound it. The API server does not ask that; the kubelet would find
// it infeasible.
func (a *ResizeInPlace) onNode(ctx context.Context, pod *corev1.Pod, at place, from, to policy.Size) (policy.Size, string, error) {
	more := to.Requests.CPUMillis > from.Requests.CPUMillis || to.Requests.MemoryBytes > from.Requests.MemoryBytes
	if !more || pod.Spec.NodeName == "" {
		return to, "", nil
	}
	node, err := a.Client.Node(ctx, pod.Spec.NodeName)
	if err = Judge(err); errors.Is(err, ErrGone) {
		return to, "", nil // what becomes of its pods is decided elsewhere
	}
	if err != nil {
		return to, "", err
	}
	c := &ceiling{from: from, wanted: to, to: to}
	c.node(node, pod, at.spec.Name)
	c.order()
	return c.to, strings.Join(c.why, "; "), nil
}

// within is a size that LimitRanges and quotas let a container of so many pods have,
// between from and to, and what bound it.
func within(ctx context.Context, client *kube.Client, namespace string, spec *corev1.PodSpec, container string, pods int32, from, to policy.Size) (policy.Size, []string, error) {
	ranges, err := client.LimitRanges(ctx, namespace)
	if err != nil {
		return to, nil, err
	}
	quotas, err := client.Quotas(ctx, namespace)
	if err != nil {
		return to, nil, err
	}
	c := &ceiling{from: from, wanted: to, to: to}
	c.ranges(ranges, spec, container)
	for i := range quotas {
		c.quota(&quotas[i], int64(max(pods, 1)))
	}
	c.order()
	return c.to, c.why, nil
}

// ceiling lowers a wanted size, never below what there is.
type ceiling struct {
	from, wanted, to policy.Size
	why              []string
}

func (c *ceiling) lower(value *int64, from, most int64, format string, args ...any) {
	if *value <= most || *value <= from {
		return
	}
	*value = max(most, from)
	c.why = append(c.why, fmt.Sprintf(format, args...))
}

func (c *ceiling) ranges(all []corev1.LimitRange, spec *corev1.PodSpec, container string) {
	for i := range all {
		for j := range all[i].Spec.Limits {
			switch item := &all[i].Spec.Limits[j]; item.Type {
			case corev1.LimitTypeContainer:
				c.limitRange(all[i].Name, "a container", item, policy.Size{})
			case corev1.LimitTypePod:
				c.limitRange(all[i].Name, "a pod", item, others(spec, container))
			default:
			}
		}
	}
}

// others is what the other containers of a pod have together while it runs.
func others(spec *corev1.PodSpec, container string) (sum policy.Size) {
	add := func(c *corev1.Container) {
		if c.Name == container {
			return
		}
		size := sizeOf(&c.Resources)
		sum.Requests.CPUMillis += size.Requests.CPUMillis
		sum.Requests.MemoryBytes += size.Requests.MemoryBytes
		sum.Limits.CPUMillis += size.Limits.CPUMillis
		sum.Limits.MemoryBytes += size.Limits.MemoryBytes
	}
	for i := range spec.Containers {
		add(&spec.Containers[i])
	}
	for i := range spec.InitContainers {
		if p := spec.InitContainers[i].RestartPolicy; p != nil && *p == corev1.ContainerRestartPolicyAlways {
			add(&spec.InitContainers[i])
		}
	}
	return sum
}

// limitRange holds a container, beside what others of the pod have, to the most, and
// to the most that a limit may be of its request.
func (c *ceiling) limitRange(name, of string, item *corev1.LimitRangeItem, beside policy.Size) {
	if q, ok := item.Max[corev1.ResourceMemory]; ok {
		c.lower(&c.to.Limits.MemoryBytes, c.from.Limits.MemoryBytes, q.Value()-beside.Limits.MemoryBytes, "LimitRange %s allows %s %s of memory", name, of, q.String())
		c.lower(&c.to.Requests.MemoryBytes, c.from.Requests.MemoryBytes, q.Value()-beside.Requests.MemoryBytes, "LimitRange %s allows %s %s of memory", name, of, q.String())
	}
	if q, ok := item.Max[corev1.ResourceCPU]; ok {
		c.lower(&c.to.Limits.CPUMillis, c.from.Limits.CPUMillis, q.MilliValue()-beside.Limits.CPUMillis, "LimitRange %s allows %s %s of CPU", name, of, q.String())
		c.lower(&c.to.Requests.CPUMillis, c.from.Requests.CPUMillis, q.MilliValue()-beside.Requests.CPUMillis, "LimitRange %s allows %s %s of CPU", name, of, q.String())
	}
	if q, ok := item.MaxLimitRequestRatio[corev1.ResourceMemory]; ok && c.to.Requests.MemoryBytes > 0 {
		most := int64(q.AsApproximateFloat64()*float64(c.to.Requests.MemoryBytes+beside.Requests.MemoryBytes)) - beside.Limits.MemoryBytes
		c.lower(&c.to.Limits.MemoryBytes, c.from.Limits.MemoryBytes, most, "LimitRange %s allows %s a memory limit of %s times the request", name, of, q.String())
	}
	if q, ok := item.MaxLimitRequestRatio[corev1.ResourceCPU]; ok && c.to.Requests.CPUMillis > 0 {
		most := int64(q.AsApproximateFloat64()*float64(c.to.Requests.CPUMillis+beside.Requests.CPUMillis)) - beside.Limits.CPUMillis
		c.lower(&c.to.Limits.CPUMillis, c.from.Limits.CPUMillis, most, "LimitRange %s allows %s a CPU limit of %s times the request", name, of, q.String())
	}
}

// quota gives each of so many pods its share of what is left.
func (c *ceiling) quota(q *corev1.ResourceQuota, pods int64) {
	left := func(name corev1.ResourceName) (int64, int64, bool) {
		hard, ok := q.Status.Hard[name]
		if !ok {
			return 0, 0, false
		}
		used := q.Status.Used[name]
		return (hard.Value() - used.Value()) / pods, (hard.MilliValue() - used.MilliValue()) / pods, true
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceRequestsMemory, corev1.ResourceMemory} {
		if bytes, _, ok := left(name); ok {
			c.lower(&c.to.Requests.MemoryBytes, c.from.Requests.MemoryBytes, c.from.Requests.MemoryBytes+bytes, "quota %s has room for %d more bytes requested by each of %d", q.Name, bytes, pods)
		}
	}
	if bytes, _, ok := left(corev1.ResourceLimitsMemory); ok {
		c.lower(&c.to.Limits.MemoryBytes, c.from.Limits.MemoryBytes, c.from.Limits.MemoryBytes+bytes, "quota %s has room for %d more bytes of limits for each of %d", q.Name, bytes, pods)
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceRequestsCPU, corev1.ResourceCPU} {
		if _, millis, ok := left(name); ok {
			c.lower(&c.to.Requests.CPUMillis, c.from.Requests.CPUMillis, c.from.Requests.CPUMillis+millis, "quota %s has room for %dm more CPU requested by each of %d", q.Name, millis, pods)
		}
	}
	if _, millis, ok := left(corev1.ResourceLimitsCPU); ok {
		c.lower(&c.to.Limits.CPUMillis, c.from.Limits.CPUMillis, c.from.Limits.CPUMillis+millis, "quota %s has room for %dm more CPU of limits for each of %d", q.Name, millis, pods)
	}
}

// node holds the pod's requests to what the node can give at all. What other pods
// hold of it is the kubelet's to judge: it defers.
func (c *ceiling) node(node *corev1.Node, pod *corev1.Pod, container string) {
	beside := others(&pod.Spec, container).Requests
	give := amounts(node.Status.Allocatable)
	if give.MemoryBytes > 0 {
		c.lower(&c.to.Requests.MemoryBytes, c.from.Requests.MemoryBytes, give.MemoryBytes-beside.MemoryBytes, "node %s has %d bytes of memory", node.Name, give.MemoryBytes)
	}
	if give.CPUMillis > 0 {
		c.lower(&c.to.Requests.CPUMillis, c.from.Requests.CPUMillis, give.CPUMillis-beside.CPUMillis, "node %s has %dm CPU", node.Name, give.CPUMillis)
	}
}

// order keeps what was equal equal, and requests at or below limits, or below them
// where they were.
func (c *ceiling) order() {
	one := func(fromRequest, fromLimit int64, request, limit *int64) {
		if *limit == 0 || *request == 0 {
			return
		}
		if fromRequest == fromLimit {
			least := min(*request, *limit)
			*request, *limit = least, least
		}
		*request = min(*request, *limit)
	}
	one(c.from.Requests.CPUMillis, c.from.Limits.CPUMillis, &c.to.Requests.CPUMillis, &c.to.Limits.CPUMillis)
	one(c.from.Requests.MemoryBytes, c.from.Limits.MemoryBytes, &c.to.Requests.MemoryBytes, &c.to.Limits.MemoryBytes)
	c.to = policy.StayBelow(c.from, c.wanted, c.to)
}
