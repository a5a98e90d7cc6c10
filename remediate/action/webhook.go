package action

import (
	"context"
	"slices"

	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Webhook calls a webhook of the workload's policy, which does what this operator
// does not: a CloudEvent with the decision, at least once, with its name as the
// idempotency key. A webhook whose answer decides may veto it.
type Webhook struct {
	Client *kube.Client
	Hooks  Webhooks
}

// Kind implements Action.
func (*Webhook) Kind() v1alpha1.ActionKind { return v1alpha1.ActionWebhook }

// Rights implements Action: nothing in Kubernetes is changed; the policy has named
// who is called.
func (*Webhook) Rights(workloadKind string) []Right { return reads(workloadKind) }

// hook finds the webhook that is asked for.
func (*Webhook) hook(s *Subject) (*v1alpha1.Webhook, error) {
	name := string(s.Want.Parameters[ParameterWebhook])
	hooks := s.Policy.Spec.Webhooks
	switch i := slices.IndexFunc(hooks, func(h v1alpha1.Webhook) bool { return h.Name == name }); {
	case name == "":
		return nil, because(ErrUnsupported, "parameter %s must name a webhook of the policy", ParameterWebhook)
	case i < 0:
		return nil, because(ErrUnsupported, "%s has no webhook %q", s.Policy, name)
	default:
		return &hooks[i], nil
	}
}

// Plan implements Action.
func (a *Webhook) Plan(_ context.Context, s *Subject) (*Draft, error) {
	hook, err := a.hook(s)
	if err != nil {
		return nil, err
	}
	return &Draft{Action: s.Want, First: told(s, s.Workload), Notes: []string{"webhook " + hook.Name + " is called"}}, nil
}

// Targets implements Action: the workload.
func (*Webhook) Targets(_ context.Context, s *Subject) ([]Object, error) {
	return []Object{{UID: s.Workload.UID}}, nil
}

// Preconditions implements Action.
func (a *Webhook) Preconditions(ctx context.Context, s *Subject, o Object) (*v1alpha1.Target, error) {
	if _, err := a.hook(s); err != nil {
		return nil, err
	}
	return stillThere(ctx, a.Client, s, o)
}

// Apply implements Action.
func (a *Webhook) Apply(ctx context.Context, s *Subject, _ *v1alpha1.Target) error {
	hook, err := a.hook(s)
	if err != nil {
		return err
	}
	return deliver(ctx, a.Hooks, Perform, s, hook)
}

// ReadBack implements Action. Whether a call came through shows nowhere, so it is
// made again: at least once.
func (*Webhook) ReadBack(context.Context, *Subject, *v1alpha1.Target) (bool, error) {
	return false, nil
}

// Verify implements Action: what comes of a call is for whoever was called.
func (*Webhook) Verify(context.Context, *Subject, *v1alpha1.Target) (*Sight, error) {
	return &Sight{Ready: true}, nil
}

// Revert implements Action.
func (*Webhook) Revert(context.Context, *Subject, *v1alpha1.Target) error {
	return because(ErrIrreversible, "a call that was made cannot be taken back")
}

// told is the intent of telling somebody about a workload.
func told(s *Subject, w *kube.Workload) *v1alpha1.Target {
	return &v1alpha1.Target{
		UID: w.UID, ResourceVersion: w.ResourceVersion, Result: v1alpha1.TargetIntended,
		Desired: &v1alpha1.TargetValues{Other: string(s.Want.Kind)},
	}
}

// stillThere is that intent, if the workload is still the one that it was.
func stillThere(ctx context.Context, client *kube.Client, s *Subject, o Object) (*v1alpha1.Target, error) {
	w, err := client.Workload(ctx, s.Workload.Namespace, s.Workload.Kind, s.Workload.Name)
	if err != nil {
		return nil, Judge(err)
	}
	if w.UID != o.UID {
		return nil, because(ErrGone, "%s is another one by now", w)
	}
	return told(s, w), nil
}

// reads is the right to read a workload of a kind.
func reads(workloadKind string) []Right {
	group, resource := kube.Resource(workloadKind)
	return []Right{{Group: group, Resource: resource, Verb: "get"}}
}
