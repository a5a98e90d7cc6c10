package action

import (
	"context"
	"errors"
	"fmt"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// ResizeTemplate changes the resources of a container in a workload's template: of
// a Deployment, StatefulSet or DaemonSet, whose pods are replaced by a rollout, or
// of a CronJob, for its next run. A Job's template is immutable: the next run of one
// that no CronJob makes is sized by whoever makes it.
type ResizeTemplate struct {
	OfWorkload
}

func (a *ResizeTemplate) templates() templates { return templates{a.OfWorkload} }

// Kind implements Action.
func (*ResizeTemplate) Kind() v1alpha1.ActionKind { return v1alpha1.ActionResizeTemplate }

// Rights implements Action.
func (*ResizeTemplate) Rights(workloadKind string) []Right { return patchRight(workloadKind) }

// Plan implements Action: a dry run of the patch is its evidence. LimitRanges and
// quotas, which the API server asks only as pods are made, are heeded here: those of
// a StatefulSet or of strategy Recreate are gone by then.
func (a *ResizeTemplate) Plan(ctx context.Context, s *Subject) (*Draft, error) {
	at, err := a.resizable(s.Workload, s.Container)
	if err != nil {
		return nil, err
	}
	from := sizeOf(&at.spec.Resources)
	to, notes := s.clamp(from)
	to, why, err := within(ctx, a.Client, s.Workload.Namespace, &s.Workload.Template.Spec, s.Container, s.Workload.Replicas, from, to)
	if err != nil {
		return nil, err
	}
	notes = append(notes, why...)
	if to == from {
		return nil, noted(because(ErrAlready, "it has that size already"), notes)
	}
	d := &Draft{Action: s.Want, From: from, To: to, First: a.intent(s.Workload, from, to)}
	setTo(&d.Action, from, to)
	d.Diff = sizeDiff(fmt.Sprintf("%s/spec/%s/%d", templatePath(s.Workload), at.list, at.index), from, to)
	d.Restarts, d.RestartsReady = Disrupts(d.First)
	if err := a.TryOut(ctx, s, d.First, a.sized(s, at, to)); err != nil {
		return nil, err
	}
	d.Notes = append(notes, "the API server takes it: server-side dry run")
	return d, nil
}

// resizable says whether a template may be changed at all, and where.
func (*ResizeTemplate) resizable(w *kube.Workload, container string) (place, error) {
	switch {
	case w.Kind == "Job":
		return place{}, because(ErrUnsupported, "the template of a Job cannot be changed: its next run is made by whoever makes the Job")
	case w.Rollout == nil && w.Kind != "CronJob":
		return place{}, because(ErrUnsupported, "%s has no template that pods come from by a rollout", w)
	case w.Paused:
		return place{}, because(ErrUnsupported, "%s is paused: nothing is rolled out", w)
	}
	at, ok := find(&w.Template.Spec, container)
	if !ok {
		return at, because(ErrUnsupported, "the template of %s has no container %q", w, container)
	}
	return at, nil
}

func (a *ResizeTemplate) intent(w *kube.Workload, from, to policy.Size) *v1alpha1.Target {
	t := a.templates().intent(w)
	size := valuesOf(from)
	t.Before.Requests, t.Before.Limits = size.Requests, size.Limits
	t.Desired = valuesOf(to)
	SetEnds(t, 0)
	return t
}

// Targets implements Action: the workload itself, where its template has another
// size.
func (a *ResizeTemplate) Targets(_ context.Context, s *Subject) ([]Object, error) {
	at, err := a.resizable(s.Workload, s.Container)
	if err != nil {
		return nil, err
	}
	if from := sizeOf(&at.spec.Resources); towards(from, &s.Want) == from {
		return nil, nil
	}
	return []Object{{UID: s.Workload.UID}}, nil
}

// Preconditions implements Action.
func (a *ResizeTemplate) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	w, err := a.Fresh(ctx, s, o.UID)
	if err != nil {
		return nil, err
	}
	at, err := a.resizable(w, s.Container)
	if err != nil {
		return nil, err
	}
	from := sizeOf(&at.spec.Resources)
	to := towards(from, &s.Want)
	if to == from {
		return nil, because(ErrAlready, "it has that size already")
	}
	return a.intent(w, from, to), nil
}

// Apply implements Action.
func (a *ResizeTemplate) Apply(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	at, err := a.resizable(s.Workload, s.Container)
	if err != nil {
		return err
	}
	return a.Patch(ctx, s, t, a.sized(s, at, sizeIn(t.Desired)))
}

// sized is the patch that gives a container a size.
func (*ResizeTemplate) sized(s *Subject, at place, to policy.Size) map[string]any {
	container := map[string]any{"name": s.Container, "resources": resourcesPatch(to)}
	return specOf(s.Workload, map[string]any{"spec": map[string]any{at.list: []any{container}}})
}

// Verify implements Action: the template still has the size, and every pod is of it
// and ready.
func (a *ResizeTemplate) Verify(ctx context.Context, s *Subject, t *v1alpha1.Target) (*Sight, error) {
	return a.templates().rolledOut(ctx, s, t, func(w *kube.Workload) bool {
		size, ok := SizeOfTemplate(w.Template, s.Container)
		return ok && size == sizeIn(t.Desired)
	})
}

// Revert implements Action: the template gets its old size back, which is another
// rollout.
func (a *ResizeTemplate) Revert(ctx context.Context, s *Subject, t *v1alpha1.Target) error {
	w, err := a.Fresh(ctx, s, t.UID)
	if err != nil {
		return err
	}
	at, err := a.resizable(w, s.Container)
	if err != nil {
		return err
	}
	switch sizeOf(&at.spec.Resources) {
	case sizeIn(t.Before): // by an earlier try
		return nil
	case sizeIn(t.Desired):
	default:
		return because(ErrChanged, "the template of %s has another size by now", w)
	}
	now := *t.DeepCopy() // what it was intended on is not what it is now
	now.ResourceVersion = w.ResourceVersion
	err = a.Patch(ctx, s, &now, a.sized(s, at, sizeIn(t.Before)))
	if errors.Is(err, ErrRefused) {
		return because(ErrIrreversible, "the API server refuses the old size: %v", err)
	}
	return err
}
