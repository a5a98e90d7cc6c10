package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// RestartPod evicts one pod, so that its controller makes another one in its
// place. It goes through the eviction API, which holds to disruption budgets.
type RestartPod struct {
	Client *kube.Client
}

// ParameterPodUID is the UID of the pod that an action is for: Plan fills it in, so
// that a decision, and an approval, is never about another pod of that name.
const ParameterPodUID = "pod_uid"

// Notes of a restart.
const (
	// noteNewest is when the newest pod of the workload was made, as the API server
	// tells the time: what is newer has come after the eviction.
	noteNewest = "newest"
	// noteReplacement is the UID of the pod that came in place of the evicted one.
	noteReplacement = "replacement"
)

// Kind implements Action.
func (*RestartPod) Kind() v1alpha1.ActionKind { return v1alpha1.ActionRestartPod }

// Rights implements Action.
func (*RestartPod) Rights(string) []Right {
	return []Right{{Resource: "pods/eviction", Verb: "create"}}
}

// Plan implements Action. A dry run of the eviction is its evidence; a disruption
// budget without room is not an error of the plan, since it may have room later.
func (a *RestartPod) Plan(ctx context.Context, s *Subject) (*Draft, error) {
	pod, err := a.chosen(ctx, s)
	if err != nil {
		return nil, err
	}
	t, err := a.intend(ctx, s, pod)
	if err != nil {
		return nil, err
	}
	d := &Draft{Action: *s.Want.DeepCopy(), Diff: encoded([]operation{{"test", "/metadata/uid", string(pod.UID)}, {Op: "remove"}}), Restarts: 1, First: t}
	d.RestartsReady = int32(t.Before.Number(v1alpha1.NoteDisruptsReady))
	if d.Action.Parameters == nil {
		d.Action.Parameters = map[string]v1alpha1.ParameterValue{}
	}
	d.Action.Parameters[ParameterPod] = v1alpha1.ParameterValue(pod.Name)
	d.Action.Parameters[ParameterPodUID] = v1alpha1.ParameterValue(pod.UID)
	err = a.evict(ctx, s, t, kube.Write{Manager: "rightsizer", DryRun: true})
	switch {
	case errors.Is(err, ErrBusy):
		d.Notes = append(d.Notes, "the API server does not take the eviction now: "+err.Error())
	case errors.Is(err, ErrChanged): // it changes all the time; what is written is planned again
	case err != nil:
		return nil, err
	default:
		d.Notes = append(d.Notes, "the API server takes the eviction: server-side dry run")
	}
	return d, nil
}

// chosen is the pod to restart.
func (a *RestartPod) chosen(ctx context.Context, s *Subject) (*corev1.Pod, error) {
	name, uid := string(s.Want.Parameters[ParameterPod]), string(s.Want.Parameters[ParameterPodUID])
	if name == "" {
		name = s.Pod
	}
	if uid == "" {
		uid = s.PodUID
	}
	if name == "" {
		return nil, because(ErrUnsupported, "which pod to restart is not said: parameters.%s must name it", ParameterPod)
	}
	pod, err := belonging(ctx, a.Client, s.Workload, name, uid)
	if err != nil {
		return nil, err
	}
	if _, ok := find(&pod.Spec, s.Container); !ok && s.Container != "" {
		return nil, because(ErrUnsupported, "pod %s has no container %q", name, s.Container)
	}
	return pod, a.replaced(s.Workload, pod)
}

// replaced checks that another pod comes in place of one that is evicted.
func (*RestartPod) replaced(w *kube.Workload, pod *corev1.Pod) error {
	switch {
	case !alive(pod):
		return because(ErrGone, "pod %s has ended or is being deleted", pod.Name)
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return because(ErrUnsupported, "pod %s is a static pod: its node makes it, not the API server", pod.Name)
	}
	switch w.Kind {
	case "Pod":
		return because(ErrUnsupported, "pod %s has no controller: it would not come back", pod.Name)
	case "Job", "CronJob":
		return because(ErrUnsupported, "pod %s belongs to a run of %s, which would count it as failed", pod.Name, w)
	}
	return nil
}

// intend is the intent to evict a pod.
func (a *RestartPod) intend(ctx context.Context, s *Subject, pod *corev1.Pod) (*v1alpha1.Target, error) {
	pods, err := a.Client.Pods(ctx, s.Workload)
	if err != nil {
		return nil, Judge(err)
	}
	newest := pod.CreationTimestamp.Time
	for i := range pods {
		if made := pods[i].CreationTimestamp.Time; made.After(newest) {
			newest = made
		}
	}
	t := &v1alpha1.Target{
		Pod: pod.Name, UID: string(pod.UID), ResourceVersion: pod.ResourceVersion, Result: v1alpha1.TargetIntended,
		Before: &v1alpha1.TargetValues{}, Desired: &v1alpha1.TargetValues{},
	}
	SetDisrupts(t, 1, 0)
	if isReady(pod) {
		SetDisrupts(t, 1, 1)
	}
	t.Before.SetNumber(noteNewest, newest.Unix())
	SetEnds(t, 0)
	return t, nil
}

// Targets implements Action: the one pod.
func (a *RestartPod) Targets(ctx context.Context, s *Subject) ([]Object, error) {
	pod, err := a.chosen(ctx, s)
	switch {
	case errors.Is(err, ErrGone):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []Object{{Pod: pod.Name, UID: string(pod.UID)}}, nil
}

// Preconditions implements Action.
func (a *RestartPod) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	pod, err := belonging(ctx, a.Client, s.Workload, o.Pod, o.UID)
	if err != nil {
		return nil, err
	}
	if err := a.replaced(s.Workload, pod); err != nil {
		return nil, err
	}
	return a.intend(ctx, s, pod)
}

// Apply implements Action.
func (a *RestartPod) Apply(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	return a.evict(ctx, s, t, kube.Write{Manager: s.Manager()})
}

func (a *RestartPod) evict(ctx context.Context, s *Subject, t *v1alpha1.Target, w kube.Write) error {
	err := a.Client.EvictPod(ctx, s.Workload.Namespace, t.Pod, t.UID, t.ResourceVersion, w)
	if err != nil && strings.Contains(err.Error(), "more than one PodDisruptionBudget") { // which the API tells as an internal error
		return because(ErrUnsupported, "more than one disruption budget covers pod %s, and then none can be held to", t.Pod)
	}
	return Judge(err)
}

// ReadBack implements Action. An eviction leaves nothing behind but a pod that is
// gone, or going.
func (a *RestartPod) ReadBack(ctx context.Context, s *Subject, t *v1alpha1.Target) (bool, error) {
	pod, err := a.Client.Pod(ctx, s.Workload.Namespace, t.Pod)
	if err = Judge(err); errors.Is(err, ErrGone) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return string(pod.UID) != t.UID || pod.DeletionTimestamp != nil, nil
}

// Verify implements Action: the pod is gone, and the one in its place is ready.
func (a *RestartPod) Verify(ctx context.Context, s *Subject, t *v1alpha1.Target) (*Sight, error) {
	pods, err := a.Client.Pods(ctx, s.Workload)
	if err != nil {
		return nil, Judge(err)
	}
	others := int32(0)
	for i := range pods {
		switch pod := &pods[i]; {
		case string(pod.UID) == t.UID:
			return &Sight{Stage: Underway, Message: "pod " + pod.Name + " is not gone yet"}, nil
		case alive(pod):
			others++
		}
	}
	pod := a.replacement(pods, t)
	switch {
	case pod == nil && others >= s.Workload.Replicas:
		return &Sight{Stage: Gone, Message: fmt.Sprintf("%s has the %d pods that it wants: none is needed in its place", s.Workload, s.Workload.Replicas)}, nil
	case pod == nil:
		return &Sight{Stage: Underway, Message: "there is no pod in its place yet"}, nil
	}
	out := &Sight{Stage: Settled, Ready: isReady(pod)}
	out.Ends, out.LastOOM = life(pod, s.Container)
	if t.Desired.Note(noteReplacement) == string(pod.UID) {
		return out, nil
	}
	if !out.Ready {
		return &Sight{Stage: Underway, Message: "pod " + pod.Name + ", which came in its place, is not ready yet"}, nil
	}
	t.Desired.SetNote(noteReplacement, string(pod.UID))
	SetEnds(t, out.Ends)
	return out, nil
}

// replacement is the pod that came in place of the evicted one: the one that is
// known already, or that has its name, or the first that came after it.
func (*RestartPod) replacement(pods []corev1.Pod, t *v1alpha1.Target) *corev1.Pod {
	known, newest := t.Desired.Note(noteReplacement), time.Unix(t.Before.Number(noteNewest), 0)
	var found *corev1.Pod
	for i := range pods {
		pod := &pods[i]
		switch {
		case !alive(pod):
		case string(pod.UID) == known, pod.Name == t.Pod:
			return pod
		case pod.CreationTimestamp.After(newest) && (found == nil || pod.CreationTimestamp.Before(&found.CreationTimestamp)):
			found = pod
		}
	}
	return found
}

// Revert implements Action.
func (*RestartPod) Revert(context.Context, *Subject, *v1alpha1.Target) error {
	return because(ErrIrreversible, "a pod that was evicted does not come back")
}
