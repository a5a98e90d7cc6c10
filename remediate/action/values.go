package action

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// sizeOf reads what a container asks for and may use.
func sizeOf(r *corev1.ResourceRequirements) policy.Size {
	return policy.Size{Requests: amounts(r.Requests), Limits: amounts(r.Limits)}
}

func amounts(list corev1.ResourceList) policy.Amounts {
	var out policy.Amounts
	if q, ok := list[corev1.ResourceCPU]; ok {
		out.CPUMillis = q.MilliValue()
	}
	if q, ok := list[corev1.ResourceMemory]; ok {
		out.MemoryBytes = q.Value()
	}
	return out
}

// wanted lays what is asked for over what there is.
func wanted(current policy.Size, want *v1alpha1.RemediationAction) policy.Size {
	lay := func(to *policy.Amounts, r *v1alpha1.Resources) {
		over := policy.FromResources(r)
		if over.CPUMillis > 0 {
			to.CPUMillis = over.CPUMillis
		}
		if over.MemoryBytes > 0 {
			to.MemoryBytes = over.MemoryBytes
		}
	}
	out := current
	lay(&out.Requests, want.Requests)
	lay(&out.Limits, want.Limits)
	return out
}

// setTo writes a size into an action: what changes alone.
func setTo(a *v1alpha1.RemediationAction, from, to policy.Size) {
	a.Requests, a.Limits = changed(from.Requests, to.Requests).Resources(), changed(from.Limits, to.Limits).Resources()
}

func changed(from, to policy.Amounts) policy.Amounts {
	var out policy.Amounts
	if from.CPUMillis != to.CPUMillis {
		out.CPUMillis = to.CPUMillis
	}
	if from.MemoryBytes != to.MemoryBytes {
		out.MemoryBytes = to.MemoryBytes
	}
	return out
}

// valuesOf writes a size as the values of a target.
func valuesOf(s policy.Size) *v1alpha1.TargetValues {
	return &v1alpha1.TargetValues{Requests: s.Requests.Resources(), Limits: s.Limits.Resources()}
}

func sizeIn(v *v1alpha1.TargetValues) policy.Size {
	if v == nil {
		return policy.Size{}
	}
	return policy.Size{Requests: policy.FromResources(v.Requests), Limits: policy.FromResources(v.Limits)}
}

// noteList is the list of a pod's spec in which a sidecar is, kept in
// TargetValues.Other.
const noteList = "list"

// Names of the numbers that are kept in TargetValues.Other.
const (
	numberEnds       = "ends"
	numberGeneration = "generation"
	numberFields     = "fields"
	numberRunning    = "running"
)

// SetEnds notes how often the container had ended as the effect was in force.
func SetEnds(t *v1alpha1.Target, ends int32) {
	if t.Before == nil {
		t.Before = &v1alpha1.TargetValues{}
	}
	t.Before.SetNumber(numberEnds, int64(ends))
}

// Ends reads it.
func Ends(t *v1alpha1.Target) int32 { return int32(t.Before.Number(numberEnds)) }

// SetDisrupts notes how many pods an effect disrupts, and how many of these are
// ready.
func SetDisrupts(t *v1alpha1.Target, pods, ready int32) {
	if t.Before == nil {
		t.Before = &v1alpha1.TargetValues{}
	}
	t.Before.SetNumber(v1alpha1.NoteDisrupts, int64(pods))
	t.Before.SetNumber(v1alpha1.NoteDisruptsReady, int64(ready))
}

// Disrupts reads both.
func Disrupts(t *v1alpha1.Target) (pods, ready int32) {
	return int32(t.Before.Number(v1alpha1.NoteDisrupts)), int32(t.Before.Number(v1alpha1.NoteDisruptsReady))
}

// operation is one operation of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// sizeDiff is a change of size as a JSON patch on the resources at path: what was
// there before is what its tests want.
func sizeDiff(path string, from, to policy.Size) string {
	ops := []operation{}
	change := func(place string, was, will corev1.ResourceList) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			before, after, at := was[name], will[name], path+"/resources/"+place+"/"+string(name)
			switch {
			case before.Equal(after):
			case before.IsZero():
				ops = append(ops, operation{"add", at, after.String()})
			default:
				ops = append(ops, operation{"test", at, before.String()}, operation{"replace", at, after.String()})
			}
		}
	}
	change("requests", list(from.Requests), list(to.Requests))
	change("limits", list(from.Limits), list(to.Limits))
	return encoded(ops)
}

func encoded(ops []operation) string {
	raw, err := json.Marshal(ops)
	if err != nil {
		return "[]" // strings and numbers encode
	}
	return string(raw)
}

// list writes amounts as the API does.
func list(a policy.Amounts) corev1.ResourceList {
	out := corev1.ResourceList{}
	r := a.Resources()
	if r == nil {
		return out
	}
	if r.CPU != nil {
		out[corev1.ResourceCPU] = *r.CPU
	}
	if r.Memory != nil {
		out[corev1.ResourceMemory] = *r.Memory
	}
	return out
}

// resourcesPatch is the part of a strategic merge patch that sets a size: what is
// not set is left as it is.
func resourcesPatch(to policy.Size) map[string]any {
	out := map[string]any{}
	if l := list(to.Requests); len(l) > 0 {
		out["requests"] = l
	}
	if l := list(to.Limits); len(l) > 0 {
		out["limits"] = l
	}
	return out
}

// encode writes a patch.
func encode(patch map[string]any) ([]byte, error) {
	raw, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return raw, nil
}

// WroteBy says whether a manager has written to an object, under a subresource
// where one is named.
func WroteBy(fields []metav1.ManagedFieldsEntry, manager string) bool {
	for i := range fields {
		if fields[i].Manager == manager {
			return true
		}
	}
	return false
}

// SizesOf is what an effect changes: the container's size before and after.
func SizesOf(t *v1alpha1.Target) (from, to policy.Size) { return sizeIn(t.Before), sizeIn(t.Desired) }

// ReplicasOf is the same for replicas.
func ReplicasOf(t *v1alpha1.Target) (from, to int32) {
	read := func(v *v1alpha1.TargetValues) int32 {
		if v == nil || v.Replicas == nil {
			return 0
		}
		return *v.Replicas
	}
	from, to = read(t.Before), read(t.Desired)
	if running := t.Before.Number(numberRunning); running > 0 {
		from = int32(running) // a bound was moved
	}
	return from, to
}

// Parameters of actions.
const (
	// ParameterPod names the pod that an action is for, where it is for one.
	ParameterPod = "pod"
	// ParameterFollows names the decision whose cure an action makes last. It is the
	// operator's own to set.
	ParameterFollows = "follows"
	// ParameterExports is the kind of the action that an export stands for.
	ParameterExports = "exports"
	// ParameterWebhook names the policy's webhook that is called.
	ParameterWebhook = "webhook"
)
