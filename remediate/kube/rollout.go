package kube

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Rollout is how a workload replaces its pods when its template changes, and how
// far it has come.
type Rollout struct {
	// Generation of the workload, and the one that its controller has seen.
	Generation, Observed int64
	// Updated pods are of the latest template, of Total that there are.
	Updated, Total int32
	// AtOnce is how many pods may be missing at a time, as the strategy says.
	AtOnce int32
	// ByHand says that pods are replaced only as somebody deletes them.
	ByHand bool
	// Kept is how many pods keep the older template on purpose.
	Kept int32
	// Stuck is the controller's own word that it does not get on; empty where it
	// does.
	Stuck string
}

// Complete says that as many pods as are to be replaced are of the latest template,
// for a workload that wants so many.
func (r *Rollout) Complete(replicas int32) bool {
	if r.Observed < r.Generation || r.ByHand {
		return r.Observed >= r.Generation
	}
	return r.Updated >= replicas-r.Kept && r.Total-r.Updated <= r.Kept
}

func deploymentRollout(d *appsv1.Deployment) *Rollout {
	replicas := value(d.Spec.Replicas, 1)
	r := &Rollout{
		Generation: d.Generation, Observed: d.Status.ObservedGeneration,
		Updated: d.Status.UpdatedReplicas, Total: d.Status.Replicas, AtOnce: replicas,
	}
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		var surge, unavailable *intstr.IntOrString
		if s := d.Spec.Strategy.RollingUpdate; s != nil {
			surge, unavailable = s.MaxSurge, s.MaxUnavailable
		}
		more := scaled(surge, intstr.FromString("25%"), replicas, true)
		r.AtOnce = scaled(unavailable, intstr.FromString("25%"), replicas, false)
		if more == 0 && r.AtOnce == 0 {
			r.AtOnce = 1 // as its controller does
		}
	}
	for _, c := range d.Status.Conditions {
		failing := c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse ||
			c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue
		if failing {
			r.Stuck = c.Message
		}
	}
	return r
}

func statefulSetRollout(s *appsv1.StatefulSet) *Rollout {
	replicas := value(s.Spec.Replicas, 1)
	r := &Rollout{
		Generation: s.Generation, Observed: s.Status.ObservedGeneration,
		Updated: s.Status.UpdatedReplicas, Total: s.Status.Replicas, AtOnce: 1,
		ByHand: s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType,
	}
	if u := s.Spec.UpdateStrategy.RollingUpdate; u != nil {
		r.Kept = min(value(u.Partition, 0), replicas)
		r.AtOnce = max(1, scaled(u.MaxUnavailable, intstr.FromInt32(1), replicas, true))
	}
	return r
}

func daemonSetRollout(d *appsv1.DaemonSet) *Rollout {
	pods := d.Status.DesiredNumberScheduled
	r := &Rollout{
		Generation: d.Generation, Observed: d.Status.ObservedGeneration,
		Updated: d.Status.UpdatedNumberScheduled, Total: pods, AtOnce: 1,
		ByHand: d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType,
	}
	if u := d.Spec.UpdateStrategy.RollingUpdate; u != nil {
		r.AtOnce = scaled(u.MaxUnavailable, intstr.FromInt32(1), pods, true)
	}
	return r
}

// scaled is a number or a share of pods; what cannot be read is all of them.
func scaled(n *intstr.IntOrString, otherwise intstr.IntOrString, of int32, up bool) int32 {
	if n == nil {
		n = &otherwise
	}
	v, err := intstr.GetScaledValueFromIntOrPercent(n, int(of), up)
	if err != nil {
		return of
	}
	return min(max(int32(v), 0), of)
}
