package action

import (
	"context"
	"fmt"
	"strings"

	sigsyaml "sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Export hands a change of a workload to whoever owns its manifests, instead of
// making it: the patch is the Remediation's diff and, as a patch for the manifest,
// [Patch]; the webhooks of the policy are sent both.
type Export struct {
	Client *kube.Client
	Hooks  Webhooks
}

// Kind implements Action.
func (*Export) Kind() v1alpha1.ActionKind { return v1alpha1.ActionExport }

// Rights implements Action.
func (*Export) Rights(workloadKind string) []Right { return reads(workloadKind) }

// Plan implements Action.
func (a *Export) Plan(ctx context.Context, s *Subject) (*Draft, error) {
	switch what := v1alpha1.ActionKind(s.Want.Parameters[ParameterExports]); what {
	case v1alpha1.ActionScale:
		return a.planScale(ctx, s)
	case v1alpha1.ActionResizeTemplate, v1alpha1.ActionResizeInPlace, "":
		return a.planSize(s)
	default:
		return nil, because(ErrUnsupported, "a manifest does not say when to %s: whoever owns it has to", what)
	}
}

// planSize makes the patch of a container's size in the template. No step is too
// large for it, since nothing is changed here.
func (a *Export) planSize(s *Subject) (*Draft, error) {
	template := s.Workload.Template
	if template == nil {
		return nil, because(ErrUnsupported, "%s has no template", s.Workload)
	}
	at, ok := find(&template.Spec, s.Container)
	if !ok {
		return nil, because(ErrUnsupported, "the template of %s has no container %q", s.Workload, s.Container)
	}
	from := sizeOf(&at.spec.Resources)
	to := towards(from, &s.Want)
	if to == from {
		return nil, because(ErrAlready, "the template of %s says so already", s.Workload)
	}
	d := &Draft{Action: *s.Want.DeepCopy(), First: told(s, s.Workload)}
	if d.Action.Parameters == nil {
		d.Action.Parameters = map[string]v1alpha1.ParameterValue{}
	}
	d.Action.Parameters[ParameterExports] = v1alpha1.ParameterValue(v1alpha1.ActionResizeTemplate)
	setTo(&d.Action, from, to)
	d.Diff = sizeDiff(fmt.Sprintf("%s/spec/%s/%d", templatePath(s.Workload), at.list, at.index), from, to)
	return d, nil
}

// planScale makes the patch of replicas, or of an autoscaler's bound.
func (a *Export) planScale(ctx context.Context, s *Subject) (*Draft, error) {
	if s.Want.Replicas == nil {
		return nil, because(ErrUnsupported, "replicas must be set to scale")
	}
	l, err := (&Scale{Client: a.Client}).lever(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := l.aim(s.Workload.Replicas, *s.Want.Replicas); err != nil {
		return nil, err
	}
	d := &Draft{Action: *s.Want.DeepCopy(), First: told(s, s.Workload)}
	l.complete(d)
	return d, nil
}

// Targets implements Action: the workload.
func (*Export) Targets(_ context.Context, s *Subject) ([]Object, error) {
	return []Object{{UID: s.Workload.UID}}, nil
}

// Preconditions implements Action.
func (a *Export) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	return stillThere(ctx, a.Client, s, o)
}

// Apply implements Action: each webhook of the policy is sent the patch. Where there
// is none, the Remediation itself is the hand-out.
func (a *Export) Apply(ctx context.Context, s *Subject, _ *v1alpha1.Target) error {
	for i := range s.Policy.Spec.Webhooks {
		if err := deliver(ctx, a.Hooks, HandOut, s, &s.Policy.Spec.Webhooks[i]); err != nil {
			return err
		}
	}
	return nil
}

// ReadBack implements Action; as that of Webhook.
func (*Export) ReadBack(context.Context, *Subject, *v1alpha1.Target) (bool, error) { return false, nil }

// Verify implements Action.
func (*Export) Verify(context.Context, *Subject, *v1alpha1.Target) (*Sight, error) {
	return &Sight{Ready: true}, nil
}

// Revert implements Action.
func (*Export) Revert(context.Context, *Subject, *v1alpha1.Target) error {
	return because(ErrIrreversible, "a patch that was handed out cannot be taken back")
}

// Patch is what an export hands out as a strategic merge patch in YAML, such as
// `kubectl patch --patch-file`, and Kustomize as a patch, take it; empty for any
// other action.
func Patch(r *v1alpha1.Remediation) string {
	a := &r.Spec.Action
	if a.Kind != v1alpha1.ActionExport {
		return ""
	}
	apiVersion, kind, name := r.Spec.Workload.APIVersion, r.Spec.Workload.Kind, string(r.Spec.Workload.Name)
	spec := map[string]any{}
	switch {
	case a.Replicas == nil:
		size := policy.Size{Requests: policy.FromResources(a.Requests), Limits: policy.FromResources(a.Limits)}
		container := map[string]any{"name": r.Spec.Container, "resources": texts(size)}
		list := "containers"
		if strings.Contains(r.Spec.Diff, "/spec/initContainers/") {
			list = "initContainers"
		}
		spec["template"] = map[string]any{"spec": map[string]any{list: []any{container}}}
		if kind == "CronJob" {
			spec = map[string]any{"jobTemplate": map[string]any{"spec": spec}}
		}
	case a.Parameters[ParameterAutoscaler] != "":
		apiVersion, kind, name = "autoscaling/v2", "HorizontalPodAutoscaler", string(a.Parameters[ParameterAutoscaler])
		spec[string(a.Parameters[ParameterBound])] = *a.Replicas
	default:
		spec["replicas"] = *a.Replicas
	}
	raw, err := sigsyaml.Marshal(map[string]any{
		"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name, "namespace": r.Namespace}, "spec": spec,
	})
	if err != nil {
		return "" // strings and numbers encode
	}
	return string(raw)
}

// texts is a size as a manifest has it.
func texts(s policy.Size) map[string]any {
	out := map[string]any{}
	for name, l := range map[string]corev1.ResourceList{"requests": list(s.Requests), "limits": list(s.Limits)} {
		if len(l) == 0 {
			continue
		}
		amounts := map[string]string{}
		for resource, q := range l {
			amounts[string(resource)] = q.String()
		}
		out[name] = amounts
	}
	return out
}
