package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// What Plan, Preconditions, Apply and Revert may find. They are wrapped with why.
var (
	// ErrUnsupported: this cannot be done to this object here, ever.
	ErrUnsupported = errors.New("cannot be done")
	// ErrRefused: the API server refuses it as it is asked for.
	ErrRefused = errors.New("refused by the API server")
	// ErrAlready: the object is as it is to become, or better.
	ErrAlready = errors.New("nothing to do")
	// ErrGone: the object of that UID is not there any more.
	ErrGone = errors.New("the object is gone, or another one has its name")
	// ErrChanged: the object changed meanwhile: look again.
	ErrChanged = errors.New("the object changed meanwhile")
	// ErrBusy: not now, for example for want of room in a disruption budget.
	ErrBusy = errors.New("not now")
	// ErrIrreversible: the effect cannot be taken back.
	ErrIrreversible = errors.New("cannot be taken back")
)

// Action is one kind of repair.
type Action interface {
	// Kind names it.
	Kind() v1alpha1.ActionKind
	// Rights lists what it takes in Kubernetes to do the same by oneself to a
	// workload of a kind: who asks for it has to have them.
	Rights(workloadKind string) []Right
	// Plan completes what is asked for and says what would come of it, without an
	// effect. Its errors wrap ErrUnsupported, ErrRefused, ErrAlready or ErrGone, or
	// are those of the API server.
	Plan(ctx context.Context, s *Subject) (*Draft, error)
	// Targets lists the objects that it is to be done to now: a pod each, or the
	// workload itself, which has no pod's name. The one that is most urgent comes
	// first.
	Targets(ctx context.Context, s *Subject) ([]Object, error)
	// Preconditions reads one object and returns the intent: what is to be set, and
	// the version that the write will insist on. Errors as those of Plan.
	Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error)
	// Apply makes the one write that a recorded intent stands for, and notes in it
	// what Verify will need. Its errors wrap ErrChanged, ErrGone, ErrRefused or
	// ErrBusy where the write was certainly not made; after any other nobody knows.
	Apply(ctx context.Context, s *Subject, intent *v1alpha1.Target) error
	// ReadBack says whether the write of an intent was made, from the live object. It
	// is ErrChanged where that does not show any more.
	ReadBack(ctx context.Context, s *Subject, intent *v1alpha1.Target) (bool, error)
	// Verify looks at the live object after the write.
	Verify(ctx context.Context, s *Subject, done *v1alpha1.Target) (*Sight, error)
	// Revert takes one effect back, by a write with preconditions of its own. Its
	// errors wrap ErrIrreversible, ErrGone or ErrChanged.
	Revert(ctx context.Context, s *Subject, done *v1alpha1.Target) error
}

// Right is a verb on a resource, as Kubernetes' RBAC names them.
type Right struct{ Group, Resource, Verb string }

// Subject is what an action is done for.
type Subject struct {
	// Decision is the name of the Remediation; empty while it is planned.
	Decision  string
	Container string
	// Want is what is asked for.
	Want v1alpha1.RemediationAction
	// Workload is the live workload.
	Workload *kube.Workload
	// Pod and PodUID are what the cause is about; empty where it is about none.
	Pod, PodUID string
	// Record is the decision as the API shows it, for what hands it to somebody else;
	// nil while it is planned.
	Record *rightsizerv1.Remediation
	// Live is that pod where it was read a moment ago; nil is to be read.
	Live *corev1.Pod
	// Policy governs the workload.
	Policy *policy.Policy
}

// Manager is the field manager of the decision's effects.
func (s *Subject) Manager() string { return plan.Manager(s.Decision) }

// clamp is what the policy lets a container have of what is asked for. A size that
// follows another decision, which led to it in steps, is set at once.
func (s *Subject) clamp(from policy.Size) (policy.Size, []string) {
	to := towards(from, &s.Want)
	if s.Want.Parameters[ParameterFollows] != "" {
		return s.Policy.Hold(s.Container, from, to)
	}
	return s.Policy.Clamp(s.Container, from, to)
}

// Object is a pod of the workload, or, without a pod's name, what else is written
// to.
type Object struct{ Pod, UID string }

// Draft is what an action would do.
type Draft struct {
	// Action is what was asked for, completed.
	Action v1alpha1.RemediationAction
	// Diff is the change as a JSON patch.
	Diff string
	// From and To are the container's sizes, equal where none changes; replicas
	// likewise.
	From, To                 policy.Size
	FromReplicas, ToReplicas int32
	// Owner names the tool that owns the manifest of what is written to, where that
	// is not the workload; empty for none. Nil is the workload's own.
	Owner *string
	// Restarts is how many pods the first effect restarts, evicts or replaces,
	// RestartsReady how many of these are ready.
	Restarts, RestartsReady int32
	// Notes are what was found on the way, for a person.
	Notes []string
	// First is the intent for the most urgent object, where planning has read it
	// already.
	First *v1alpha1.Target
}

// Stage is how far an effect has come.
type Stage int

// The stages.
const (
	// Settled: the effect is in force.
	Settled Stage = iota
	// Under way, nothing is wrong.
	Underway
	// Deferred: the node has no room now, the kubelet tries again.
	Deferred
	// Infeasible: never on this node.
	Infeasible
	// Erred: the kubelet tried and failed; it tries again.
	Erred
	// Gone: the object is not there any more.
	Gone
	// Undone: somebody else has changed it since.
	Undone
)

// Sight is what the live object shows.
type Sight struct {
	Stage Stage
	// Message is the cluster's own words, where it says something.
	Message string
	// Ready says that the pod, or all of the workload, is ready.
	Ready bool
	// Started is when the container started last; zero while it waits to be started
	// again, and where the object is no pod.
	Started time.Time
	// Ends is how often the container has ended so far; 0 where the object is no
	// pod.
	Ends int32
	// LastOOM is when it was last OOM-killed, as far as its status shows.
	LastOOM time.Time
}

// Set is every action, in order.
type Set struct {
	list   []Action
	byKind map[v1alpha1.ActionKind]Action
}

// NewSet makes a Set. Two actions of one kind are an error, as is a kind that the
// API would not take.
func NewSet(actions ...Action) (*Set, error) {
	s := &Set{byKind: map[v1alpha1.ActionKind]Action{}}
	for _, a := range actions {
		kind := a.Kind()
		if _, twice := s.byKind[kind]; twice {
			return nil, fmt.Errorf("action %q is there twice", kind)
		}
		if !wellNamed(string(kind)) {
			return nil, fmt.Errorf("action %q: a kind is at most 64 lower-case letters, digits and underscores, and begins with a letter", kind)
		}
		s.byKind[kind] = a
		s.list = append(s.list, a)
	}
	return s, nil
}

func wellNamed(kind string) bool {
	if kind == "" || len(kind) > 64 || kind[0] < 'a' || kind[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(kind, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// Get returns the action of a kind.
func (s *Set) Get(kind v1alpha1.ActionKind) (Action, bool) {
	a, ok := s.byKind[kind]
	return a, ok
}

// Kinds lists the kinds in order.
func (s *Set) Kinds() []v1alpha1.ActionKind {
	out := make([]v1alpha1.ActionKind, len(s.list))
	for i, a := range s.list {
		out[i] = a.Kind()
	}
	return slices.Clip(out)
}
