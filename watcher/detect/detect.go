package detect

import (
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Detector finds causes of one event type in a pod.
type Detector interface {
	// Doc describes the type for people; watcher/README.md repeats it.
	Doc() Doc
	// Detect appends the findings of in to out.
	Detect(in *Input, out []Finding) []Finding
}

// Doc is a row of the table in watcher/README.md.
type Doc struct {
	// Type is the event's type.
	Type string
	// Severity is the rule by which the severity is chosen.
	Severity string
	// Source is where the cause shows.
	Source string
	// Details is the message in the event's oneof.
	Details string
	// Resolves is what ends the problem.
	Resolves string
}

// All lists the detectors. An OOM kill comes before the crash loop that it
// feeds.
func All() []Detector {
	return []Detector{OOMKilled{}, CrashLoop{}}
}

// Input is one pod at one moment.
type Input struct {
	// Cluster is the cluster's id, part of every problem id.
	Cluster string
	// Prev is the pod before the change; nil where it is seen for the first
	// time. Cur is the pod now, never nil.
	Prev *object.Pod
	Cur  *object.Pod
	// Gone says that the pod was deleted and Cur is its last known form.
	Gone bool
	// Workload is the controller at the top of the pod's owners.
	Workload Workload
	// Evidence is what Kubernetes Events said; nil is no evidence.
	Evidence Evidence
	// Thresholds are validated.
	Thresholds Thresholds
	// Now is the time of the observation.
	Now time.Time
}

// Workload is what detectors may know of a pod's controller.
type Workload struct {
	Kind string
	Name string
	// ReadyPods are its pods whose Ready condition is True, as far as known. It
	// is read at the moment of detection and so only ever chooses a severity.
	ReadyPods int
}

// serves says that the workload is meant to have ready pods all the time.
func (w *Workload) serves() bool {
	switch w.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController":
		return true
	}
	return false
}

// Evidence is what Kubernetes Events say about a pod.
type Evidence interface {
	// LastBackOff is when the kubelet last said that it holds back the restart
	// of the container, in Unix seconds; false where it has not.
	LastBackOff(podUID, container string) (int64, bool)
}

// Finding is one cause that is visible now.
type Finding struct {
	// Problem identifies the cause.
	Problem ID
	// Type is the event's type.
	Type string
	// Point is true for what happened at one moment, false for what has a life.
	Point bool
	// Over says that a problem with a life has ended, and how; it is ignored
	// where the problem was not open.
	Over bool
	// Ordinal counts up with each change worth an UPDATED event. It is derived
	// from the status alone, so that every process gives one change one id.
	Ordinal  int32
	Severity rightsizerv1.Severity
	// Occurred is when it happened by the cluster's clock, in Unix seconds; 0
	// where the cluster does not say.
	Occurred int64
	// Container is the name of the container, and Kind its kind.
	Container string
	Kind      rightsizerv1.ContainerKind
	Reason    string
	Message   string
	// OOMKilled or CrashLoop are the details; the other is nil.
	OOMKilled *rightsizerv1.OomKilledDetails
	CrashLoop *rightsizerv1.CrashLoopDetails
	// Wake is when the finding may change without a change of the object, in
	// Unix seconds; 0 is never.
	Wake int64
}
