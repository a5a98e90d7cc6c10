package action

import (
	"context"
	"errors"
	"fmt"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// templates is what actions that write to a workload's template have in common.
type templates struct {
	OfWorkload
}

// intent is one that has the pods replaced.
func (a templates) intent(w *kube.Workload) *v1alpha1.Target {
	t := a.Intent(w)
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

// specOf is a patch of a workload's spec that patches its template.
func specOf(w *kube.Workload, template map[string]any) map[string]any {
	spec := map[string]any{"template": template}
	if w.Kind == "CronJob" {
		spec = map[string]any{"jobTemplate": map[string]any{"spec": spec}}
	}
	return spec
}

// templatePath is where a workload has its template.
func templatePath(w *kube.Workload) string {
	if w.Kind == "CronJob" {
		return "/spec/jobTemplate/spec/template"
	}
	return "/spec/template"
}

// rolledOut is how far a rollout has come: of the live workload, of which still
// says whether it is as the decision left it.
func (a templates) rolledOut(ctx context.Context, s *Subject, t *v1alpha1.Target, still func(*kube.Workload) bool) (*Sight, error) {
	w, err := a.Fresh(ctx, s, t.UID)
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
	pods, err := Pods(ctx, a.Client, w)
	if err != nil {
		return nil, err
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
