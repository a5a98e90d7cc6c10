package convert

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	kindApp       = rightsizerv1.ContainerKind_CONTAINER_KIND_APP
	kindInit      = rightsizerv1.ContainerKind_CONTAINER_KIND_INIT
	kindSidecar   = rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR
	kindEphemeral = rightsizerv1.ContainerKind_CONTAINER_KIND_EPHEMERAL
)

// Converter converts objects and shares the strings that they have in common.
type Converter struct {
	// NodeGroupLabel is the label of nodes that becomes object.Node.Group; empty
	// is none. Set it before the first conversion.
	NodeGroupLabel string

	strings *interner
	owners  *ownerTable
}

// New returns a Converter with empty tables.
func New() *Converter {
	return &Converter{strings: newInterner(), owners: newOwnerTable()}
}

// Pod converts one pod. It fails where the pod's name, namespace, UID or a
// container's name is missing or longer than the API allows.
func (c *Converter) Pod(pod *corev1.Pod) (*object.Pod, error) {
	if pod == nil {
		return nil, errNil
	}
	if err := identity("Pod", pod.Namespace, pod.Name, pod.UID, true); err != nil {
		return nil, err
	}
	out := &object.Pod{
		Key:          object.Key{Namespace: c.strings.of(pod.Namespace), Name: pod.Name},
		UID:          string(pod.UID),
		StaticUID:    c.text(pod.Annotations[corev1.MirrorPodAnnotationKey], maxName),
		Node:         c.text(pod.Spec.NodeName, maxName),
		Owner:        c.controllerOf(pod.OwnerReferences),
		TemplateHash: c.text(pod.Labels["pod-template-hash"], maxLabel),
		AppName:      c.text(pod.Labels["app.kubernetes.io/name"], maxLabel),
		App:          c.text(pod.Labels["app"], maxLabel),
		Phase:        c.text(string(pod.Status.Phase), maxPhase),
		QoS:          c.text(string(pod.Status.QOSClass), maxPhase),
		Deleting:     pod.DeletionTimestamp != nil,
		CreateTime:   seconds(pod.CreationTimestamp),
	}
	out.Revision = c.revision(pod, out)
	out.Generation = max(pod.Generation, 0)
	c.conditions(pod, out)
	containers, err := c.containers(pod)
	if err != nil {
		return nil, fmt.Errorf("Pod %q: %w", out.Key, err)
	}
	out.Containers = containers
	out.Requests = podRequests(pod, containers)
	out.Limits = podLimits(containers)
	return out, nil
}

// conditions reads what the status says of the pod as a whole.
func (c *Converter) conditions(pod *corev1.Pod, out *object.Pod) {
	if pod.Status.Reason != "" {
		trouble(out).Reason = c.text(pod.Status.Reason, maxReason)
		trouble(out).Message = Text(pod.Status.Message, maxEvidence)
	}
	for i := range pod.Status.Conditions {
		cond := &pod.Status.Conditions[i]
		holds := cond.Status == corev1.ConditionTrue
		switch cond.Type {
		case corev1.PodReady:
			out.Ready = holds
		case corev1.PodScheduled:
			if holds {
				out.BindTime = seconds(cond.LastTransitionTime)
			}
			if cond.Status == corev1.ConditionFalse {
				trouble(out).Unscheduled = c.condition(cond)
				out.Trouble.Unscheduled.Told = ownedSince(pod.ManagedFields, string(corev1.PodScheduled))
			}
		case corev1.DisruptionTarget:
			if holds {
				trouble(out).Disruption = c.condition(cond)
			}
		case corev1.PodResizePending:
			if holds {
				trouble(out).ResizePending = c.condition(cond)
			}
		case corev1.PodResizeInProgress:
			if holds {
				trouble(out).ResizeInProgress = c.condition(cond)
			}
		default:
		}
	}
}

// trouble is made where there is some.
func trouble(pod *object.Pod) *object.Trouble {
	if pod.Trouble == nil {
		pod.Trouble = &object.Trouble{}
	}
	return pod.Trouble
}

func (c *Converter) condition(cond *corev1.PodCondition) *object.Condition {
	return &object.Condition{
		Reason:     c.text(cond.Reason, maxReason),
		Message:    Text(cond.Message, maxVerdict),
		Since:      seconds(cond.LastTransitionTime),
		Generation: max(cond.ObservedGeneration, 0),
	}
}

// revision: see object.Pod.Revision.
func (c *Converter) revision(pod *corev1.Pod, out *object.Pod) string {
	switch {
	case out.TemplateHash != "":
		return out.TemplateHash
	case pod.Labels["controller-revision-hash"] != "":
		return c.text(pod.Labels["controller-revision-hash"], maxLabel)
	case out.Owner != nil:
		return out.Owner.UID
	}
	return out.UID
}

func (c *Converter) containers(pod *corev1.Pod) ([]object.Container, error) {
	spec := &pod.Spec
	total := len(spec.InitContainers) + len(spec.Containers) + len(spec.EphemeralContainers)
	if total > object.MaxContainers {
		return nil, fmt.Errorf("%d containers, at most %d are understood", total, object.MaxContainers)
	}
	out := make([]object.Container, 0, total)
	add := func(kind rightsizerv1.ContainerKind, spec *corev1.Container) error {
		if err := name("container name", spec.Name, maxContainer); err != nil {
			return err
		}
		out = append(out, c.container(pod, kind, spec))
		return nil
	}
	for i := range spec.InitContainers {
		kind := kindInit
		if p := spec.InitContainers[i].RestartPolicy; p != nil && *p == corev1.ContainerRestartPolicyAlways {
			kind = kindSidecar
		}
		if err := add(kind, &spec.InitContainers[i]); err != nil {
			return nil, err
		}
	}
	for i := range spec.Containers {
		if err := add(kindApp, &spec.Containers[i]); err != nil {
			return nil, err
		}
	}
	for i := range spec.EphemeralContainers {
		common := corev1.Container(spec.EphemeralContainers[i].EphemeralContainerCommon)
		if err := add(kindEphemeral, &common); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *Converter) container(pod *corev1.Pod, kind rightsizerv1.ContainerKind, spec *corev1.Container) object.Container {
	out := object.Container{
		Name:     c.strings.of(spec.Name),
		Image:    c.text(spec.Image, maxImage),
		Kind:     kind,
		Restart:  restartPolicy(pod, kind, spec),
		Requests: amounts(spec.Resources.Requests),
		Limits:   amounts(spec.Resources.Limits),
	}
	out.RestartCodes = restartCodes(kind, spec)
	out.RestartCPU, out.RestartMemory = restarts(spec)
	out.Runtime = runtimeOf(spec)
	status := statusOf(pod, &out)
	if status == nil {
		return out
	}
	out.Actual = allotment(&out, status)
	out.Ready = status.Ready
	out.RestartCount = max(status.RestartCount, 0)
	out.State = c.state(&status.State)
	out.Last = c.terminated(status.LastTerminationState.Terminated)
	return out
}

func restartPolicy(pod *corev1.Pod, kind rightsizerv1.ContainerKind, spec *corev1.Container) object.RestartPolicy {
	if kind == kindEphemeral {
		return object.RestartNever
	}
	// Containers may have a policy of their own since Kubernetes 1.34.
	policy := string(pod.Spec.RestartPolicy)
	if spec.RestartPolicy != nil {
		policy = string(*spec.RestartPolicy)
	}
	switch policy {
	case string(corev1.RestartPolicyNever):
		return object.RestartNever
	case string(corev1.RestartPolicyOnFailure):
		return object.RestartOnFailure
	}
	if kind == kindInit {
		return object.RestartOnFailure
	}
	return object.RestartAlways
}

// restartCodes: the first rule that is for an exit code holds, beside a policy of
// the container's own. Both actions restart it, the second all others as well,
// and an init container that succeeded only by the second.
//
// Source: ContainerShouldRestart, ShouldAllContainersRestart and
// computeInitContainerActions in kubelet.
func restartCodes(kind rightsizerv1.ContainerKind, spec *corev1.Container) *object.ExitCodes {
	if kind == kindEphemeral || spec.RestartPolicy == nil {
		return nil
	}
	var out, decided object.ExitCodes
	for i := range spec.RestartPolicyRules {
		rule := &spec.RestartPolicyRules[i]
		met := metBy(rule.ExitCodes)
		var never object.ExitCodes
		switch rule.Action {
		case corev1.ContainerRestartRuleActionRestart:
			if kind == kindInit {
				never.Add(0)
			}
		case corev1.ContainerRestartRuleActionRestartAllContainers:
		default:
			never = met
		}
		for word := range met {
			out[word] |= met[word] &^ decided[word] &^ never[word]
			decided[word] |= met[word]
		}
	}
	if out == (object.ExitCodes{}) {
		return nil
	}
	return &out
}

// metBy are the exit codes that a rule is for.
func metBy(when *corev1.ContainerRestartRuleOnExitCodes) object.ExitCodes {
	var out object.ExitCodes
	if when == nil {
		return out
	}
	for _, code := range when.Values {
		out.Add(code)
	}
	switch when.Operator {
	case corev1.ContainerRestartRuleOnExitCodesOpIn:
	case corev1.ContainerRestartRuleOnExitCodesOpNotIn:
		for word := range out {
			out[word] = ^out[word]
		}
	default:
		return object.ExitCodes{}
	}
	return out
}

// statusOf finds a container's status in the list of its kind; nil where the
// kubelet has not reported any.
func statusOf(pod *corev1.Pod, c *object.Container) *corev1.ContainerStatus {
	list := pod.Status.ContainerStatuses
	switch c.Kind {
	case kindInit, kindSidecar:
		list = pod.Status.InitContainerStatuses
	case kindEphemeral:
		list = pod.Status.EphemeralContainerStatuses
	default:
	}
	for i := range list {
		if list[i].Name == c.Name {
			return &list[i]
		}
	}
	return nil
}

// state reads the present state. Should a broken client have set several, the
// end wins, for it is what must not be lost.
func (c *Converter) state(s *corev1.ContainerState) object.State {
	switch {
	case s.Terminated != nil:
		return object.State{Kind: object.Ended, Terminated: c.terminated(s.Terminated)}
	case s.Running != nil:
		return object.State{Kind: object.Running, StartedAt: seconds(s.Running.StartedAt)}
	case s.Waiting != nil:
		out := object.State{Kind: object.Waiting, Reason: c.text(s.Waiting.Reason, maxReason)}
		switch out.Reason {
		case "", "ContainerCreating", "PodInitializing", "CrashLoopBackOff":
		case "ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed", "ImagePullBackOff":
			out.Message = ends(pullCause(s.Waiting.Message), maxCause)
		default:
			out.Message = Text(s.Waiting.Message, maxEvidence)
		}
		return out
	}
	return object.State{}
}

// pullCause is the message of a failed pull without what a kubelet puts before it
// while it holds back the next: `Back-off pulling image "web": ErrImagePull: ...`,
// so that both say the same. Kubelets before 1.32 repeat no cause.
//
// Source: imageManager.pullImage in kubelet.
func pullCause(message string) string {
	if rest, ok := strings.CutPrefix(message, object.PullHeldBack); ok {
		if _, said, ok := strings.Cut(rest, `": `); ok {
			if _, cause, ok := strings.Cut(said, ": "); ok {
				return cause
			}
		}
	}
	return message
}

func (c *Converter) terminated(t *corev1.ContainerStateTerminated) *object.Terminated {
	if t == nil {
		return nil
	}
	return &object.Terminated{
		Reason:      c.text(t.Reason, maxReason),
		ContainerID: Text(t.ContainerID, maxName),
		ExitCode:    exitCode(t.ExitCode),
		StartedAt:   seconds(t.StartedAt),
		FinishedAt:  seconds(t.FinishedAt),
	}
}

// exitCode keeps to the schema's -1 to 255; Windows has codes outside it.
func exitCode(code int32) int32 {
	if code < -1 || code > 255 {
		return -1
	}
	return code
}

// text cuts, cleans and shares.
func (c *Converter) text(s string, limit int) string {
	return c.strings.of(Text(s, limit))
}

// lastSecond is the end of the year 9999, the last that a Timestamp can hold.
const lastSecond = 253402300799

// seconds is 0 for times that are unset or before 1970, which no cluster means.
func seconds(t metav1.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return min(max(t.Unix(), 0), lastSecond)
}
