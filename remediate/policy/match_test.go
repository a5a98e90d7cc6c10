package policy_test

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

var day = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)

func namespaced(namespace, name string, change func(*v1alpha1.RightSizerPolicy)) *policy.Policy {
	in := &v1alpha1.RightSizerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(day)}}
	if change != nil {
		change(in)
	}
	return policy.FromNamespaced(in)
}

func cluster(name string, change func(*v1alpha1.ClusterRightSizerPolicy)) *policy.Policy {
	in := &v1alpha1.ClusterRightSizerPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(day)}}
	if change != nil {
		change(in)
	}
	return policy.FromCluster(in)
}

// Each step of the order: the first of a pair governs, whichever is listed first
// and whatever the names say.
func TestTheMoreSpecificGoverns(t *testing.T) {
	t.Parallel()
	labels := func(values ...string) v1alpha1.LabelSelector {
		out := v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{}}
		for _, v := range values {
			out.MatchLabels[v] = "yes"
		}
		return out
	}
	young := metav1.NewTime(day.Add(time.Hour))
	for name, pair := range map[string][2]*policy.Policy{
		"its namespace's before the cluster's": {
			namespaced("shop", "z", nil),
			cluster("a", func(p *v1alpha1.ClusterRightSizerPolicy) {
				p.Spec.NamespaceSelector = &v1alpha1.NamespaceSelector{Names: []v1alpha1.NamespaceName{"shop"}}
				p.Spec.Selector.Names = []v1alpha1.ObjectName{"web"}
			}),
		},
		"namespaces by name before by labels": {
			cluster("z", func(p *v1alpha1.ClusterRightSizerPolicy) {
				p.Spec.NamespaceSelector = &v1alpha1.NamespaceSelector{Names: []v1alpha1.NamespaceName{"shop"}}
			}),
			cluster("a", func(p *v1alpha1.ClusterRightSizerPolicy) {
				p.Spec.NamespaceSelector = &v1alpha1.NamespaceSelector{LabelSelector: labels("prod")}
				p.Spec.Selector.Names = []v1alpha1.ObjectName{"web"}
			}),
		},
		"namespaces by labels before all": {
			cluster("z", func(p *v1alpha1.ClusterRightSizerPolicy) {
				p.Spec.NamespaceSelector = &v1alpha1.NamespaceSelector{LabelSelector: labels("prod")}
			}),
			cluster("a", func(p *v1alpha1.ClusterRightSizerPolicy) { p.Spec.Selector.Names = []v1alpha1.ObjectName{"web"} }),
		},
		"workloads by name before by labels": {
			namespaced("shop", "z", func(p *v1alpha1.RightSizerPolicy) { p.Spec.Selector.Names = []v1alpha1.ObjectName{"web"} }),
			namespaced("shop", "a", func(p *v1alpha1.RightSizerPolicy) { p.Spec.Selector.LabelSelector = labels("app", "tier") }),
		},
		"more labels before fewer": {
			namespaced("shop", "z", func(p *v1alpha1.RightSizerPolicy) { p.Spec.Selector.LabelSelector = labels("app", "tier") }),
			namespaced("shop", "a", func(p *v1alpha1.RightSizerPolicy) {
				p.Spec.Selector.LabelSelector = labels("app")
				p.Spec.Selector.Kinds = []v1alpha1.WorkloadKind{"Deployment"}
			}),
		},
		"kinds before all": {
			namespaced("shop", "z", func(p *v1alpha1.RightSizerPolicy) { p.Spec.Selector.Kinds = []v1alpha1.WorkloadKind{"Deployment"} }),
			namespaced("shop", "a", nil),
		},
		"older before younger": {
			namespaced("shop", "z", nil),
			namespaced("shop", "a", func(p *v1alpha1.RightSizerPolicy) { p.CreationTimestamp = young }),
		},
		"by name": {namespaced("shop", "a", nil), namespaced("shop", "z", nil)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &policy.Workload{
				Namespace: "shop", Kind: "Deployment", Name: "web",
				Labels: map[string]string{"app": "yes", "tier": "yes"}, NamespaceLabels: map[string]string{"prod": "yes"},
			}
			for _, list := range [][]*policy.Policy{{pair[0], pair[1]}, {pair[1], pair[0]}} {
				set := policy.NewSet("rightsizer", list)
				assert.Equal(t, pair[0].String(), set.Govern(w).String())
				matches, _ := set.Explain(w)
				require.Len(t, matches, 2)
				assert.True(t, matches[0].Governs)
				assert.Equal(t, pair[0].String(), matches[0].Policy.String())
				assert.True(t, matches[1].Selected)
				assert.Contains(t, matches[1].Reason, "lost to "+pair[0].String()+": ")
			}
		})
	}
}

// draw makes policies of a small world, so that they often meet.
func draw(t *rapid.T) ([]*policy.Policy, *policy.Workload) {
	namespaces := []string{"a", "b", "kube-system", "rightsizer"}
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	labels := func(name string) v1alpha1.LabelSelector {
		out := v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{}}
		for _, k := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), rapid.ID[string]).Draw(t, name) {
			out.MatchLabels[k] = v1alpha1.LabelValue(one("value", "1", "2"))
		}
		return out
	}
	spec := func(s *v1alpha1.PolicySpec) {
		s.Selector.LabelSelector = labels("labels")
		if rapid.Bool().Draw(t, "named") {
			s.Selector.Names = []v1alpha1.ObjectName{v1alpha1.ObjectName(one("name", "web", "db"))}
		}
		if rapid.Bool().Draw(t, "kinded") {
			s.Selector.Kinds = []v1alpha1.WorkloadKind{v1alpha1.WorkloadKind(one("kind", "Deployment", "StatefulSet"))}
		}
	}
	var out []*policy.Policy
	for i := range rapid.IntRange(0, 12).Draw(t, "policies") {
		created := metav1.NewTime(day.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "age")) * time.Hour))
		if rapid.Bool().Draw(t, "cluster") {
			out = append(out, cluster(fmt.Sprint("c", i), func(p *v1alpha1.ClusterRightSizerPolicy) {
				p.CreationTimestamp = created
				spec(&p.Spec.PolicySpec)
				if rapid.Bool().Draw(t, "selects namespaces") {
					p.Spec.NamespaceSelector = &v1alpha1.NamespaceSelector{LabelSelector: labels("namespace labels")}
					if rapid.Bool().Draw(t, "names namespaces") {
						p.Spec.NamespaceSelector.Names = []v1alpha1.NamespaceName{v1alpha1.NamespaceName(one("of", namespaces...))}
					}
				}
			}))
			continue
		}
		out = append(out, namespaced(one("in", namespaces...), fmt.Sprint("n", i), func(p *v1alpha1.RightSizerPolicy) {
			p.CreationTimestamp = created
			spec(&p.Spec.PolicySpec)
		}))
	}
	set := func(name string) map[string]string {
		return rapid.MapOf(rapid.SampledFrom([]string{"x", "y", "z"}), rapid.SampledFrom([]string{"1", "2"})).Draw(t, name)
	}
	return out, &policy.Workload{
		Namespace: one("workload in", namespaces...), Kind: one("workload kind", "Deployment", "StatefulSet"),
		Name: one("workload", "web", "db"), Labels: set("workload labels"), NamespaceLabels: set("its namespace"),
	}
}

// Who governs depends on nothing but the policies: one order, whatever the order
// of the list, and the explanation agrees.
func TestOrderIsTotalAndDeterministic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policies, w := draw(t)
		set := policy.NewSet("rightsizer", policies)
		governing := set.Govern(w)

		shuffled := slices.Clone(policies)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		require.Equal(t, governing.String(), policy.NewSet("rightsizer", shuffled).Govern(w).String())

		for _, a := range policies {
			for _, b := range policies {
				require.Equal(t, a == b, policy.Compare(a, b) == 0, "%s %s", a, b)
				require.Equal(t, policy.Compare(a, b), -policy.Compare(b, a))
				for _, c := range policies {
					if policy.Compare(a, b) < 0 && policy.Compare(b, c) < 0 {
						require.Negative(t, policy.Compare(a, c), "%s %s %s", a, b, c)
					}
				}
			}
		}

		matches, outOfReach := set.Explain(w)
		won := "none"
		for i, m := range matches {
			require.NotEmpty(t, m.Reason)
			if m.Governs {
				require.Zero(t, i)
				require.True(t, m.Selected)
				won = m.Policy.String()
			}
			if m.Selected && governing.Governs() {
				require.LessOrEqual(t, policy.Compare(governing, m.Policy), 0)
			}
		}
		require.Equal(t, governing.String(), won)
		if w.Namespace == "kube-system" || w.Namespace == "rightsizer" {
			require.NotEmpty(t, outOfReach)
			require.Equal(t, "none", won)
		}
		if governing.Ref.Kind == v1alpha1.KindPolicy {
			require.Equal(t, w.Namespace, governing.Ref.Namespace)
		}
	})
}

func TestModes(t *testing.T) {
	t.Parallel()
	p := namespaced("shop", "p", func(p *v1alpha1.RightSizerPolicy) {
		p.Spec.Mode = v1alpha1.ModeAuto
		p.Spec.Modes = []v1alpha1.ActionMode{{Action: "restart_pod", Mode: v1alpha1.ModeApprove}, {Action: "scale", Mode: v1alpha1.ModeOff}}
	})
	assert.Equal(t, v1alpha1.ModeAuto, p.ModeFor("resize_in_place"))
	assert.Equal(t, v1alpha1.ModeApprove, p.ModeFor("restart_pod"))
	assert.Equal(t, v1alpha1.ModeOff, p.ModeFor("scale"))
	assert.Equal(t, v1alpha1.ModeRecommend, policy.Default().ModeFor("scale"))

	// One that cannot be followed acts on nothing, and stays in the way of others.
	broken := namespaced("shop", "p", func(p *v1alpha1.RightSizerPolicy) {
		p.Spec.Mode = v1alpha1.ModeAuto
		p.Spec.Modes = []v1alpha1.ActionMode{{Action: "scale", Mode: v1alpha1.ModeOff}}
		p.Spec.Selector.MatchExpressions = []v1alpha1.LabelRequirement{{Key: "app", Operator: "Near"}}
	})
	require.ErrorContains(t, broken.Err, `spec.selector: operator "Near": must be In, NotIn, Exists or DoesNotExist`)
	assert.Equal(t, v1alpha1.ModeRecommend, broken.ModeFor("resize_in_place"))
	assert.Equal(t, v1alpha1.ModeOff, broken.ModeFor("scale"))
	set := policy.NewSet("", []*policy.Policy{broken, cluster("c", func(p *v1alpha1.ClusterRightSizerPolicy) { p.Spec.Mode = v1alpha1.ModeAuto })})
	assert.Equal(t, broken.String(), set.Govern(&policy.Workload{Namespace: "shop", Kind: "Deployment", Name: "web"}).String())
}

func TestClusterBudgetIsTheStrictest(t *testing.T) {
	t.Parallel()
	_, ok := policy.NewSet("", []*policy.Policy{cluster("none", nil)}).ClusterBudget()
	assert.False(t, ok)
	budget := func(per time.Duration, actions, disruptions int32) func(*v1alpha1.ClusterRightSizerPolicy) {
		return func(p *v1alpha1.ClusterRightSizerPolicy) {
			p.Spec.ClusterBudget = &v1alpha1.Budget{Per: v1alpha1.Of(per), Actions: actions, Disruptions: disruptions, Concurrent: 3}
		}
	}
	b, ok := policy.NewSet("", []*policy.Policy{cluster("a", budget(time.Hour, 100, 2)), cluster("b", budget(time.Minute, 10, 5))}).ClusterBudget()
	assert.True(t, ok)
	assert.Equal(t, v1alpha1.Budget{Per: v1alpha1.Of(time.Hour), Actions: 10, Disruptions: 2, Concurrent: 3}, b)
}

func TestAbove(t *testing.T) {
	t.Parallel()
	assert.True(t, policy.Above(v1alpha1.RiskHigh, v1alpha1.RiskMedium))
	assert.False(t, policy.Above(v1alpha1.RiskMedium, v1alpha1.RiskMedium))
	assert.True(t, policy.Above("", v1alpha1.RiskCritical), "not computed")
}
