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
	Client *kube.Client
}

func (a *RolloutRestart) templates() templates { return templates{a.Client} }

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
	if err := a.write(ctx, s, t, kube.Write{Manager: "rightsizer", DryRun: true}); err != nil {
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

// Targets implements Action: the workload itself, once.
func (*RolloutRestart) Targets(_ context.Context, s *Subject) ([]Object, error) {
	return []Object{{UID: s.Workload.UID}}, nil
}

// Preconditions implements Action.
func (a *RolloutRestart) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	w, err := a.templates().fresh(ctx, s, o.UID)
	if err != nil {
		return nil, err
	}
	return a.intend(w)
}

// Apply implements Action.
func (a *RolloutRestart) Apply(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	return a.write(ctx, s, t, kube.Write{Manager: s.Manager()})
}

func (a *RolloutRestart) write(ctx context.Context, s *Subject, t *v1alpha1.Target, how kube.Write) error {
	mark := map[string]string{annotationRestart: s.Decision}
	return a.templates().write(ctx, s, t, map[string]any{"metadata": map[string]any{"annotations": mark}}, how)
}

// ReadBack implements Action.
func (a *RolloutRestart) ReadBack(ctx context.Context, s *Subject, t *v1alpha1.Target) (bool, error) {
	return a.templates().readBack(ctx, s, t)
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
