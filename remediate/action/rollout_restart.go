package action

import (
	"context"
	"strings"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// annotationRestart is set on the template, which makes a rollout: as `kubectl
// rollout restart` does it, but by a value that names the decision.
const annotationRestart = "rightsizer.dev/restarted-by"

// RolloutRestart replaces all pods of a workload, as its own strategy says.
type RolloutRestart struct {
	OfWorkload
}

func (a *RolloutRestart) templates() templates { return templates{a.OfWorkload} }

// Kind implements Action.
func (*RolloutRestart) Kind() v1alpha1.ActionKind { return v1alpha1.ActionRolloutRestart }

// Rights implements Action.
func (*RolloutRestart) Rights(workloadKind string) []Right { return patchRight(workloadKind) }

// Plan implements Action.
func (a *RolloutRestart) Plan(ctx context.Context, s *Subject) (*Draft, error) {
	t, err := a.intend(s.Workload)
	if err != nil {
		return nil, err
	}
	d := &Draft{Action: s.Want, First: t}
	d.Restarts, d.RestartsReady = Disrupts(t)
	annotations := templatePath(s.Workload) + "/metadata/annotations"
	var ops []operation
	if len(s.Workload.Template.Annotations) == 0 {
		ops = append(ops, operation{"add", annotations, map[string]string{}})
	}
	d.Diff = encoded(append(ops, operation{"add", annotations + "/" + strings.ReplaceAll(annotationRestart, "/", "~1"), "NAME-OF-THIS-DECISION"}))
	if err := a.TryOut(ctx, s, t, a.mark(s)); err != nil {
		return nil, err
	}
	d.Notes = append(d.Notes, "the API server takes it: server-side dry run")
	return d, nil
}

func (a *RolloutRestart) intend(w *kube.Workload) (*v1alpha1.Target, error) {
	switch {
	case w.Rollout == nil:
		return nil, because(ErrUnsupported, "%s has no rollout: its pods are not replaced as its template changes", w)
	case w.Rollout.ByHand:
		return nil, because(ErrUnsupported, "the update strategy of %s is OnDelete: its pods are not replaced as its template changes", w)
	case w.Paused:
		return nil, because(ErrUnsupported, "%s is paused: nothing is rolled out", w)
	case w.Replicas == 0:
		return nil, because(ErrAlready, "%s has no pods", w)
	}
	t := a.templates().intent(w)
	SetEnds(t, 0)
	return t, nil
}

// Preconditions implements Action.
func (a *RolloutRestart) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	w, err := a.Fresh(ctx, s, o.UID)
	if err != nil {
		return nil, err
	}
	return a.intend(w)
}

// Apply implements Action.
func (a *RolloutRestart) Apply(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	return a.Patch(ctx, s, t, a.mark(s))
}

func (*RolloutRestart) mark(s *Subject) map[string]any {
	annotations := map[string]string{annotationRestart: s.Decision}
	return specOf(s.Workload, map[string]any{"metadata": map[string]any{"annotations": annotations}})
}

// Verify implements Action: every pod is replaced and ready.
func (a *RolloutRestart) Verify(ctx context.Context, s *Subject, t *v1alpha1.Target) (*Sight, error) {
	return a.templates().rolledOut(ctx, s, t, func(w *kube.Workload) bool {
		return w.Template.Annotations[annotationRestart] == s.Decision
	})
}

// Revert implements Action. To take the annotation away would restart everything
// once more.
func (*RolloutRestart) Revert(context.Context, *Subject, *v1alpha1.Target) error {
	return because(ErrIrreversible, "pods that were replaced do not come back, and their successors are of the same template")
}

// patchRight is the right to patch a kind of workload.
func patchRight(workloadKind string) []Right {
	group, resource := kube.Resource(workloadKind)
	return []Right{{Group: group, Resource: resource, Verb: "patch"}}
}
