package action

import (
	"context"
	"errors"
	"fmt"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// annotationDecision names on a workload the last decision that wrote to it: what
// is left where another writer takes over the fields, and so their manager.
const annotationDecision = "rightsizer.dev/decision"

// templates is what actions that write to a workload's template have in common.
type templates struct {
	client *kube.Client
}

// fresh reads the workload of an intent anew.
func (a templates) fresh(ctx context.Context, s *Subject, uid string) (*kube.Workload, error) {
	w, err := a.client.Workload(ctx, s.Workload.Namespace, s.Workload.Kind, s.Workload.Name)
	if err != nil {
		return nil, Judge(err)
	}
	if w.UID != uid {
		return nil, because(ErrGone, "%s is another one by now", w)
	}
	return w, nil
}

// intent is one for the workload itself.
func (templates) intent(w *kube.Workload) *v1alpha1.Target {
	t := &v1alpha1.Target{
		UID: w.UID, ResourceVersion: w.ResourceVersion, Result: v1alpha1.TargetIntended,
		Before: &v1alpha1.TargetValues{}, Desired: &v1alpha1.TargetValues{},
	}
	disrupts, ready := replacedAtOnce(w)
	SetDisrupts(t, disrupts, ready)
	return t
}

// replacedAtOnce is how many pods a change of the template takes away at a time,
// and how many ready ones may be missing then: a rollout waits for the pods that
// come before it takes more. One that adds pods before it takes any away still
// takes one away at a time.
func replacedAtOnce(w *kube.Workload) (pods, ready int32) {
	r := w.Rollout
	if r == nil || r.ByHand || w.Replicas == 0 || r.Kept >= w.Replicas {
		return 0, 0
	}
	return max(r.AtOnce, 1), min(r.AtOnce, w.Ready)
}

// patch is one of a template and of who wrote it.
func (templates) patch(s *Subject, w *kube.Workload, t *v1alpha1.Target, template map[string]any) ([]byte, error) {
	spec := map[string]any{"template": template}
	if w.Kind == "CronJob" {
		spec = map[string]any{"jobTemplate": map[string]any{"spec": spec}}
	}
	meta := map[string]any{"uid": t.UID, "resourceVersion": t.ResourceVersion}
	if s.Decision != "" {
		meta["annotations"] = map[string]string{annotationDecision: s.Decision}
	}
	return encode(map[string]any{"metadata": meta, "spec": spec})
}

// templatePath is where a workload has its template.
func templatePath(w *kube.Workload) string {
	if w.Kind == "CronJob" {
		return "/spec/jobTemplate/spec/template"
	}
	return "/spec/template"
}

// write patches the template as an intent says, and notes the generation that came
// of it.
func (a templates) write(ctx context.Context, s *Subject, t *v1alpha1.Target, template map[string]any, how kube.Write) error {
	raw, err := a.patch(s, s.Workload, t, template)
	if err != nil {
		return err
	}
	after, err := a.client.PatchWorkload(ctx, s.Workload, raw, how)
	if err != nil {
		return Judge(err)
	}
	if !how.DryRun && after.Rollout != nil {
		t.Desired.SetNumber(numberGeneration, after.Rollout.Generation)
	}
	return nil
}

// readBack says whether the decision's write was made.
func (a templates) readBack(ctx context.Context, s *Subject, t *v1alpha1.Target) (bool, error) {
	w, err := a.fresh(ctx, s, t.UID)
	if err != nil {
		return false, err
	}
	made := w.Annotations[annotationDecision] == s.Decision || WroteBy(w.Managers, s.Manager())
	if made && w.Rollout != nil {
		t.Desired.SetNumber(numberGeneration, w.Rollout.Generation)
	}
	return made, nil
}

// rolledOut is how far a rollout has come: of the live workload, of which still
// says whether it is as the decision left it.
func (a templates) rolledOut(ctx context.Context, s *Subject, t *v1alpha1.Target, still func(*kube.Workload) bool) (*Sight, error) {
	w, err := a.fresh(ctx, s, t.UID)
	if errors.Is(err, ErrGone) {
		return &Sight{Stage: Gone, Message: s.Workload.String() + " is gone"}, nil
	}
	if err != nil {
		return nil, err
	}
	switch r := w.Rollout; {
	case !still(w):
		return &Sight{Stage: Undone, Message: "somebody else has changed the template of " + w.String() + " since"}, nil
	case r == nil:
		return &Sight{Stage: Settled, Ready: true, Message: "the template has it for the next run"}, nil
	case r.Observed < max(r.Generation, t.Desired.Number(numberGeneration)):
		return &Sight{Stage: Underway, Message: "its controller has not seen it yet"}, nil
	case r.ByHand:
		return &Sight{Stage: Settled, Ready: true, Message: "the template has it; pods are replaced as somebody deletes them"}, nil
	case !r.Complete(w.Replicas) && r.Stuck != "":
		return &Sight{Stage: Erred, Message: r.Stuck}, nil
	case !r.Complete(w.Replicas):
		return &Sight{Stage: Underway, Message: fmt.Sprintf("%d of %d pods are replaced", r.Updated, w.Replicas-r.Kept)}, nil
	}
	return a.settled(ctx, s, w)
}

// settled looks at the pods of a workload whose rollout is complete.
func (a templates) settled(ctx context.Context, s *Subject, w *kube.Workload) (*Sight, error) {
	pods, err := a.client.Pods(ctx, w)
	if err != nil {
		return nil, Judge(err)
	}
	out := &Sight{Stage: Settled, Ready: w.Ready >= w.Replicas}
	for i := range pods {
		if !alive(&pods[i]) {
			continue
		}
		n, oom := life(&pods[i], s.Container)
		out.Ends += n
		if oom.After(out.LastOOM) {
			out.LastOOM = oom
		}
	}
	if !out.Ready {
		return &Sight{Stage: Underway, Message: fmt.Sprintf("%d of %d pods are ready", w.Ready, w.Replicas), Ends: out.Ends, LastOOM: out.LastOOM}, nil
	}
	return out, nil
}
