package action

import (
	"context"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// annotationDecision names on a workload the last decision that wrote to it: what
// is left where another writer takes over the fields, and so their manager.
const annotationDecision = "rightsizer.dev/decision"

// OfWorkload is embedded by actions whose one object is the workload itself, and
// whose effect is a patch of its spec.
type OfWorkload struct {
	Client *kube.Client
}

// Targets implements Action: the workload itself, once.
func (OfWorkload) Targets(_ context.Context, s *Subject) ([]Object, error) {
	return []Object{{UID: s.Workload.UID}}, nil
}

// Fresh reads the workload of this UID anew. Its errors are fit for Preconditions.
func (a OfWorkload) Fresh(ctx context.Context, s *Subject, uid string) (*kube.Workload, error) {
	w, err := a.Client.Workload(ctx, s.Workload.Namespace, s.Workload.Kind, s.Workload.Name)
	if err != nil {
		return nil, Judge(err)
	}
	if w.UID != uid {
		return nil, because(ErrGone, "%s is another one by now", w)
	}
	return w, nil
}

// Intent is one to write to the workload as it is now, disrupting no pod.
func (OfWorkload) Intent(w *kube.Workload) *v1alpha1.Target {
	return &v1alpha1.Target{
		UID: w.UID, ResourceVersion: w.ResourceVersion, Result: v1alpha1.TargetIntended,
		Before: &v1alpha1.TargetValues{}, Desired: &v1alpha1.TargetValues{},
	}
}

// Patch merges into the workload's spec, as an intent says, and notes the generation
// that came of it. Its errors are fit for Apply and Revert.
func (a OfWorkload) Patch(ctx context.Context, s *Subject, t *v1alpha1.Target, spec map[string]any) error {
	return a.patch(ctx, s, t, spec, kube.Write{Manager: s.Manager()})
}

// TryOut is Patch by a dry run.
func (a OfWorkload) TryOut(ctx context.Context, s *Subject, t *v1alpha1.Target, spec map[string]any) error {
	return a.patch(ctx, s, t, spec, kube.Write{Manager: "rightsizer", DryRun: true})
}

func (a OfWorkload) patch(ctx context.Context, s *Subject, t *v1alpha1.Target, spec map[string]any, how kube.Write) error {
	meta := map[string]any{"uid": t.UID, "resourceVersion": t.ResourceVersion}
	if s.Decision != "" {
		meta["annotations"] = map[string]string{annotationDecision: s.Decision}
	}
	raw, err := encode(map[string]any{"metadata": meta, "spec": spec})
	if err != nil {
		return err
	}
	after, err := a.Client.PatchWorkload(ctx, s.Workload, raw, how)
	if err != nil {
		return Judge(err)
	}
	if !how.DryRun && after.Rollout != nil {
		t.Desired.SetNumber(numberGeneration, after.Rollout.Generation)
	}
	return nil
}

// ReadBack implements Action.
func (a OfWorkload) ReadBack(ctx context.Context, s *Subject, t *v1alpha1.Target) (bool, error) {
	w, err := a.Fresh(ctx, s, t.UID)
	if err != nil {
		return false, err
	}
	made := w.Annotations[annotationDecision] == s.Decision || WroteBy(w.Managers, s.Manager())
	if made && w.Rollout != nil {
		t.Desired.SetNumber(numberGeneration, w.Rollout.Generation)
	}
	return made, nil
}
