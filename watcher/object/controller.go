package object

// Controller is a watched object that owns pods, directly or through others.
type Controller struct {
	Key
	Kind string
	UID  string
	// Parent is the controller's own controller; nil at the top.
	Parent *Owner
	// Desired is how many pods it asks for; 0 where its kind, or the form in
	// which it is watched, does not say.
	Desired    int32
	CreateTime int64
	// PodLabels are those of its pod template, of a Deployment, StatefulSet and
	// DaemonSet alone.
	PodLabels Labels
	// Tool owns the manifest by what it leaves on the object; nil for none known.
	Tool *Tool
	// Rollout is nil for kinds without one, which is all but Deployment,
	// StatefulSet and DaemonSet.
	Rollout *Rollout
	// Failure is nil but for a Job that gave up.
	Failure *JobFailure
}

// Tool is what applies manifests: Argo CD, Flux, Helm.
type Tool struct {
	Kind string
	// Name is that of the application, kustomization or release.
	Name string
}

// Rollout is how far a Deployment, StatefulSet or DaemonSet is.
type Rollout struct {
	// Generation is that of the spec, Observed the one that the status is about.
	Generation int64
	Observed   int64
	// Revision names the template: the revision number of a Deployment, the
	// update revision of a StatefulSet, the template generation of a DaemonSet.
	// Empty before its controller has seen it.
	Revision string
	// Replicas are all pods, Updated those of Revision, Wanted how many of them
	// there should be (fewer than all under a StatefulSet's partition).
	Replicas, Updated, Wanted int32
	Ready, Available          int32
	// Unfinished says that the status alone tells a rollout that has not come
	// to its end since it began.
	Unfinished bool
	// StatusTime is when the status was written last, WriteTime when anything of the
	// object was; 0 where it does not say.
	StatusTime int64
	WriteTime  int64
	// Conditions are Progressing, Available and ReplicaFailure, where the kind
	// has them.
	Conditions []StatusCondition

	// What detect.AdvanceController remembers from one status to the next:

	// Started says that Revision was seen to change with this status.
	Started bool
	// Rolling says that the rollout of Revision has not come to its end.
	Rolling bool
	// Began is when the rollout was seen to begin; 0 where it was not.
	Began int64
	// ShortSince is since when fewer pods are available than wanted; 0 while
	// there are enough.
	ShortSince int64
	// EmptiedAt is when none became available, or some again, while too few were;
	// ShortSince before that.
	EmptiedAt int64
}

// Condition finds a condition by type; nil where there is none.
func (r *Rollout) Condition(conditionType string) *StatusCondition {
	return findCondition(r.Conditions, conditionType)
}

// Complete says that all pods wanted are of the revision and available, and that
// none of another is left.
func (c *Controller) Complete() bool {
	r := c.Rollout
	return r != nil && r.Observed >= r.Generation && r.Updated >= r.Wanted &&
		r.Available >= c.Desired && (c.Kind != "Deployment" || r.Replicas <= r.Updated)
}

// JobFailure is how a Job ended that gave up.
type JobFailure struct {
	// Reason and Message of the condition Failed, and when it became True.
	Reason  string
	Message string
	Time    int64
	// Failed and Succeeded count pods.
	Failed, Succeeded int32
	BackoffLimit      int32
}
