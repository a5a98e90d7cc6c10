package kubetest

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Write is a write that was accepted, dry runs aside.
type Write struct {
	// Verb is create, update, patch, delete or evict; Resource such as pods/resize.
	Verb, Resource, Namespace, Name string
	// Manager is the field manager.
	Manager string
	// By numbers the client.
	By int
}

// API is the server. Make it with New.
type API struct {
	mu           sync.Mutex
	version      int
	clients      int
	pods         map[key]*corev1.Pod
	workloads    map[place]Workload
	nodes        []corev1.Node
	quotas       []corev1.ResourceQuota
	limitRanges  []corev1.LimitRange
	short        map[string]string   // why kubelets do not put a resize into force, by node
	seen         map[types.UID]int64 // generations that controllers have seen
	made         int                 // highest number of a pod
	used         map[key]int         // how often a pod had a name
	full         bool                // disruption budgets
	unready      bool                // replacements
	throttled    bool
	autoscalers  map[key]*autoscalingv2.HorizontalPodAutoscaler
	remediations map[key]*v1alpha1.Remediation
	changes      []change // of Remediations, for watches
	changed      chan struct{}
	lags         bool // watches
	writes       []Write
	hook         func(Write, []*v1alpha1.Remediation)
	settle       bool // whether kubelets put a resize into force at once
}

type key struct{ namespace, name string }

// change is one change of a Remediation.
type change struct {
	version int
	kind    string // ADDED, MODIFIED, DELETED
	object  *v1alpha1.Remediation
}

// New makes a server whose kubelets put resizes into force at once, and whose
// controllers roll out at once.
func New() *API {
	return &API{
		version: 100, pods: map[key]*corev1.Pod{}, workloads: map[place]Workload{}, used: map[key]int{}, seen: map[types.UID]int64{}, short: map[string]string{},
		autoscalers:  map[key]*autoscalingv2.HorizontalPodAutoscaler{},
		remediations: map[key]*v1alpha1.Remediation{}, changed: make(chan struct{}), settle: true,
	}
}

// Hook is called with each write that is about to be judged and the Remediations of
// its namespace as they are then, while nothing else happens.
func (a *API) Hook(hook func(Write, []*v1alpha1.Remediation)) { a.locked(func() { a.hook = hook }) }

// Settle says whether kubelets put resizes into force, and controllers roll out,
// from now on.
func (a *API) Settle(now bool) { a.locked(func() { a.settle = now }) }

// PutNodes stores nodes. Pods that are stored from then on are on the first of them,
// pods that controllers make later on the last.
func (a *API) PutNodes(nodes ...corev1.Node) { a.locked(func() { a.nodes = nodes }) }

// PutQuota makes a quota with its use, of which nothing here takes account.
func (a *API) PutQuota(q corev1.ResourceQuota) { a.locked(func() { a.quotas = append(a.quotas, q) }) }

// PutLimitRange makes a LimitRange, which nothing here enforces.
func (a *API) PutLimitRange(l corev1.LimitRange) {
	a.locked(func() { a.limitRanges = append(a.limitRanges, l) })
}

// Lag says whether watches tell nothing from now on; what they kept back they tell
// with the next change.
func (a *API) Lag(on bool) { a.locked(func() { a.lags = on }) }

// Short says that the kubelet of a node does not put resizes into force from now on,
// with the reason of PodResizePending; empty ends it.
func (a *API) Short(node, reason string) { a.locked(func() { a.short[node] = reason }) }

// Throttle says whether the API server has no time for writes from now on, but for
// those of Remediations.
func (a *API) Throttle(on bool) { a.locked(func() { a.throttled = on }) }

// ThrottleMeanwhile begins to throttle from within a hook: after the write that it is
// called for.
func (a *API) ThrottleMeanwhile() { a.throttled = true }

func (a *API) locked(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
}

// next is the next resource version; a.mu is held.
func (a *API) next() string {
	a.version++
	return strconv.Itoa(a.version)
}

// Pod returns a copy of a pod, nil where there is none.
func (a *API) Pod(namespace, name string) *corev1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pods[key{namespace, name}].DeepCopy()
}

// ChangePod changes a pod as somebody else would; a pod that change returns nil
// for is gone.
func (a *API) ChangePod(namespace, name string, change func(*corev1.Pod) *corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changePod(namespace, name, change)
}

func (a *API) changePod(namespace, name string, change func(*corev1.Pod) *corev1.Pod) {
	k := key{namespace, name}
	if a.pods[k] == nil {
		return
	}
	pod := change(a.pods[k].DeepCopy())
	if pod == nil {
		delete(a.pods, k)
		return
	}
	pod.ResourceVersion = a.next()
	a.pods[k] = pod
}

// Meanwhile is ChangePod for a hook: between what somebody read and what he writes.
func (a *API) Meanwhile(namespace, name string, change func(*corev1.Pod) *corev1.Pod) {
	a.changePod(namespace, name, change)
}

// Remediations lists copies of all Remediations of a namespace.
func (a *API) Remediations(namespace string) []*v1alpha1.Remediation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.in(namespace)
}

func (a *API) in(namespace string) []*v1alpha1.Remediation {
	var out []*v1alpha1.Remediation
	for k, r := range a.remediations {
		if k.namespace == namespace {
			out = append(out, r.DeepCopy())
		}
	}
	return out
}

// ChangeRemediation changes a Remediation's status as somebody else would.
func (a *API) ChangeRemediation(namespace, name string, change func(*v1alpha1.RemediationStatus)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.remediations[key{namespace, name}].DeepCopy()
	change(&r.Status)
	a.store(r, "MODIFIED")
}

// store takes a Remediation and tells watches; a.mu is held.
func (a *API) store(r *v1alpha1.Remediation, kind string) {
	r.ResourceVersion = a.next()
	k := key{r.Namespace, r.Name}
	if kind == "DELETED" {
		delete(a.remediations, k)
	} else {
		a.remediations[k] = r
	}
	a.changes = append(a.changes, change{a.version, kind, r.DeepCopy()})
	close(a.changed)
	a.changed = make(chan struct{})
}

// Writes lists what was written so far.
func (a *API) Writes() []Write {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Write(nil), a.writes...)
}

// Effects lists the writes to workloads and pods.
func (a *API) Effects() []Write {
	var out []Write
	for _, w := range a.Writes() {
		if w.Resource != resourceRemediations && w.Resource != resourceStatus {
			out = append(out, w)
		}
	}
	return out
}

const (
	resourceRemediations = "remediations"
	resourceStatus       = "remediations/status"
)

// accept notes a write; a.mu is held.
func (a *API) accept(w Write) {
	a.writes = append(a.writes, w)
}

// announce calls the hook before a write is judged; a.mu is held.
func (a *API) announce(w Write) {
	if a.hook != nil {
		a.hook(w, a.in(w.Namespace))
	}
}

func notFound(resource, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
}

func conflict(resource, name, why string) error {
	return apierrors.NewConflict(schema.GroupResource{Resource: resource}, name, fmt.Errorf("%s", why))
}

func now() metav1.Time { return metav1.NewTime(time.Now()) }
