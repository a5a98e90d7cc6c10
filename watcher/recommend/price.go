package recommend

import (
	"fmt"
	"slices"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// HoursPerMonth is 365 × 24 / 12.
const HoursPerMonth = 730

// Price is what a core and a GiB cost an hour in US dollars, and where that comes
// from.
type Price struct {
	CoreHour, GiBHour float64
	Source            string
}

// Monthly is the cost of so many replicas of that size in a month.
func (p *Price) Monthly(size object.Resources, replicas int32) float64 {
	cores := float64(max(size.CPUMillis, 0)) / 1000
	gib := float64(max(size.MemoryBytes, 0)) / (1 << 30)
	return (cores*p.CoreHour + gib*p.GiBHour) * HoursPerMonth * float64(max(replicas, 0))
}

// Text says both, and where they come from; at most 128 characters.
func (p *Price) Text() string {
	return fmt.Sprintf("$%s a core, $%s a GiB an hour; %s", number(p.CoreHour), number(p.GiBHour), p.Source)
}

// listDate is when the built-in prices were compiled: on-demand, Linux, of each
// provider's first region in the United States, from general knowledge of their
// public lists, rounded. They are for orders of magnitude; configure your own.
const listDate = "2025"

// families are on-demand prices of a core and a GiB by provider and family of
// machines, the longest prefix first. Machines are sold whole: the price is split
// so that a core costs as much as about seven GiB.
var families = []struct {
	provider, prefix  string
	coreHour, gibHour float64
}{
	{"aws", "t4g", 0.0235, 0.0034},
	{"aws", "t3", 0.0293, 0.0042},
	{"aws", "m6g", 0.0245, 0.0035},
	{"aws", "m7g", 0.0260, 0.0037},
	{"aws", "m", 0.0305, 0.0044},
	{"aws", "c6g", 0.0264, 0.0038},
	{"aws", "c", 0.0330, 0.0048},
	{"aws", "r", 0.0294, 0.0042},
	{"gcp", "e2", 0.0218, 0.0029},
	{"gcp", "n2d", 0.0275, 0.0037},
	{"gcp", "n2", 0.0316, 0.0042},
	{"gcp", "n1", 0.0316, 0.0042},
	{"gcp", "custom", 0.0316, 0.0042}, // of N1, with a size of one's own
	{"gcp", "c", 0.0340, 0.0045},
	{"gcp", "t2", 0.0275, 0.0037},
	{"azure", "standard_b", 0.0265, 0.0038},
	{"azure", "standard_d", 0.0305, 0.0044},
	{"azure", "standard_e", 0.0294, 0.0042},
	{"azure", "standard_f", 0.0340, 0.0050},
}

// elsewhere is what a core and a GiB cost where nothing else is known: the middle
// of the table.
var elsewhere = Price{CoreHour: 0.0300, GiBHour: 0.0043}

// PriceOf is the price on nodes of that provider (aws, gcp, azure, as providerID
// says) and instance type. A configured price wins; what is not in the built-in
// table gets its middle, and Source says so.
func PriceOf(configured *Price, provider, instanceType string) Price {
	if configured != nil {
		p := *configured
		if p.Source == "" {
			p.Source = "configuration"
		}
		return p
	}
	lower := strings.ToLower(instanceType)
	for _, f := range families {
		if f.provider == provider && strings.HasPrefix(lower, f.prefix) {
			return Price{f.coreHour, f.gibHour, "built-in list of " + listDate + ", " + provider + " family " + f.prefix + " (approximate)"}
		}
	}
	p := elsewhere
	p.Source = "built-in list of " + listDate + ", its middle (approximate), none of " + quoteOrNone(instanceType)
	return p
}

func quoteOrNone(text string) string {
	if text == "" {
		return "this kind of node"
	}
	return fmt.Sprintf("%.24q", text)
}

// SumSavings adds up recommendations: all of them, each namespace, and each
// workload, the largest saving first. What is not ready, or is left to a VPA, counts as
// it is now.
func SumSavings(all []*rightsizerv1.Recommendation) (total *rightsizerv1.Savings, namespaces, workloads []*rightsizerv1.Savings) {
	total = &rightsizerv1.Savings{Scope: "cluster"}
	byNamespace, byWorkload := map[string]*rightsizerv1.Savings{}, map[string]*rightsizerv1.Savings{}
	for _, r := range all {
		w, then := r.GetWorkload(), r.GetRecommendedMonthlyCost()
		if r.GetState() != states[Ready] || slices.Contains(r.GetBoundBy(), boundTexts[VPAPresent.index()]) {
			then = r.GetCurrentMonthlyCost()
		}
		for _, s := range []*rightsizerv1.Savings{
			total, scope(byNamespace, r.GetNamespace()),
			scope(byWorkload, r.GetNamespace()+"/"+w.GetKind()+"/"+w.GetName()),
		} {
			s.CurrentMonthlyCost += r.GetCurrentMonthlyCost()
			s.RecommendedMonthlyCost += then
			switch s.GetPriceSource() {
			case "":
				s.PriceSource = r.GetPriceSource()
			case r.GetPriceSource():
			default:
				s.PriceSource = "several, by node"
			}
		}
	}
	finish(total)
	return total, sorted(byNamespace), sorted(byWorkload)
}

func scope(in map[string]*rightsizerv1.Savings, name string) *rightsizerv1.Savings {
	if in[name] == nil {
		in[name] = &rightsizerv1.Savings{Scope: name}
	}
	return in[name]
}

func finish(s *rightsizerv1.Savings) {
	s.Formula = fmt.Sprintf("sum over containers of (cores × price + GiB × price) × %d h × replicas: requested now $%.2f, as recommended $%.2f, saves $%.2f a month; what is not ready, or is left to a VerticalPodAutoscaler, counts as it is",
		HoursPerMonth, s.GetCurrentMonthlyCost(), s.GetRecommendedMonthlyCost(), s.GetCurrentMonthlyCost()-s.GetRecommendedMonthlyCost())
}

func sorted(in map[string]*rightsizerv1.Savings) []*rightsizerv1.Savings {
	out := make([]*rightsizerv1.Savings, 0, len(in))
	for _, s := range in {
		finish(s)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *rightsizerv1.Savings) int {
		x, y := a.GetCurrentMonthlyCost()-a.GetRecommendedMonthlyCost(), b.GetCurrentMonthlyCost()-b.GetRecommendedMonthlyCost()
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return strings.Compare(a.GetScope(), b.GetScope())
	})
	return out
}
