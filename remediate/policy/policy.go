package policy

import (
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// ErrUnbound says that no admission policy sees to it that an approval that kubectl writes
// is made by who it names.
var ErrUnbound = errors.New("approvals by kubectl are not heeded")

// Policy is a policy as it is followed. It is made by FromNamespaced, FromCluster
// or Default and not changed afterwards.
type Policy struct {
	// Ref names it; its zero value where no policy governs.
	Ref v1alpha1.PolicyReference
	// Created is when it was made, in whole seconds.
	Created time.Time
	// Spec is what it says, with every default filled in.
	Spec v1alpha1.PolicySpec
	// ClusterBudget is the budget over all actions in the cluster; nil where it
	// sets none.
	ClusterBudget *v1alpha1.Budget
	// Err is why it cannot be followed, for a person.
	Err error

	windows    []window
	workloads  labels.Selector
	namespaces *namespaces
}

// namespaces is the selector of a cluster's policy; nil is all.
type namespaces struct {
	names  map[string]bool
	labels labels.Selector
}

// Default is what holds for a workload that no policy governs: Recommend, so
// that nothing is done unless a person asks for it.
func Default() *Policy {
	p := &Policy{workloads: labels.Everything()}
	p.Spec.SetDefaults()
	return p
}

// FromNamespaced compiles a RightSizerPolicy, which it does not keep.
func FromNamespaced(in *v1alpha1.RightSizerPolicy) *Policy {
	p := compile(v1alpha1.KindPolicy, &in.ObjectMeta, &in.Spec.PolicySpec)
	return p
}

// FromCluster compiles a ClusterRightSizerPolicy, which it does not keep.
func FromCluster(in *v1alpha1.ClusterRightSizerPolicy) *Policy {
	p := compile(v1alpha1.KindClusterPolicy, &in.ObjectMeta, &in.Spec.PolicySpec)
	p.ClusterBudget = in.Spec.ClusterBudget.DeepCopy()
	if s := in.Spec.NamespaceSelector; s != nil {
		compiled := &namespaces{names: make(map[string]bool, len(s.Names))}
		for _, name := range s.Names {
			compiled.names[string(name)] = true
		}
		var err error
		if compiled.labels, err = selector(&s.LabelSelector); err != nil {
			p.refuse(fmt.Errorf("spec.namespaceSelector: %w", err))
		}
		p.namespaces = compiled
	}
	return p
}

func compile(kind string, meta *metav1.ObjectMeta, spec *v1alpha1.PolicySpec) *Policy {
	p := &Policy{
		Ref: v1alpha1.PolicyReference{
			Kind: kind, Namespace: meta.Namespace, Name: v1alpha1.ObjectName(meta.Name), UID: string(meta.UID), Generation: meta.Generation,
		},
		Created: meta.CreationTimestamp.Time,
	}
	spec.DeepCopyInto(&p.Spec)
	p.Spec.SetDefaults()
	var err error
	if p.workloads, err = selector(&p.Spec.Selector.LabelSelector); err != nil {
		p.refuse(fmt.Errorf("spec.selector: %w", err))
	}
	for i := range p.Spec.Windows {
		w, err := newWindow(&p.Spec.Windows[i])
		if err != nil {
			p.refuse(fmt.Errorf("spec.windows[%s]: %w", p.Spec.Windows[i].Name, err))
		}
		p.windows = append(p.windows, w)
	}
	for _, b := range boundsOf(&p.Spec.Bounds) {
		if err := check(b.bounds); err != nil {
			p.refuse(fmt.Errorf("spec.bounds.%s: %w", b.path, err))
		}
	}
	return p
}

func (p *Policy) refuse(err error) { p.Err = errors.Join(p.Err, err) }

// selector compiles a label selector. One that cannot be compiled selects all,
// so that its policy, which is then not followed, still holds what it was meant
// to hold.
func selector(in *v1alpha1.LabelSelector) (labels.Selector, error) {
	out := labels.NewSelector()
	var errs []error
	add := func(key string, op selection.Operator, values []string) {
		r, err := labels.NewRequirement(key, op, values)
		if err != nil {
			errs = append(errs, err)
			return
		}
		out = out.Add(*r)
	}
	for key, value := range in.MatchLabels {
		add(key, selection.Equals, []string{string(value)})
	}
	for _, e := range in.MatchExpressions {
		values := make([]string, 0, len(e.Values))
		for _, v := range e.Values {
			values = append(values, string(v))
		}
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			add(e.Key, selection.In, values)
		case metav1.LabelSelectorOpNotIn:
			add(e.Key, selection.NotIn, values)
		case metav1.LabelSelectorOpExists:
			add(e.Key, selection.Exists, nil)
		case metav1.LabelSelectorOpDoesNotExist:
			add(e.Key, selection.DoesNotExist, nil)
		default:
			errs = append(errs, fmt.Errorf("operator %q: must be In, NotIn, Exists or DoesNotExist", e.Operator))
		}
	}
	return out, errors.Join(errs...)
}

// Governs says whether this is a real policy: not so for Default.
func (p *Policy) Governs() bool { return p.Ref.Kind != "" }

// String names it as `Kind/namespace/name`; "none" for Default.
func (p *Policy) String() string {
	switch {
	case !p.Governs():
		return "none"
	case p.Ref.Namespace == "":
		return p.Ref.Kind + "/" + string(p.Ref.Name)
	}
	return p.Ref.Kind + "/" + p.Ref.Namespace + "/" + string(p.Ref.Name)
}

// ModeFor is how far the policy goes for a kind of action. One that cannot be
// followed goes no further than Recommend.
func (p *Policy) ModeFor(action v1alpha1.ActionKind) v1alpha1.Mode {
	mode := p.Spec.Mode
	for _, m := range p.Spec.Modes {
		if m.Action == action {
			mode = m.Mode
		}
	}
	if p.Err != nil && Acts(mode) {
		return v1alpha1.ModeRecommend
	}
	return mode
}

// Names says whether the policy itself names a kind of action, with a mode that makes
// Remediations: not so where its mode is that of all kinds.
func (p *Policy) Names(action v1alpha1.ActionKind) bool {
	for _, m := range p.Spec.Modes {
		if m.Action == action {
			return Acts(p.ModeFor(action))
		}
	}
	return false
}

// Acts says whether a mode makes Remediations.
func Acts(mode v1alpha1.Mode) bool {
	return mode == v1alpha1.ModeDryRun || mode == v1alpha1.ModeApprove || mode == v1alpha1.ModeAuto
}

// levels of risk, in rising order.
var levels = map[v1alpha1.RiskLevel]int{
	v1alpha1.RiskLow: 1, v1alpha1.RiskMedium: 2, v1alpha1.RiskHigh: 3, v1alpha1.RiskCritical: 4,
}

// Above says whether a risk is higher than a ceiling. A level that is not known
// is above every ceiling.
func Above(risk, ceiling v1alpha1.RiskLevel) bool {
	r, known := levels[risk]
	return !known || r > levels[ceiling]
}
