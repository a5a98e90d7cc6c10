package live

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// kinds are the workloads that policies select, and where they are served.
var kinds = map[string]schema.GroupVersionResource{
	"Deployment":            {Group: "apps", Version: "v1", Resource: "deployments"},
	"StatefulSet":           {Group: "apps", Version: "v1", Resource: "statefulsets"},
	"DaemonSet":             {Group: "apps", Version: "v1", Resource: "daemonsets"},
	"ReplicaSet":            {Group: "apps", Version: "v1", Resource: "replicasets"},
	"Job":                   {Group: "batch", Version: "v1", Resource: "jobs"},
	"CronJob":               {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"ReplicationController": {Version: "v1", Resource: "replicationcontrollers"},
	"Pod":                   {Version: "v1", Resource: "pods"},
}

// Kinds lists the kinds of workloads that policies select, sorted.
func Kinds() []string {
	out := make([]string, 0, len(kinds))
	for kind := range kinds {
		out = append(out, kind)
	}
	slices.Sort(out)
	return out
}

// UnknownKindError says that no policy selects that kind.
type UnknownKindError struct{ Kind string }

// Error says which there are.
func (e UnknownKindError) Error() string {
	return fmt.Sprintf("kind %q: must be one of %s", e.Kind, strings.Join(Kinds(), ", "))
}

// Workload reads what matching needs of a live workload. Its error is
// UnknownKindError, or the API server's.
func (s *Store) Workload(ctx context.Context, namespace, kind, name string) (*policy.Workload, error) {
	resource, ok := kinds[kind]
	if !ok {
		return nil, UnknownKindError{kind}
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	obj, err := s.opts.Client.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", kind, namespace, name, err)
	}
	return &policy.Workload{
		Namespace: namespace, Kind: kind, Name: name, Labels: obj.GetLabels(), NamespaceLabels: s.NamespaceLabels(namespace),
	}, nil
}

// Policies lists every policy, the most specific first, as the API shows it.
func (s *Store) Policies() ([]*rightsizerv1.Policy, error) {
	set, err := s.Set()
	if err != nil {
		return nil, err
	}
	out := make([]*rightsizerv1.Policy, 0, len(set.Policies()))
	for _, p := range set.Policies() {
		out = append(out, s.proto(set, p))
	}
	return out, nil
}

// Explain says which policy governs a live workload, and why. Its errors are
// those of Set and Workload.
func (s *Store) Explain(ctx context.Context, namespace, kind, name string) (*rightsizerv1.ExplainPolicyResponse, error) {
	set, err := s.Set()
	if err != nil {
		return nil, err
	}
	w, err := s.Workload(ctx, namespace, kind, name)
	if err != nil {
		return nil, err
	}
	out := &rightsizerv1.ExplainPolicyResponse{}
	matches, _ := set.Explain(w)
	for _, m := range matches {
		shown := s.proto(set, m.Policy)
		if m.Governs {
			out.Policy = shown
		}
		out.Matches = append(out.Matches, &rightsizerv1.PolicyMatch{Policy: shown, Selected: m.Selected, Reason: shorten(m.Reason, 512)})
	}
	return out, nil
}

var modes = map[v1alpha1.Mode]rightsizerv1.PolicyMode{
	v1alpha1.ModeOff:       rightsizerv1.PolicyMode_POLICY_MODE_OFF,
	v1alpha1.ModeObserve:   rightsizerv1.PolicyMode_POLICY_MODE_OBSERVE,
	v1alpha1.ModeRecommend: rightsizerv1.PolicyMode_POLICY_MODE_RECOMMEND,
	v1alpha1.ModeDryRun:    rightsizerv1.PolicyMode_POLICY_MODE_DRY_RUN,
	v1alpha1.ModeApprove:   rightsizerv1.PolicyMode_POLICY_MODE_APPROVE,
	v1alpha1.ModeAuto:      rightsizerv1.PolicyMode_POLICY_MODE_AUTO,
}

func (s *Store) proto(set *policy.Set, p *policy.Policy) *rightsizerv1.Policy {
	out := &rightsizerv1.Policy{
		Kind: p.Ref.Kind, Namespace: p.Ref.Namespace, Name: string(p.Ref.Name), Generation: p.Ref.Generation,
		Mode: modes[p.Spec.Mode], Ready: true,
	}
	if len(p.Spec.Modes) > 0 {
		out.ModeByAction = make(map[string]rightsizerv1.PolicyMode, len(p.Spec.Modes))
		for _, m := range p.Spec.Modes {
			out.ModeByAction[string(m.Action)] = modes[m.Mode]
		}
	}
	switch reserved := set.OutOfReach(p.Ref.Namespace); {
	case reserved != "":
		out.Ready, out.Message = false, reserved
	case p.Err != nil:
		out.Ready, out.Message = false, shorten(p.Err.Error(), 1024)
	}
	return out
}
