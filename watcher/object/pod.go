package object

import (
	"cmp"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Key names an object within its kind. Namespace is empty for cluster-scoped
// objects.
type Key struct {
	Namespace string
	Name      string
}

// String is `namespace/name`, or the name alone.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// Compare orders by namespace, then name.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Name, other.Name))
}

// Phases of a pod, as the kubelet says them.
const (
	PhasePending   = "Pending"
	PhaseRunning   = "Running"
	PhaseSucceeded = "Succeeded"
	PhaseFailed    = "Failed"
)

// Pod is one pod.
type Pod struct {
	Key
	UID string
	// StaticUID is how a kubelet names a static pod, of which this is the API's mirror;
	// empty for others.
	StaticUID string
	// Node is empty while the pod is not bound.
	Node string
	// Owner is the controller that the pod names; nil for a bare pod. Pods of
	// one controller share the value.
	Owner *Owner
	// Revision tells the pods of one rollout from those of another: the label
	// pod-template-hash or controller-revision-hash, else the owner's UID, else
	// the pod's own.
	Revision string
	// TemplateHash is the label pod-template-hash alone; empty where there is
	// none.
	TemplateHash string
	// AppName and App are the labels app.kubernetes.io/name and app.
	AppName string
	App     string
	// Phase is one of the Phase constants or what else the cluster says.
	Phase string
	// QoS is Guaranteed, Burstable or BestEffort.
	QoS string
	// Ready is the condition of that name.
	Ready bool
	// WasReady says that it was ready before, or may have been before it was
	// seen for the first time. It is what detect.Advance remembers.
	WasReady bool
	// Deleting says that its deletion was asked for: what its containers end
	// with from then on is their answer to that.
	Deleting bool
	// Generation of the spec; 0 where the cluster does not count.
	Generation int64
	// Trouble is what the status says beyond that; nil for a healthy pod.
	Trouble *Trouble
	// CreateTime is when the pod was created, BindTime when it got its node (the
	// last transition of PodScheduled to True); 0 where the cluster does not say.
	CreateTime int64
	BindTime   int64
	// Requests is what the scheduler counts for the pod; Limits the sum over
	// its app containers and sidecars.
	Requests Resources
	Limits   Resources
	// Containers in the order init (sidecars among them), app, ephemeral; at
	// most MaxContainers.
	Containers []Container
}

// Trouble is what a pod's status says when something is wrong with the pod as a
// whole, or is under way.
type Trouble struct {
	// Reason and Message of the status, such as Evicted; the message is cut at
	// 512 bytes.
	Reason  string
	Message string
	// Unscheduled is PodScheduled=False, Disruption DisruptionTarget=True,
	// ResizePending and ResizeInProgress the conditions of a resize; nil where
	// the condition does not hold.
	Unscheduled      *Condition
	Disruption       *Condition
	ResizePending    *Condition
	ResizeInProgress *Condition
}

// Condition is one condition of a status.
type Condition struct {
	Reason string
	// Message is cut at 2,048 bytes: schedulers list a cause a node group.
	Message string
	// Since is its last transition, in Unix seconds; 0 where it does not say.
	Since int64
	// Generation is the one that it was made for; 0 where it does not say.
	Generation int64
	// Told is when it was said first for the same main cause, as far as known; of
	// PodScheduled alone. detect.Advance carries it on.
	Told int64
}

// MaxContainers bounds the containers of one pod that are kept. Etcd's limit on
// an object's size holds real pods far below it.
const MaxContainers = 256

// Ended says that the pod has run to its end and holds no resources any more.
func (p *Pod) Ended() bool {
	return p.Phase == PhaseSucceeded || p.Phase == PhaseFailed
}

// Container finds a container by name and kind; nil where there is none.
func (p *Pod) Container(kind rightsizerv1.ContainerKind, name string) *Container {
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Name == name && c.Kind == kind {
			return c
		}
	}
	return nil
}

// RestartPolicy says which ends of a container lead to another start.
type RestartPolicy uint8

const (
	// RestartAlways restarts after every end.
	RestartAlways RestartPolicy = iota
	// RestartOnFailure restarts after an exit code other than 0. Init
	// containers under a pod's policy Always behave so, too.
	RestartOnFailure
	// RestartNever never restarts.
	RestartNever
)

// ExitCodes is a set of them: a bit each from 0 to 255, one for all others.
type ExitCodes [5]uint64

// Add puts one in.
func (e *ExitCodes) Add(code int32) {
	n := exitBit(code)
	e[n/64] |= 1 << (n % 64)
}

// Has says that one is in it; none is in nil.
func (e *ExitCodes) Has(code int32) bool {
	n := exitBit(code)
	return e != nil && e[n/64]&(1<<(n%64)) != 0
}

func exitBit(code int32) uint {
	if code < 0 || code > 255 {
		return 256
	}
	return uint(code)
}

// Container is one container of a pod: its part of the spec and its status.
type Container struct {
	Name    string
	Image   string
	Kind    rightsizerv1.ContainerKind
	Restart RestartPolicy
	// RestartCodes are those after which it is started again whatever Restart says
	// (restartPolicyRules); nil for none.
	RestartCodes *ExitCodes
	// Requests and Limits as the spec has them; 0 is unset.
	Requests Resources
	Limits   Resources
	// Actual is what the status says to be in force; nil where it does not say
	// or says the same as the spec.
	Actual *Allotment
	// RestartCPU and RestartMemory say that a change of the resource restarts it
	// (resizePolicy).
	RestartCPU, RestartMemory bool
	// Runtime is what it says of its memory settings; nil for nothing.
	Runtime *Runtime
	// Ready as the kubelet says it.
	Ready bool
	// RestartCount as the kubelet says it, never below 0.
	RestartCount int32
	State        State
	// Last is the end before the present state; nil where none is visible.
	Last *Terminated
	// RowStart is the number of ends before the present row of short runs
	// began. It is what detect.Advance remembers from one status to the next.
	RowStart int32
}

// Allotment is a pair of requests and limits.
type Allotment struct {
	Requests Resources
	Limits   Resources
}

// InForce is what the container really has: the status where it says, else the
// spec.
func (c *Container) InForce() Allotment {
	if c.Actual != nil {
		return *c.Actual
	}
	return Allotment{Requests: c.Requests, Limits: c.Limits}
}

// PullHeldBack begins what a kubelet says while it holds back a pull.
const PullHeldBack = "Back-off pulling image "

// StateKind is which of the three states a container is in.
type StateKind uint8

const (
	// Waiting is also the state of a container without a status.
	Waiting StateKind = iota
	// Running has a start time.
	Running
	// Ended has a Terminated.
	Ended
)

// State is the present state of a container.
type State struct {
	Kind StateKind
	// Reason of Waiting, for example CrashLoopBackOff.
	Reason string
	// Message of Waiting, where the reason is none of the ordinary ones of a
	// start; cut at 512 bytes. That of a failed pull is the cause alone, with its
	// middle cut out beyond 400 bytes; where it begins with PullHeldBack, the
	// kubelet said none.
	Message string
	// StartedAt of Running.
	StartedAt int64
	// Terminated of Ended, nil otherwise.
	Terminated *Terminated
}

// Terminated is one end of a container.
type Terminated struct {
	Reason      string
	ContainerID string
	ExitCode    int32
	StartedAt   int64
	FinishedAt  int64
}

// Lifetime is how long the attempt ran; false where the cluster does not say.
func (t *Terminated) Lifetime() (time.Duration, bool) {
	if t.StartedAt == 0 || t.FinishedAt < t.StartedAt {
		return 0, false
	}
	return time.Duration(t.FinishedAt-t.StartedAt) * time.Second, true
}

// LastAttempt is the number of the attempt whose end is in Last: restarts
// before it.
//
// While a container waits in back-off the kubelet reports the count of the
// attempt that has ended, and counts up only as the next one is created.
func (c *Container) LastAttempt() int32 {
	if c.State.Kind == Waiting {
		switch c.State.Reason {
		case "", "ContainerCreating", "PodInitializing":
		default:
			return c.RestartCount
		}
	}
	return max(c.RestartCount-1, 0)
}

// Ends is how many attempts have ended so far.
func (c *Container) Ends() int32 {
	switch {
	case c.State.Kind == Ended:
		return c.RestartCount + 1
	case c.Last != nil:
		return max(c.LastAttempt()+1, c.RestartCount)
	}
	return c.RestartCount
}
