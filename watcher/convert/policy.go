package convert

import (
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Autoscaler converts a HorizontalPodAutoscaler. It fails where its name,
// namespace or UID is missing.
func (c *Converter) Autoscaler(h *autoscalingv2.HorizontalPodAutoscaler) (*object.Autoscaler, error) {
	if h == nil {
		return nil, errNil
	}
	if err := identity("HorizontalPodAutoscaler", h.Namespace, h.Name, h.UID, true); err != nil {
		return nil, err
	}
	out := &object.Autoscaler{
		Key:        object.Key{Namespace: c.strings.of(h.Namespace), Name: h.Name},
		UID:        string(h.UID),
		TargetKind: c.text(h.Spec.ScaleTargetRef.Kind, maxKind),
		TargetName: Text(h.Spec.ScaleTargetRef.Name, maxName),
		Min:        replicas(h.Spec.MinReplicas), Max: max(h.Spec.MaxReplicas, 0),
		Current: max(h.Status.CurrentReplicas, 0), Desired: max(h.Status.DesiredReplicas, 0),
		CreateTime: seconds(h.CreationTimestamp),
	}
	for i := range h.Spec.Metrics {
		m := &h.Spec.Metrics[i]
		name, target := corev1.ResourceName(""), autoscalingv2.MetricTarget{}
		switch {
		case m.Resource != nil:
			name, target = m.Resource.Name, m.Resource.Target
		case m.ContainerResource != nil:
			name, target = m.ContainerResource.Name, m.ContainerResource.Target
		}
		if target.Type == autoscalingv2.UtilizationMetricType {
			out.CPUUtilization = out.CPUUtilization || name == corev1.ResourceCPU
			out.MemoryUtilization = out.MemoryUtilization || name == corev1.ResourceMemory
		}
	}
	for i := range h.Status.Conditions {
		cond := &h.Status.Conditions[i]
		switch cond.Type {
		case autoscalingv2.AbleToScale, autoscalingv2.ScalingActive, autoscalingv2.ScalingLimited:
		default:
			continue
		}
		if out.Condition(string(cond.Type)) == nil {
			out.Conditions = append(out.Conditions, c.bad(string(cond.Type), string(cond.Status), cond.Reason, cond.Message,
				cond.LastTransitionTime, cond.Type == autoscalingv2.ScalingLimited))
		}
	}
	return out, nil
}

// Budget converts a PodDisruptionBudget. It fails where its name, namespace or
// UID is missing.
func (c *Converter) Budget(p *policyv1.PodDisruptionBudget) (*object.Budget, error) {
	if p == nil {
		return nil, errNil
	}
	if err := identity("PodDisruptionBudget", p.Namespace, p.Name, p.UID, true); err != nil {
		return nil, err
	}
	out := &object.Budget{
		Key:      object.Key{Namespace: c.strings.of(p.Namespace), Name: p.Name},
		UID:      string(p.UID),
		Expected: max(p.Status.ExpectedPods, 0), Healthy: max(p.Status.CurrentHealthy, 0),
		Required: max(p.Status.DesiredHealthy, 0), Allowed: max(p.Status.DisruptionsAllowed, 0),
		CreateTime: seconds(p.CreationTimestamp),
	}
	out.Selector = selector(p.Spec.Selector)
	for i := range p.Status.Conditions {
		cond := &p.Status.Conditions[i]
		if cond.Type == policyv1.DisruptionAllowedCondition && cond.Status == metav1.ConditionFalse {
			out.BlockedSince = seconds(cond.LastTransitionTime)
			out.Reason, out.Message = c.text(cond.Reason, maxReason), Text(cond.Message, maxCondition)
		}
	}
	return out, nil
}

// Bounds of a selector; one beyond them counts as none.
const (
	maxSelected = 16 // requirements
	maxAccepted = 64 // values of one
)

func selector(s *metav1.LabelSelector) labels.Selector {
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) > maxSelected {
		return nil
	}
	for i := range s.MatchExpressions {
		if len(s.MatchExpressions[i].Values) > maxAccepted {
			return nil
		}
	}
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil
	}
	return out
}

// labels takes all, or none where there are too many.
func (c *Converter) labels(from map[string]string) object.Labels {
	if len(from) == 0 || len(from) > object.MaxLabels {
		return nil
	}
	out := make(object.Labels, 0, len(from))
	for key, value := range from {
		out = append(out, object.Label{Key: c.text(key, maxTaintKey), Value: c.text(value, maxLabel)})
	}
	slices.SortFunc(out, func(a, b object.Label) int { return strings.Compare(a.Key, b.Key) })
	return out
}
