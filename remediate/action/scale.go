package action

import (
	"context"
	"errors"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Parameters that a plan to scale writes into its action.
const (
	// ParameterAutoscaler names the HorizontalPodAutoscaler whose bound is moved;
	// unset where the workload's own scale is.
	ParameterAutoscaler = "autoscaler"
	// ParameterBound is that bound: minReplicas or maxReplicas. Where it is asked for,
	// the other one is not moved in its place.
	ParameterBound = "bound"
	BoundMaximum   = "maxReplicas"
)

// Scale changes how many replicas a workload has. Where a HorizontalPodAutoscaler
// decides on them, one of its bounds is moved, and it goes on deciding:
//
//	out, above its maximum   maxReplicas is raised: it may go so far
//	out, else                minReplicas is raised: at least so many
//	in, below its minimum    minReplicas is lowered: it may go so far
//	in, else                 maxReplicas is lowered: at most so many
//
// Else the workload's scale subresource is written.
type Scale struct{ Client *kube.Client }

// scalable are the kinds whose scale can be written.
var scalable = map[string]bool{"Deployment": true, "StatefulSet": true, "ReplicaSet": true}

// Kind implements Action.
func (*Scale) Kind() v1alpha1.ActionKind { return v1alpha1.ActionScale }

// Rights implements Action: those of both ways, since which one it takes shows
// only later.
func (*Scale) Rights(workloadKind string) []Right {
	autoscaler := Right{Group: autoscalersGroup, Resource: "horizontalpodautoscalers", Verb: "patch"}
	if !scalable[workloadKind] {
		return []Right{autoscaler} // Plan says that it cannot be scaled
	}
	group, resource := kube.Resource(workloadKind)
	return []Right{{Group: group, Resource: resource + "/scale", Verb: "update"}, autoscaler}
}

// Plan implements Action.
func (a *Scale) Plan(ctx context.Context, s *Subject) (*Draft, error) {
	if s.Want.Replicas == nil {
		return nil, because(ErrUnsupported, "replicas must be set to scale")
	}
	l, err := a.lever(ctx, s)
	if err != nil {
		return nil, err
	}
	running, to := s.Workload.Replicas, s.Policy.ClampReplicas(s.Workload.Replicas, *s.Want.Replicas)
	d := &Draft{Action: *s.Want.DeepCopy(), FromReplicas: running, ToReplicas: to}
	if to != *s.Want.Replicas {
		d.Notes = append(d.Notes, fmt.Sprintf("replicas: %d by the policy's bounds, not %d", to, *s.Want.Replicas))
	}
	if err := l.aim(running, to); err != nil {
		return nil, noted(err, d.Notes)
	}
	if asked := string(s.Want.Parameters[ParameterBound]); s.Decision == "" && asked != "" && asked != l.bound() {
		return nil, noted(because(ErrAlready, "to have %d replicas it is not %s that would be moved", to, asked), d.Notes)
	}
	if s.Decision != "" && (l.hpaName() != string(s.Want.Parameters[ParameterAutoscaler]) || l.bound() != string(s.Want.Parameters[ParameterBound])) {
		return nil, because(ErrChanged, "what decides on the replicas is not what it was: %s now", l)
	}
	d.First = l.intent(running)
	if err := a.write(ctx, s, l.hpaName(), l.bound(), d.First, to, kube.Write{Manager: "rightsizer", DryRun: true}); err != nil {
		return nil, err
	}
	d.Notes = append(d.Notes, "the API server takes it: server-side dry run")
	l.complete(d)
	if to < running {
		d.Restarts = running - to
		d.RestartsReady = min(d.Restarts, s.Workload.Ready)
	}
	return d, nil
}

// lever is what decides on the replicas of a workload that can be scaled.
func (a *Scale) lever(ctx context.Context, s *Subject) (*lever, error) {
	if !scalable[s.Workload.Kind] {
		return nil, because(ErrUnsupported, "a %s cannot be scaled", s.Workload.Kind)
	}
	hpa, err := a.autoscaler(ctx, s.Workload)
	if err != nil {
		return nil, err
	}
	return &lever{workload: s.Workload, hpa: hpa}, nil
}

// Targets implements Action: one object, the workload or its autoscaler.
func (a *Scale) Targets(ctx context.Context, s *Subject) ([]Object, error) {
	l, err := a.recorded(ctx, s)
	if err != nil {
		return nil, err
	}
	return []Object{{UID: l.uid()}}, nil
}

// recorded is the lever that a decision has written down, as it is now.
func (a *Scale) recorded(ctx context.Context, s *Subject) (*lever, error) {
	name, bound := string(s.Want.Parameters[ParameterAutoscaler]), string(s.Want.Parameters[ParameterBound])
	w, err := a.Client.Workload(ctx, s.Workload.Namespace, s.Workload.Kind, s.Workload.Name)
	if err != nil {
		return nil, Judge(err)
	}
	if w.UID != s.Workload.UID {
		return nil, because(ErrGone, "%s is another one by now", w)
	}
	l := &lever{workload: w}
	if name == "" {
		return l, nil
	}
	if l.hpa, err = a.Client.Autoscaler(ctx, w.Namespace, name); err != nil {
		return nil, Judge(err)
	}
	return l, l.pick(bound)
}

// Preconditions implements Action.
func (a *Scale) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	l, err := a.recorded(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case l.uid() != o.UID:
		return nil, because(ErrGone, "%s is another one by now", l)
	case l.now() == *s.Want.Replicas:
		return nil, because(ErrAlready, "%s is %d", l, l.now())
	}
	if l.hpa == nil { // one may have come since it was planned
		switch hpa, err := a.autoscaler(ctx, s.Workload); {
		case err != nil:
			return nil, err
		case hpa != nil:
			return nil, because(ErrUnsupported, "an autoscaler decides on the replicas of %s now", s.Workload)
		}
	}
	l.to = *s.Want.Replicas
	return l.intent(l.workload.Replicas), nil
}

// Apply implements Action.
func (a *Scale) Apply(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	return a.write(ctx, s, string(s.Want.Parameters[ParameterAutoscaler]), string(s.Want.Parameters[ParameterBound]), t, *t.Desired.Replicas, kube.Write{Manager: s.Manager()})
}

// write makes the one write, or the dry run of it, with the preconditions of an
// intent.
func (a *Scale) write(ctx context.Context, s *Subject, hpa, bound string, t *v1alpha1.Target, to int32, how kube.Write) error {
	if hpa == "" {
		_, err := a.Client.SetScale(ctx, s.Workload, &autoscalingv1.Scale{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.Workload.Namespace, Name: s.Workload.Name, UID: types.UID(t.UID), ResourceVersion: t.ResourceVersion,
			},
			Spec: autoscalingv1.ScaleSpec{Replicas: to},
		}, how)
		return Judge(err)
	}
	patch, err := encode(map[string]any{
		"metadata": map[string]any{"uid": t.UID, "resourceVersion": t.ResourceVersion},
		"spec":     map[string]any{bound: to},
	})
	if err != nil {
		return err
	}
	_, err = a.Client.PatchAutoscaler(ctx, s.Workload.Namespace, hpa, patch, how)
	return Judge(err)
}

// ReadBack implements Action. Whoever writes the number next takes the field from
// its manager; so where somebody else has written to the object since the intent,
// nobody knows, and what he wrote stands.
func (a *Scale) ReadBack(ctx context.Context, s *Subject, t *v1alpha1.Target) (bool, error) {
	l, err := a.recorded(ctx, s)
	switch {
	case err != nil:
		return false, err
	case l.uid() != t.UID:
		return false, because(ErrGone, "%s is another one by now", l)
	case WroteBy(l.fields(), s.Manager()):
		return true, nil
	case fingerprint(l.fields()) != t.Before.Number(numberFields):
		return false, because(ErrGone, "somebody else has written to %s meanwhile, which stands: it is %d", l, l.now())
	}
	return false, nil
}

// Verify implements Action.
func (a *Scale) Verify(ctx context.Context, s *Subject, t *v1alpha1.Target) (*Sight, error) {
	l, err := a.recorded(ctx, s)
	switch {
	case errors.Is(err, ErrGone), err == nil && l.uid() != t.UID:
		return &Sight{Stage: Gone}, nil
	case err != nil:
		return nil, err
	}
	w := l.workload
	out := &Sight{Ready: w.Observed && w.Ready >= w.Replicas}
	switch {
	case l.now() != *t.Desired.Replicas:
		out.Stage, out.Message = Undone, fmt.Sprintf("somebody else has set %s to %d since", l, l.now())
	case l.hpa != nil: // how many there are is the autoscaler's to say
	case !w.Observed || w.Existing != w.Replicas:
		out.Stage, out.Message = Underway, fmt.Sprintf("%d pods of %d are there", w.Existing, w.Replicas)
	case !out.Ready:
		out.Stage, out.Message = Underway, fmt.Sprintf("%d pods of %d are ready", w.Ready, w.Replicas)
	}
	return out, nil
}

// Revert implements Action.
func (a *Scale) Revert(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	l, err := a.recorded(ctx, s)
	switch {
	case err != nil:
		return err
	case l.uid() != t.UID:
		return because(ErrGone, "%s is another one by now", l)
	case l.now() == *t.Before.Replicas: // by an earlier try
		return nil
	case l.now() != *t.Desired.Replicas:
		return because(ErrChanged, "%s is %d by now", l, l.now())
	}
	back := &v1alpha1.Target{UID: t.UID, ResourceVersion: l.version()}
	return a.write(ctx, s, l.hpaName(), l.bound(), back, *t.Before.Replicas, kube.Write{Manager: s.Manager()})
}
