package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Versions of Kubernetes that matter here (KEP-1287).
const (
	// resizeSince: pods/resize is served and on by default.
	resizeSince = 33
	// shrinkSince: a memory limit may be lowered without a restart, if the kubelet
	// finds usage below it.
	shrinkSince = 34
)

// ResizeInPlace changes the resources of running containers through pods/resize.
type ResizeInPlace struct {
	Client *kube.Client
	// Minor is the server's minor version, 0 where it is not known yet.
	Minor func(ctx context.Context) (int, error)
}

// Kind implements Action.
func (*ResizeInPlace) Kind() v1alpha1.ActionKind { return v1alpha1.ActionResizeInPlace }

// Rights implements Action.
func (*ResizeInPlace) Rights(string) []Right {
	return []Right{{Resource: "pods/resize", Verb: "patch"}}
}

// Plan implements Action. It reads one pod, that of the cause or else the first
// one that is not yet as it is to become, and asks the server by a dry run.
func (a *ResizeInPlace) Plan(ctx context.Context, s *Subject) (*Draft, error) {
	pod, err := a.example(ctx, s)
	if err != nil {
		return nil, err
	}
	at, err := a.resizable(ctx, pod, s.Container)
	if err != nil {
		return nil, err
	}
	from := sizeOf(&at.spec.Resources)
	to, notes := s.clamp(from)
	if to, notes, err = a.fitting(ctx, s, pod, at, from, to, notes); err != nil {
		return nil, err
	}
	if class(&pod.Spec, s.Container, to) == plan.Guaranteed {
		notes = append(notes, "pod "+pod.Name+" is Guaranteed: a node with the static CPU or memory manager, which the API does not show, answers Infeasible")
	}
	d := &Draft{Action: s.Want, From: from, To: to, Notes: notes, First: intent(pod, at, from, to)}
	setTo(&d.Action, from, to)
	d.Diff = sizeDiff(fmt.Sprintf("/spec/%s/%d", at.list, at.index), from, to)
	d.Restarts, d.RestartsReady = Disrupts(d.First)
	return d, nil
}

// example is the pod that a plan is made for.
func (a *ResizeInPlace) example(ctx context.Context, s *Subject) (*corev1.Pod, error) {
	if s.Live != nil {
		return s.Live, nil
	}
	if s.Pod != "" {
		return belonging(ctx, a.Client, s.Workload, s.Pod, s.PodUID)
	}
	pods, err := Pods(ctx, a.Client, s.Workload)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		if at, ok := find(&pods[i].Spec, s.Container); ok && alive(&pods[i]) {
			if from := sizeOf(&at.spec.Resources); wanted(from, &s.Want) != from {
				return &pods[i], nil
			}
		}
	}
	return nil, because(ErrAlready, "no pod of %s has another size", s.Workload)
}

// resizable says whether a container can be resized in place at all.
func (a *ResizeInPlace) resizable(ctx context.Context, pod *corev1.Pod, container string) (place, error) {
	minor, err := a.Minor(ctx)
	if err != nil {
		return place{}, err
	}
	at, ok := find(&pod.Spec, container)
	switch {
	case minor < resizeSince:
		return at, because(ErrUnsupported, "resize in place needs Kubernetes 1.%d or later, this is 1.%d", resizeSince, minor)
	case !alive(pod):
		return at, because(ErrGone, "pod %s has ended or is being deleted", pod.Name)
	case !ok:
		return at, because(ErrUnsupported, "pod %s has no container %q that lasts", pod.Name, container)
	case at.list == "initContainers" && !at.sidecar:
		return at, because(ErrUnsupported, "container %q is an init container, which cannot be resized", container)
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return at, because(ErrUnsupported, "pod %s is a static pod, which cannot be resized", pod.Name)
	case pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows:
		return at, because(ErrUnsupported, "pod %s is a Windows pod, which cannot be resized", pod.Name)
	}
	return at, nil
}

// allowed checks what the API would refuse, so that the reason is told in our
// words.
func (a *ResizeInPlace) allowed(ctx context.Context, s *Subject, pod *corev1.Pod, at place, from, to policy.Size) error {
	if to == from {
		return because(ErrAlready, "it has that size already")
	}
	if before, after := class(&pod.Spec, s.Container, from), class(&pod.Spec, s.Container, to); before != after {
		return because(ErrUnsupported, "the QoS class would change from %s to %s, which is forbidden", before, after)
	}
	minor, err := a.Minor(ctx)
	if err != nil {
		return err
	}
	lowered := to.Limits.MemoryBytes < from.Limits.MemoryBytes
	if lowered && minor < shrinkSince && policyOf(at.spec, corev1.ResourceMemory) == corev1.NotRequired {
		return because(ErrUnsupported, "a memory limit is lowered without a restart only from Kubernetes 1.%d on", shrinkSince)
	}
	return nil
}

// fitting asks the server by a dry run whether it takes the size, and once more
// for a smaller step where a LimitRange or a quota is in the way, or where the node
// could never give it: that is looked up at the same time, since the killed
// container waits.
func (a *ResizeInPlace) fitting(ctx context.Context, s *Subject, pod *corev1.Pod, at place, from, to policy.Size, notes []string) (policy.Size, []string, error) {
	if err := a.allowed(ctx, s, pod, at, from, to); err != nil {
		return to, notes, noted(err, notes)
	}
	var (
		wg      sync.WaitGroup
		onNode  policy.Size
		why     string
		nodeErr error
	)
	wg.Go(func() { onNode, why, nodeErr = a.onNode(ctx, pod, at, from, to) })
	err := a.tryOut(ctx, pod, at, to)
	wg.Wait()
	switch {
	case nodeErr != nil:
		return to, notes, nodeErr
	case onNode == from:
		return to, notes, because(ErrUnsupported, "not on this node: %s", why)
	case onNode != to && a.allowed(ctx, s, pod, at, from, onNode) == nil:
		to, notes = onNode, append(notes, why)
		err = a.tryOut(ctx, pod, at, to)
	}
	if !errors.Is(err, ErrRefused) {
		return to, append(notes, "the API server takes it: server-side dry run"), err
	}
	smaller, why, boundErr := a.bounded(ctx, pod, at.spec.Name, from, to)
	if boundErr != nil || smaller == to || smaller == from {
		return to, notes, err
	}
	if again := a.allowed(ctx, s, pod, at, from, smaller); again != nil {
		return to, notes, err
	}
	if again := a.tryOut(ctx, pod, at, smaller); again != nil {
		return to, notes, again
	}
	return smaller, append(notes, why, "the API server takes the smaller step: server-side dry run"), nil
}

// tryOut is a dry run.
func (a *ResizeInPlace) tryOut(ctx context.Context, pod *corev1.Pod, at place, to policy.Size) error {
	return a.resize(ctx, pod.Namespace, pod.Name, patchOf(pod, at, to), kube.Write{Manager: "rightsizer", DryRun: true})
}

// noted adds to an error what was found before it.
func noted(err error, notes []string) error {
	if len(notes) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(notes, "; "))
}

// Targets implements Action: the pod of the cause first, then each other pod of
// the workload that has less than it is to get. One that would be restarted for
// it is left alone until it is itself the cause.
func (a *ResizeInPlace) Targets(ctx context.Context, s *Subject) ([]Object, error) {
	pods, err := Pods(ctx, a.Client, s.Workload)
	if err != nil {
		return nil, err
	}
	var out []Object
	for i := range pods {
		pod := &pods[i]
		at, ok := find(&pod.Spec, s.Container)
		if !ok || !alive(pod) || at.list == "initContainers" && !at.sidecar {
			continue
		}
		from := sizeOf(&at.spec.Resources)
		to := towards(from, &s.Want)
		own := string(pod.UID) == s.PodUID
		if to == from || restarts(at.spec, from, to) && !own {
			continue
		}
		o := Object{Pod: pod.Name, UID: string(pod.UID)}
		if own {
			out = slices.Insert(out, 0, o)
		} else {
			out = append(out, o)
		}
	}
	return out, nil
}

// towards is what a pod gets by a decision that was made for another one: where
// the decision raises, a pod that has more keeps it.
func towards(from policy.Size, want *v1alpha1.RemediationAction) policy.Size {
	to := wanted(from, want)
	if want.Parameters[ParameterDirection] == DirectionRaise {
		to.Requests.CPUMillis = max(to.Requests.CPUMillis, from.Requests.CPUMillis)
		to.Requests.MemoryBytes = max(to.Requests.MemoryBytes, from.Requests.MemoryBytes)
		to.Limits.CPUMillis = max(to.Limits.CPUMillis, from.Limits.CPUMillis)
		to.Limits.MemoryBytes = max(to.Limits.MemoryBytes, from.Limits.MemoryBytes)
	}
	return to
}

// ParameterDirection says of a resize that it only raises; set to DirectionRaise.
const (
	ParameterDirection = "direction"
	DirectionRaise     = "raise"
)

// Preconditions implements Action.
func (a *ResizeInPlace) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	pod, err := a.Client.Pod(ctx, s.Workload.Namespace, o.Pod)
	if err != nil {
		return nil, Judge(err)
	}
	if string(pod.UID) != o.UID {
		return nil, because(ErrGone, "pod %s is another one by now", o.Pod)
	}
	at, err := a.resizable(ctx, pod, s.Container)
	if err != nil {
		return nil, err
	}
	from := sizeOf(&at.spec.Resources)
	to := towards(from, &s.Want)
	if err := a.allowed(ctx, s, pod, at, from, to); err != nil {
		return nil, err
	}
	return intent(pod, at, from, to), nil
}

func intent(pod *corev1.Pod, at place, from, to policy.Size) *v1alpha1.Target {
	t := &v1alpha1.Target{
		Pod: pod.Name, UID: string(pod.UID), ResourceVersion: pod.ResourceVersion,
		Before: valuesOf(from), Desired: valuesOf(to), Result: v1alpha1.TargetIntended,
	}
	SetEnds(t, ends(statusOf(pod, at.spec.Name)))
	t.Before.SetNumber(numberGeneration, pod.Generation)
	if at.sidecar { // of the pod: an injected one is in no template
		t.Before.SetNote(noteList, at.list)
	}
	switch {
	case !restarts(at.spec, from, to):
	case isReady(pod):
		SetDisrupts(t, 1, 1)
	default:
		SetDisrupts(t, 1, 0)
	}
	return t
}

// Apply implements Action.
func (a *ResizeInPlace) Apply(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	list := cmp.Or(t.Before.Note(noteList), "containers")
	raw, err := encode(patchFor(t.UID, t.ResourceVersion, list, s.Container, sizeIn(t.Desired)))
	if err != nil {
		return err
	}
	after, err := a.Client.ResizePod(ctx, s.Workload.Namespace, t.Pod, raw, kube.Write{Manager: s.Manager()})
	if err != nil {
		return Judge(err)
	}
	t.Desired.SetNumber(numberGeneration, after.Generation)
	return nil
}

func patchOf(pod *corev1.Pod, at place, to policy.Size) map[string]any {
	return patchFor(string(pod.UID), pod.ResourceVersion, at.list, at.spec.Name, to)
}

func patchFor(uid, version, list, container string, to policy.Size) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"uid": uid, "resourceVersion": version},
		"spec":     map[string]any{list: []any{map[string]any{"name": container, "resources": resourcesPatch(to)}}},
	}
}

func (a *ResizeInPlace) resize(ctx context.Context, namespace, name string, patch map[string]any, w kube.Write) error {
	raw, err := encode(patch)
	if err != nil {
		return err
	}
	_, err = a.Client.ResizePod(ctx, namespace, name, raw, w)
	return Judge(err)
}

// ReadBack implements Action.
func (a *ResizeInPlace) ReadBack(ctx context.Context, s *Subject, t *v1alpha1.Target) (bool, error) {
	pod, err := a.Client.Pod(ctx, s.Workload.Namespace, t.Pod)
	if err != nil {
		return false, Judge(err)
	}
	if string(pod.UID) != t.UID {
		return false, because(ErrGone, "pod %s is another one by now", t.Pod)
	}
	if !WroteBy(pod.ManagedFields, s.Manager()) {
		if before := t.Before.Number(numberGeneration); before > 0 && pod.Generation > before {
			return false, because(ErrChanged, "pod %s has another spec than when its resize was intended: it may have been made, and taken back", t.Pod)
		}
		return false, nil
	}
	t.Desired.SetNumber(numberGeneration, pod.Generation)
	return true, nil
}

// Verify implements Action.
func (a *ResizeInPlace) Verify(ctx context.Context, s *Subject, t *v1alpha1.Target) (*Sight, error) {
	pod, err := a.Client.Pod(ctx, s.Workload.Namespace, t.Pod)
	if err != nil {
		if err = Judge(err); errors.Is(err, ErrGone) {
			return &Sight{Stage: Gone}, nil
		}
		return nil, err
	}
	if string(pod.UID) != t.UID || !alive(pod) {
		return &Sight{Stage: Gone}, nil
	}
	if at, ok := find(&pod.Spec, s.Container); ok && sizeOf(&at.spec.Resources) != sizeIn(t.Desired) {
		return &Sight{Stage: Undone, Message: "somebody else has changed the resources of pod " + t.Pod + " since"}, nil
	}
	status := statusOf(pod, s.Container)
	out := &Sight{Ready: isReady(pod), Started: started(status), Ends: ends(status), LastOOM: lastOOM(status)}
	out.Stage, out.Message = stageOf(pod, status, sizeIn(t.Desired), t.Desired.Number(numberGeneration))
	if out.Stage == Settled && !out.Ready && out.Started.IsZero() {
		out.Message = "in force; the container waits for the kubelet to start it again"
	}
	return out, nil
}

// stageOf is how far a resize has come. A condition is about it only where it was
// made for its generation or a later one.
func stageOf(pod *corev1.Pod, status *corev1.ContainerStatus, desired policy.Size, generation int64) (Stage, string) {
	about := func(c *corev1.PodCondition) bool {
		return c != nil && c.Status == corev1.ConditionTrue && (c.ObservedGeneration == 0 || c.ObservedGeneration >= generation)
	}
	if c := conditionOf(pod, corev1.PodResizePending); about(c) {
		if c.Reason == corev1.PodReasonInfeasible {
			return Infeasible, c.Message
		}
		return Deferred, c.Message
	}
	if c := conditionOf(pod, corev1.PodResizeInProgress); about(c) {
		if c.Reason == corev1.PodReasonError {
			return Erred, c.Message
		}
		return Underway, c.Message
	}
	if status == nil || status.Resources == nil {
		return Underway, "the kubelet does not show what is in force yet"
	}
	if pod.Status.ObservedGeneration != 0 && pod.Status.ObservedGeneration < generation {
		return Underway, "the kubelet has not seen it yet"
	}
	if actual := sizeOf(status.Resources); actual.Limits != desired.Limits || actual.Requests != desired.Requests {
		return Underway, "what is in force differs from what is wanted"
	}
	return Settled, ""
}

// Revert implements Action.
func (a *ResizeInPlace) Revert(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	pod, err := a.Client.Pod(ctx, s.Workload.Namespace, t.Pod)
	if err != nil {
		return Judge(err)
	}
	if string(pod.UID) != t.UID {
		return because(ErrGone, "pod %s is another one by now", t.Pod)
	}
	at, err := a.resizable(ctx, pod, s.Container)
	if err != nil {
		return err
	}
	switch sizeOf(&at.spec.Resources) {
	case sizeIn(t.Before): // by an earlier try
		return nil
	case sizeIn(t.Desired):
	default:
		return because(ErrChanged, "pod %s has another size by now", t.Pod)
	}
	return a.resize(ctx, pod.Namespace, pod.Name, patchOf(pod, at, sizeIn(t.Before)), kube.Write{Manager: s.Manager()})
}

// restarts says whether a change of size restarts the container: RestartContainer
// wins where both apply.
func restarts(c *corev1.Container, from, to policy.Size) bool {
	cpu := from.Requests.CPUMillis != to.Requests.CPUMillis || from.Limits.CPUMillis != to.Limits.CPUMillis
	memory := from.Requests.MemoryBytes != to.Requests.MemoryBytes || from.Limits.MemoryBytes != to.Limits.MemoryBytes
	return cpu && policyOf(c, corev1.ResourceCPU) == corev1.RestartContainer ||
		memory && policyOf(c, corev1.ResourceMemory) == corev1.RestartContainer
}

func policyOf(c *corev1.Container, name corev1.ResourceName) corev1.ResourceResizeRestartPolicy {
	for _, p := range c.ResizePolicy {
		if p.ResourceName == name {
			return p.RestartPolicy
		}
	}
	return corev1.NotRequired
}
