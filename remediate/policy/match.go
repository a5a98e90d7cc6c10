package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// NamespaceKubeSystem is out of reach of every policy.
const NamespaceKubeSystem = "kube-system"

// MaxMatches is how many policies an explanation lists, at most.
const MaxMatches = 256

// Workload is what matching needs to know of a workload.
type Workload struct {
	Namespace, Kind, Name string
	// Labels of the workload object.
	Labels map[string]string
	// NamespaceLabels are the labels of its namespace.
	NamespaceLabels map[string]string
}

// Set is all policies of a cluster, ordered.
type Set struct {
	reserved   map[string]bool
	namespaced map[string][]*Policy
	cluster    []*Policy
	all        []*Policy
}

// NewSet makes a Set. operatorNamespace, where it is known, is out of reach as
// kube-system is.
func NewSet(operatorNamespace string, policies []*Policy) *Set {
	s := &Set{reserved: map[string]bool{NamespaceKubeSystem: true}, namespaced: map[string][]*Policy{}}
	if operatorNamespace != "" {
		s.reserved[operatorNamespace] = true
	}
	s.all = slices.SortedFunc(slices.Values(policies), Compare)
	for _, p := range s.all {
		if p.Ref.Kind == v1alpha1.KindPolicy {
			s.namespaced[p.Ref.Namespace] = append(s.namespaced[p.Ref.Namespace], p)
		} else {
			s.cluster = append(s.cluster, p)
		}
	}
	return s
}

// Policies lists all, the most specific first. The caller must not change it.
func (s *Set) Policies() []*Policy { return s.all }

// OutOfReach is why no policy governs a namespace; empty where one may.
func (s *Set) OutOfReach(namespace string) string {
	switch {
	case namespace == NamespaceKubeSystem:
		return "kube-system is out of reach of every policy"
	case s.reserved[namespace]:
		return "namespace " + namespace + " is the operator's own, which is out of reach of every policy"
	}
	return ""
}

// Govern returns the policy that governs a workload; Default where none does.
func (s *Set) Govern(w *Workload) *Policy {
	if s.OutOfReach(w.Namespace) != "" {
		return Default()
	}
	for _, list := range [][]*Policy{s.namespaced[w.Namespace], s.cluster} {
		for _, p := range list {
			if _, ok := p.selects(w); ok {
				return p
			}
		}
	}
	return Default()
}

// ClusterBudget is the strictest of the budgets over the whole cluster, field by
// field, per the shortest time; false where no policy sets one.
func (s *Set) ClusterBudget() (v1alpha1.Budget, bool) {
	var (
		strictest v1alpha1.Budget
		found     bool
	)
	for _, p := range s.cluster {
		b := p.ClusterBudget
		if b == nil {
			continue
		}
		if !found {
			strictest, found = *b, true
			continue
		}
		// The longest time and the smallest numbers: never more than any of
		// them allows.
		strictest.Per = v1alpha1.Of(max(strictest.Per.Duration, b.Per.Duration))
		strictest.Actions = min(strictest.Actions, b.Actions)
		strictest.Disruptions = min(strictest.Disruptions, b.Disruptions)
		strictest.Concurrent = min(strictest.Concurrent, b.Concurrent)
	}
	return strictest, found
}

// Match is one policy that was considered for a workload.
type Match struct {
	Policy *Policy
	// Selected says whether it selects the workload.
	Selected bool
	// Governs is true for the one that won.
	Governs bool
	// Reason is why it won or lost.
	Reason string
}

// Explain lists the policies that were considered, the governing one first, then
// those that lost to it, then those that do not select the workload; at most
// MaxMatches. A namespace's policies are not considered outside of it. The
// reason is set where nothing can govern.
func (s *Set) Explain(w *Workload) (matches []Match, outOfReach string) {
	outOfReach = s.OutOfReach(w.Namespace)
	var winner *Policy
	var selected, others []Match
	for _, list := range [][]*Policy{s.namespaced[w.Namespace], s.cluster} {
		for _, p := range list {
			why, ok := p.selects(w)
			m := Match{Policy: p, Selected: ok, Reason: why}
			switch {
			case !ok:
				others = append(others, m)
				continue
			case outOfReach != "":
				m.Reason = outOfReach
			case winner == nil:
				winner = p
				m.Governs, m.Reason = true, "governs: "+why
				if p.Err != nil {
					m.Reason += "; as Recommend, since it cannot be followed: " + p.Err.Error()
				}
			default:
				m.Reason = fmt.Sprintf("lost to %s: %s", winner, whyBefore(winner, p))
			}
			selected = append(selected, m)
		}
	}
	matches = append(selected, others...)
	return matches[:min(len(matches), MaxMatches)], outOfReach
}

// selects says whether a policy selects a workload, and by what or why not.
func (p *Policy) selects(w *Workload) (string, bool) {
	if p.Ref.Kind == v1alpha1.KindPolicy && p.Ref.Namespace != w.Namespace {
		return "reaches only its own namespace " + p.Ref.Namespace, false
	}
	if n := p.namespaces; n != nil {
		if len(n.names) > 0 && !n.names[w.Namespace] {
			return "does not name namespace " + w.Namespace, false
		}
		if !n.labels.Matches(labels.Set(w.NamespaceLabels)) {
			return "the labels of namespace " + w.Namespace + " do not match " + n.labels.String(), false
		}
	}
	s := &p.Spec.Selector
	if len(s.Kinds) > 0 && !slices.Contains(s.Kinds, v1alpha1.WorkloadKind(w.Kind)) {
		return "does not select kind " + w.Kind, false
	}
	if len(s.Names) > 0 && !slices.Contains(s.Names, v1alpha1.ObjectName(w.Name)) {
		return "does not name " + w.Name, false
	}
	if !p.workloads.Matches(labels.Set(w.Labels)) {
		return "the workload's labels do not match " + p.workloads.String(), false
	}
	return p.reach(), true
}

// reach says how narrow a policy is, for a person.
func (p *Policy) reach() string {
	var parts []string
	switch {
	case p.Ref.Kind == v1alpha1.KindPolicy:
		parts = append(parts, "a policy of this namespace")
	case p.breadth() == 0:
		parts = append(parts, "a cluster policy that names this namespace")
	case p.breadth() == 1:
		parts = append(parts, "a cluster policy for the labels of this namespace")
	default:
		parts = append(parts, "a cluster policy for all namespaces")
	}
	s := &p.Spec.Selector
	if len(s.Names) > 0 {
		parts = append(parts, "names the workload")
	}
	if n := requirements(s); n > 0 {
		parts = append(parts, fmt.Sprintf("%d requirements for labels", n))
	}
	if len(s.Kinds) > 0 {
		parts = append(parts, "names the kind")
	}
	return strings.Join(parts, ", ")
}

// breadth is how wide a policy reaches over namespaces: 0 its own or named ones,
// 1 those with labels, 2 all.
func (p *Policy) breadth() int {
	switch n := p.namespaces; {
	case p.Ref.Kind == v1alpha1.KindPolicy:
		return 0
	case n == nil:
		return 2
	case len(n.names) > 0:
		return 0
	case !n.labels.Empty():
		return 1
	}
	return 2
}

// requirements counts what a selector asks of labels.
func requirements(s *v1alpha1.WorkloadSelector) int {
	return len(s.MatchLabels) + len(s.MatchExpressions)
}

// rule is one step of the order: negative where a comes before b.
type rule struct {
	why     string
	compare func(a, b *Policy) int
}

func first(yes func(*Policy) bool) func(a, b *Policy) int {
	return func(a, b *Policy) int {
		switch x, y := yes(a), yes(b); {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	}
}

// order is the one order of policies; see the package's comment.
var order = []rule{
	{"a policy of the namespace comes before one of the cluster", first(func(p *Policy) bool { return p.Ref.Kind == v1alpha1.KindPolicy })},
	{"it selects namespaces more narrowly", func(a, b *Policy) int { return cmp.Compare(a.breadth(), b.breadth()) }},
	{"it names workloads", first(func(p *Policy) bool { return len(p.Spec.Selector.Names) > 0 })},
	{"it has more requirements for labels of workloads", func(a, b *Policy) int {
		return cmp.Compare(requirements(&b.Spec.Selector), requirements(&a.Spec.Selector))
	}},
	{"it names kinds", first(func(p *Policy) bool { return len(p.Spec.Selector.Kinds) > 0 })},
	{"it is older", func(a, b *Policy) int { return a.Created.Compare(b.Created) }},
	{"its name sorts first", func(a, b *Policy) int {
		return cmp.Or(cmp.Compare(a.Ref.Name, b.Ref.Name), cmp.Compare(a.Ref.Namespace, b.Ref.Namespace))
	}},
}

// Compare is the order of policies: negative where a is more specific than b. It
// is 0 only for one and the same policy.
func Compare(a, b *Policy) int {
	for _, r := range order {
		if c := r.compare(a, b); c != 0 {
			return c
		}
	}
	return 0
}

func whyBefore(a, b *Policy) string {
	for _, r := range order {
		if r.compare(a, b) < 0 {
			return r.why
		}
	}
	return "they are the same"
}
