package detect

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Detector finds causes of one or a few kindred event types in an object of one
// kind.
type Detector[O any] interface {
	// Docs describes the types for people; watcher/README.md repeats it.
	Docs() []Doc
	// Detect appends the findings of in to out. What is in out already is what
	// the detectors before it found in the same object.
	Detect(in *Input[O], out []Finding) []Finding
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

// Detectors are the detectors of each kind of object, in the order of their
// events. A nil list means the default one.
type Detectors struct {
	Pods        []Detector[object.Pod]
	Nodes       []Detector[Machine]
	Controllers []Detector[object.Controller]
	Autoscalers []Detector[object.Autoscaler]
	Budgets     []Detector[object.Budget]
	Sources     []Detector[object.UsageSource]
}

// WithDefaults fills in the lists that are nil.
func (d Detectors) WithDefaults() Detectors {
	if d.Pods == nil {
		d.Pods = Pods()
	}
	if d.Nodes == nil {
		d.Nodes = Nodes()
	}
	if d.Controllers == nil {
		d.Controllers = Controllers()
	}
	if d.Autoscalers == nil {
		d.Autoscalers = []Detector[object.Autoscaler]{HPA{}}
	}
	if d.Budgets == nil {
		d.Budgets = []Detector[object.Budget]{PDBBlocking{}}
	}
	if d.Sources == nil {
		d.Sources = []Detector[object.UsageSource]{SourceDown{}}
	}
	return d
}

// Pods lists the detectors of pods. An OOM kill comes before the crash loop
// that it feeds, Pending after what is more particular.
func Pods() []Detector[object.Pod] {
	return []Detector[object.Pod]{
		OOMKilled{},
		CrashLoop{},
		Restarted{},
		Evicted{},
		PodFailed{},
		Unschedulable{},
		ImagePull{},
		ConfigError{},
		Volume{},
		Sandbox{},
		DNS{},
		Probe{},
		Pending{},
		Resize{},
		Exhaustion{},
		CPUThrottled{},
		ProcessKilled{},
		Pressure{},
		PodLife{},
	}
}

// Nodes lists the detectors of nodes. What is wrong comes before what follows
// from it.
func Nodes() []Detector[Machine] {
	return []Detector[Machine]{
		NodeLife{}, NodeReady{}, NodePressure{}, SystemOOM{}, NodeCordoned{}, NodeTainted{}, NodeFull{}, NodeExhaustion{},
	}
}

// Controllers lists the detectors of controllers. A change comes before what it
// leads to.
func Controllers() []Detector[object.Controller] {
	return []Detector[object.Controller]{
		Scaled{}, Rollout{}, Unavailable{}, Refused{}, JobFailed{}, CronJobMissed{}, Fits{},
	}
}

// All lists the types of all detectors, in the order of the table in
// watcher/README.md.
func All() []Doc {
	d := Detectors{}.WithDefaults()
	return slices.Concat(docs(d.Pods), docs(d.Nodes), docs(d.Controllers), docs(d.Autoscalers), docs(d.Budgets), docs(d.Sources))
}

func docs[O any](detectors []Detector[O]) []Doc {
	var out []Doc
	for _, d := range detectors {
		out = append(out, d.Docs()...)
	}
	return out
}

// PodInput is a pod at one moment.
type PodInput = Input[object.Pod]

// Input is one object at one moment.
type Input[O any] struct {
	// Cluster is the cluster's id, part of every problem id.
	Cluster string
	// Prev is the object before the change; nil where it is seen for the first
	// time. Cur is the object now, never nil.
	Prev *O
	Cur  *O
	// Gone says that the object was deleted and Cur is its last known form.
	Gone bool
	// Workload is the controller at the top of the object's owners; its kind is
	// empty where there is none.
	Workload Workload
	// Evidence is what Kubernetes Events said of the object; nil for nothing.
	Evidence Evidence
	// Use is what the object was measured to use, where that is worth a look: of
	// a pod by container, of a node as a whole.
	Use []Use
	// Fits are how the sizes of a controller's containers fit what they use.
	Fits []Fit
	// Thresholds are validated.
	Thresholds Thresholds
	// Now is the time of the observation.
	Now time.Time
}

// Workload is what detectors may know of an object's controller.
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

// down says that the workload serves and has no ready pod left.
func (w *Workload) down() bool {
	return w.ReadyPods == 0 && w.serves()
}

// Finding is one cause that is visible now.
type Finding struct {
	// Problem identifies the cause.
	Problem ID
	// Type is the event's type.
	Type string
	// Point is true for what happened at one moment, false for what has a life.
	Point bool
	// Recurs says that a Point may go and show again under its id, which then is no
	// news.
	Recurs bool
	// Over says that a problem with a life has ended, and how; it is ignored
	// where the problem was not open. A problem that is just not found any more
	// ends as well.
	Over bool
	// Ordinal counts up with each change worth an UPDATED event. It is derived
	// from the status or the evidence alone, so that every process gives one
	// change one id.
	Ordinal  int32
	Severity rightsizerv1.Severity
	// Occurred is when it happened by the cluster's clock, in Unix seconds; 0
	// where the cluster does not say.
	Occurred int64
	// Container is the name of the container, and Kind its kind; empty and
	// unspecified where the finding is about no container.
	Container string
	Kind      rightsizerv1.ContainerKind
	Reason    string
	Message   string
	// Ending is the sentence for a person when the problem is just not found any
	// more, such as "Pod web-1 is scheduled"; empty for a general one.
	Ending string
	// Details is one of the messages in the oneof Event.details; nil for none.
	Details proto.Message
	// Wake is when the finding may change without a change of the object, in
	// Unix seconds; 0 is never. A finding that has nothing but Wake says only
	// that.
	Wake int64
	// Ends is a note of the evidence whose row is over, so that it says nothing of
	// what comes later; nil for none. Such a finding says only that.
	Ends *Note
}

// Silent says that the finding is about no cause: no more than a wish to be looked
// at again, or that something is over.
func (f *Finding) Silent() bool {
	return f.Type == ""
}
