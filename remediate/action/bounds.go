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
func (a *ResizeInPlace) bounded(ctx context.Context, namespace string, from, to policy.Size) (policy.Size, string, error) {
	ranges, err := a.Client.LimitRanges(ctx, namespace)
	if err != nil {
		return to, "", err
	}
	quotas, err := a.Client.Quotas(ctx, namespace)
	if err != nil {
		return to, "", err
	}
	c := &ceiling{from: from, to: to}
	c.ranges(ranges)
	for i := range quotas {
		c.quota(&quotas[i])
	}
	c.order()
	return c.to, strings.Join(c.why, "; "), nil
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
	c := &ceiling{from: from, to: to}
	c.node(node, pod, at.spec.Name)
	c.order()
	return c.to, strings.Join(c.why, "; "), nil
}

// within is a size that LimitRanges let new pods have, between from and to, and what
// bound it.
func within(ctx context.Context, client *kube.Client, namespace string, from, to policy.Size) (policy.Size, []string, error) {
	ranges, err := client.LimitRanges(ctx, namespace)
	if err != nil {
		return to, nil, err
	}
	c := &ceiling{from: from, to: to}
	c.ranges(ranges)
	c.order()
	return c.to, c.why, nil
}

// ceiling lowers a wanted size, never below what there is.
type ceiling struct {
	from, to policy.Size
	why      []string
}

func (c *ceiling) lower(value *int64, from, most int64, format string, args ...any) {
	if *value <= most || *value <= from {
		return
	}
	*value = max(most, from)
	c.why = append(c.why, fmt.Sprintf(format, args...))
}

func (c *ceiling) ranges(all []corev1.LimitRange) {
	for i := range all {
		for _, item := range all[i].Spec.Limits {
			if item.Type == corev1.LimitTypeContainer {
				c.limitRange(all[i].Name, item.Max)
			}
		}
	}
}

func (c *ceiling) limitRange(name string, most corev1.ResourceList) {
	if q, ok := most[corev1.ResourceMemory]; ok {
		c.lower(&c.to.Limits.MemoryBytes, c.from.Limits.MemoryBytes, q.Value(), "LimitRange %s allows %s of memory", name, q.String())
		c.lower(&c.to.Requests.MemoryBytes, c.from.Requests.MemoryBytes, q.Value(), "LimitRange %s allows %s of memory", name, q.String())
	}
	if q, ok := most[corev1.ResourceCPU]; ok {
		c.lower(&c.to.Limits.CPUMillis, c.from.Limits.CPUMillis, q.MilliValue(), "LimitRange %s allows %s of CPU", name, q.String())
		c.lower(&c.to.Requests.CPUMillis, c.from.Requests.CPUMillis, q.MilliValue(), "LimitRange %s allows %s of CPU", name, q.String())
	}
}

func (c *ceiling) quota(q *corev1.ResourceQuota) {
	left := func(name corev1.ResourceName) (int64, int64, bool) {
		hard, ok := q.Status.Hard[name]
		if !ok {
			return 0, 0, false
		}
		used := q.Status.Used[name]
		return hard.Value() - used.Value(), hard.MilliValue() - used.MilliValue(), true
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceRequestsMemory, corev1.ResourceMemory} {
		if bytes, _, ok := left(name); ok {
			c.lower(&c.to.Requests.MemoryBytes, c.from.Requests.MemoryBytes, c.from.Requests.MemoryBytes+bytes, "quota %s has room for %d more bytes requested", q.Name, bytes)
		}
	}
	if bytes, _, ok := left(corev1.ResourceLimitsMemory); ok {
		c.lower(&c.to.Limits.MemoryBytes, c.from.Limits.MemoryBytes, c.from.Limits.MemoryBytes+bytes, "quota %s has room for %d more bytes of limits", q.Name, bytes)
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceRequestsCPU, corev1.ResourceCPU} {
		if _, millis, ok := left(name); ok {
			c.lower(&c.to.Requests.CPUMillis, c.from.Requests.CPUMillis, c.from.Requests.CPUMillis+millis, "quota %s has room for %dm more CPU requested", q.Name, millis)
		}
	}
	if _, millis, ok := left(corev1.ResourceLimitsCPU); ok {
		c.lower(&c.to.Limits.CPUMillis, c.from.Limits.CPUMillis, c.from.Limits.CPUMillis+millis, "quota %s has room for %dm more CPU of limits", q.Name, millis)
	}
}

// node holds the pod's requests to what the node can give at all. What other pods
// hold of it is the kubelet's to judge: it defers.
func (c *ceiling) node(node *corev1.Node, pod *corev1.Pod, container string) {
	var others policy.Amounts
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name != container {
			r := amounts(pod.Spec.Containers[i].Resources.Requests)
			others.CPUMillis += r.CPUMillis
			others.MemoryBytes += r.MemoryBytes
		}
	}
	give := amounts(node.Status.Allocatable)
	if give.MemoryBytes > 0 {
		c.lower(&c.to.Requests.MemoryBytes, c.from.Requests.MemoryBytes, give.MemoryBytes-others.MemoryBytes, "node %s has %d bytes of memory", node.Name, give.MemoryBytes)
	}
	if give.CPUMillis > 0 {
		c.lower(&c.to.Requests.CPUMillis, c.from.Requests.CPUMillis, give.CPUMillis-others.CPUMillis, "node %s has %dm CPU", node.Name, give.CPUMillis)
	}
}

// order keeps what was equal equal, and requests at or below limits.
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
}
