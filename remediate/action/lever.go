package action

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const (
	autoscalersGroup = "autoscaling"
	minReplicas      = "minReplicas"
)

// lever is the number that is moved to scale a workload: its own scale, or a bound
// of its autoscaler.
type lever struct {
	workload *kube.Workload
	hpa      *autoscalingv2.HorizontalPodAutoscaler
	which    string // of the autoscaler's bounds
	to       int32
}

// autoscaler is the one that decides on a workload's replicas; nil where none does.
func (a *Scale) autoscaler(ctx context.Context, w *kube.Workload) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	all, err := a.Client.Autoscalers(ctx, w.Namespace)
	if err != nil {
		return nil, Judge(err)
	}
	var found *autoscalingv2.HorizontalPodAutoscaler
	for i := range all {
		ref := &all[i].Spec.ScaleTargetRef
		if ref.Kind != w.Kind || ref.Name != w.Name || group(ref.APIVersion) != group(w.APIVersion) {
			continue
		}
		if found != nil {
			return nil, because(ErrUnsupported, "two autoscalers decide on the replicas of %s: %s and %s", w, found.Name, all[i].Name)
		}
		found = &all[i]
	}
	if found == nil {
		return nil, nil //nolint:nilnil // none is an answer
	}
	if owner := metav1.GetControllerOf(found); owner != nil {
		return nil, because(ErrUnsupported, "autoscaler %s belongs to %s %s, which would take a change back", found.Name, owner.Kind, owner.Name)
	}
	if w.Replicas == 0 {
		return nil, because(ErrUnsupported, "%s is scaled to 0, which switches its autoscaler %s off: somebody wanted that", w, found.Name)
	}
	return found, nil
}

func group(apiVersion string) string {
	g, _, _ := strings.Cut(apiVersion, "/")
	return g
}

// aim chooses which number is moved, and where to.
func (l *lever) aim(running, to int32) error {
	l.to = to
	if to == running {
		return because(ErrAlready, "%s has %d replicas", l.workload, running)
	}
	if l.hpa == nil {
		return nil
	}
	if to < 1 {
		return because(ErrUnsupported, "autoscaler %s decides on the replicas of %s, and 0 would switch it off", l.hpa.Name, l.workload)
	}
	least, most := l.least(), l.hpa.Spec.MaxReplicas
	switch {
	case to > most, to < running && to >= least:
		l.which = BoundMaximum
	default:
		l.which = minReplicas
	}
	if l.now() == to {
		return because(ErrAlready, "%s is %d", l, to)
	}
	return nil
}

// pick takes up the bound that was chosen.
func (l *lever) pick(bound string) error {
	if bound != minReplicas && bound != BoundMaximum {
		return because(ErrUnsupported, "bound is %q; must be %s or %s", bound, minReplicas, BoundMaximum)
	}
	l.which = bound
	return nil
}

// least is the autoscaler's minimum, which is 1 where it says none.
func (l *lever) least() int32 {
	if n := l.hpa.Spec.MinReplicas; n != nil {
		return *n
	}
	return 1
}

// now is the number as it is.
func (l *lever) now() int32 {
	switch {
	case l.hpa == nil:
		return l.workload.Replicas
	case l.which == minReplicas:
		return l.least()
	}
	return l.hpa.Spec.MaxReplicas
}

// String names the number.
func (l *lever) String() string {
	if l.hpa == nil {
		return "replicas of " + l.workload.String()
	}
	if l.which == "" {
		return "autoscaler " + l.hpa.Name
	}
	return l.which + " of autoscaler " + l.hpa.Name
}

func (l *lever) hpaName() string {
	if l.hpa == nil {
		return ""
	}
	return l.hpa.Name
}

func (l *lever) bound() string { return l.which }

func (l *lever) uid() string {
	if l.hpa == nil {
		return l.workload.UID
	}
	return string(l.hpa.UID)
}

func (l *lever) version() string {
	if l.hpa == nil {
		return l.workload.ResourceVersion
	}
	return l.hpa.ResourceVersion
}

func (l *lever) fields() []metav1.ManagedFieldsEntry {
	if l.hpa == nil {
		return l.workload.Managers
	}
	return l.hpa.ManagedFields
}

// intent is the write that moves it. running are the workload's replicas.
func (l *lever) intent(running int32) *v1alpha1.Target {
	t := &v1alpha1.Target{
		UID: l.uid(), ResourceVersion: l.version(), Result: v1alpha1.TargetIntended,
		Before:  &v1alpha1.TargetValues{Replicas: new(l.now())},
		Desired: &v1alpha1.TargetValues{Replicas: new(l.to)},
	}
	t.Before.SetNumber(numberFields, fingerprint(l.fields()))
	if l.hpa != nil {
		t.Before.SetNumber(numberRunning, int64(running))
	}
	return t
}

// complete writes into a draft what is moved.
func (l *lever) complete(d *Draft) {
	d.Action.Replicas = new(l.to)
	delete(d.Action.Parameters, ParameterAutoscaler)
	delete(d.Action.Parameters, ParameterBound)
	path := "/spec/replicas"
	if l.hpa != nil {
		if d.Action.Parameters == nil {
			d.Action.Parameters = map[string]v1alpha1.ParameterValue{}
		}
		d.Action.Parameters[ParameterAutoscaler] = v1alpha1.ParameterValue(l.hpa.Name)
		d.Action.Parameters[ParameterBound] = v1alpha1.ParameterValue(l.which)
		path = "/spec/" + l.which
		d.Notes = append(d.Notes, fmt.Sprintf("autoscaler %s decides on the replicas: its %s goes from %d to %d", l.hpa.Name, l.which, l.now(), l.to))
		d.Owner = new(kube.GitOps(&l.hpa.ObjectMeta))
	}
	d.Diff = encoded([]operation{{"test", path, l.now()}, {"replace", path, l.to}})
}

// fingerprint stands for everything that was written to an object, but for its
// status: it changes with each such write.
func fingerprint(fields []metav1.ManagedFieldsEntry) int64 {
	h := fnv.New64a()
	for i := range fields {
		f := &fields[i]
		if f.Subresource == "status" {
			continue
		}
		var at int64
		if f.Time != nil {
			at = f.Time.Unix()
		}
		_, _ = fmt.Fprintf(h, "%q %q %q %d ", f.Manager, f.Operation, f.Subresource, at) // a hash never fails
		if f.FieldsV1 != nil {
			_, _ = h.Write(f.FieldsV1.GetRawBytes())
		}
	}
	return int64(h.Sum64() >> 1)
}
