package convert

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Where the template's revision stands.
const (
	deploymentRevision = "deployment.kubernetes.io/revision"
	daemonSetTemplate  = appsv1.DeprecatedTemplateGeneration
)

// Controller converts a controller that is watched as metadata alone
// (ReplicaSet, CronJob). It fails where its name, namespace or UID is missing.
func (c *Converter) Controller(kind string, meta *metav1.PartialObjectMetadata) (*object.Controller, error) {
	if meta == nil {
		return nil, errNil
	}
	return c.controller(kind, &meta.ObjectMeta, 0)
}

// Deployment converts a Deployment; see Controller.
func (c *Converter) Deployment(d *appsv1.Deployment) (*object.Controller, error) {
	if d == nil {
		return nil, errNil
	}
	out, err := c.controller("Deployment", &d.ObjectMeta, replicas(d.Spec.Replicas))
	if err != nil {
		return nil, err
	}
	out.PodLabels = c.labels(d.Spec.Template.Labels)
	s := &d.Status
	out.Rollout = &object.Rollout{
		StatusTime: writeTime(&d.ObjectMeta, true), WriteTime: writeTime(&d.ObjectMeta, false),
		Generation: max(d.Generation, 0), Observed: max(s.ObservedGeneration, 0),
		Revision: c.text(d.Annotations[deploymentRevision], maxRevision),
		Replicas: max(s.Replicas, 0), Updated: max(s.UpdatedReplicas, 0), Wanted: out.Desired,
		Ready: max(s.ReadyReplicas, 0), Available: max(s.AvailableReplicas, 0),
	}
	for i := range s.Conditions {
		cond := &s.Conditions[i]
		switch cond.Type {
		case appsv1.DeploymentProgressing, appsv1.DeploymentAvailable, appsv1.DeploymentReplicaFailure:
		default:
			continue
		}
		if out.Rollout.Condition(string(cond.Type)) == nil {
			out.Rollout.Conditions = append(out.Rollout.Conditions, c.bad(string(cond.Type), string(cond.Status), cond.Reason,
				cond.Message, cond.LastTransitionTime, cond.Type == appsv1.DeploymentReplicaFailure))
		}
	}
	if p := out.Rollout.Condition(string(appsv1.DeploymentProgressing)); p != nil {
		out.Rollout.Unfinished = p.Reason != "NewReplicaSetAvailable"
	}
	return out, nil
}

// StatefulSet converts a StatefulSet; see Controller.
func (c *Converter) StatefulSet(s *appsv1.StatefulSet) (*object.Controller, error) {
	if s == nil {
		return nil, errNil
	}
	out, err := c.controller("StatefulSet", &s.ObjectMeta, replicas(s.Spec.Replicas))
	if err != nil {
		return nil, err
	}
	out.PodLabels = c.labels(s.Spec.Template.Labels)
	out.Rollout = &object.Rollout{
		StatusTime: writeTime(&s.ObjectMeta, true), WriteTime: writeTime(&s.ObjectMeta, false),
		Generation: max(s.Generation, 0), Observed: max(s.Status.ObservedGeneration, 0),
		Revision: c.text(s.Status.UpdateRevision, maxRevision),
		Replicas: max(s.Status.Replicas, 0), Updated: max(s.Status.UpdatedReplicas, 0), Wanted: out.Desired,
		Ready: max(s.Status.ReadyReplicas, 0), Available: max(s.Status.AvailableReplicas, 0),
		Unfinished: s.Status.UpdateRevision != s.Status.CurrentRevision,
	}
	if u := s.Spec.UpdateStrategy.RollingUpdate; u != nil && u.Partition != nil {
		out.Rollout.Wanted = max(out.Desired-max(*u.Partition, 0), 0)
	}
	return out, nil
}

// DaemonSet converts a DaemonSet, which asks for a pod on each node that suits
// it; see Controller.
func (c *Converter) DaemonSet(d *appsv1.DaemonSet) (*object.Controller, error) {
	if d == nil {
		return nil, errNil
	}
	out, err := c.controller("DaemonSet", &d.ObjectMeta, max(d.Status.DesiredNumberScheduled, 0))
	if err != nil {
		return nil, err
	}
	out.PodLabels = c.labels(d.Spec.Template.Labels)
	s := &d.Status
	out.Rollout = &object.Rollout{
		StatusTime: writeTime(&d.ObjectMeta, true), WriteTime: writeTime(&d.ObjectMeta, false),
		Generation: max(d.Generation, 0), Observed: max(s.ObservedGeneration, 0),
		Revision: c.text(d.Annotations[daemonSetTemplate], maxRevision),
		Replicas: max(s.CurrentNumberScheduled, 0), Updated: max(s.UpdatedNumberScheduled, 0), Wanted: out.Desired,
		Ready: max(s.NumberReady, 0), Available: max(s.NumberAvailable, 0),
		Unfinished: s.UpdatedNumberScheduled < s.DesiredNumberScheduled,
	}
	return out, nil
}

// Job converts a Job; see Controller. Its status is kept only where it failed.
func (c *Converter) Job(j *batchv1.Job) (*object.Controller, error) {
	if j == nil {
		return nil, errNil
	}
	out, err := c.controller("Job", &j.ObjectMeta, 0)
	if err != nil {
		return nil, err
	}
	for i := range j.Status.Conditions {
		cond := &j.Status.Conditions[i]
		if cond.Type != batchv1.JobFailed || cond.Status != corev1.ConditionTrue {
			continue
		}
		out.Failure = &object.JobFailure{
			Reason: c.text(cond.Reason, maxReason), Message: Text(cond.Message, maxCondition),
			Time:   seconds(cond.LastTransitionTime),
			Failed: max(j.Status.Failed, 0), Succeeded: max(j.Status.Succeeded, 0), BackoffLimit: 6,
		}
		if j.Spec.BackoffLimit != nil {
			out.Failure.BackoffLimit = max(*j.Spec.BackoffLimit, 0)
		}
		break
	}
	return out, nil
}

// writeTime is when an object, or its status alone, was written last, by
// managedFields; 0 where these do not say.
func writeTime(meta *metav1.ObjectMeta, statusAlone bool) int64 {
	var at int64
	for i := range meta.ManagedFields {
		if e := &meta.ManagedFields[i]; e.Time != nil && (e.Subresource == "status" || !statusAlone) {
			at = max(at, seconds(*e.Time))
		}
	}
	return at
}

// replicas unset means 1, the API's default.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return max(*n, 0)
}

// bad is a condition whose message is kept only where it tells what is wrong:
// where it is not True, or where True itself is bad.
func (c *Converter) bad(kind, status, reason, message string, since metav1.Time, whenTrue bool) object.StatusCondition {
	if (status == object.ConditionTrue) != whenTrue {
		message = ""
	}
	return c.statusCondition(kind, status, reason, message, since)
}

func (c *Converter) controller(kind string, meta *metav1.ObjectMeta, desired int32) (*object.Controller, error) {
	if err := identity(kind, meta.Namespace, meta.Name, meta.UID, true); err != nil {
		return nil, err
	}
	return &object.Controller{
		Key:        object.Key{Namespace: c.strings.of(meta.Namespace), Name: meta.Name},
		Kind:       kind,
		UID:        string(meta.UID),
		Parent:     c.controllerOf(meta.OwnerReferences),
		Desired:    desired,
		CreateTime: seconds(meta.CreationTimestamp),
		Tool:       toolOf(meta),
	}, nil
}
