package guard

import (
	"strconv"
	"time"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// budget: one disruption budget over all kinds of actions, for the workload, its
// namespace and the cluster, whoever asks. The first scope that has no room
// decides.
func budget(f *Facts) Verdict {
	v := pass("all budgets have room")
	for _, s := range []struct {
		name   string
		budget *v1alpha1.Budget
		in     func(*Past) bool
	}{
		{"workload", &f.Policy.Spec.Budgets.Workload, func(p *Past) bool { return p.WorkloadUID == f.Workload.UID }},
		{"namespace", &f.Policy.Spec.Budgets.Namespace, func(p *Past) bool { return p.Namespace == f.Workload.Namespace }},
		{cluster, f.ClusterBudget, func(*Past) bool { return true }},
	} {
		t := tally(f, s.budget.Per.Duration, s.in)
		if refused, ok := t.refuses(f, s.name, s.budget); ok {
			return refused
		}
		v = v.of(s.name, s.name+"_actions", left(t.actions(), s.budget.Actions)).
			of(s.name, s.name+"_disruptions", left(t.disruptions(), s.budget.Disruptions))
	}
	return v
}

// spent is what one scope used up of its budget.
type spent struct {
	// began are the actions that began within the time, the oldest first.
	began []*Past
	// underWay are those that disrupt, whenever they began.
	underWay int32
	per      time.Duration
}

func tally(f *Facts, per time.Duration, in func(*Past) bool) spent {
	t := spent{per: per}
	since := f.Now.Add(-per)
	for i := range f.History {
		p := &f.History[i]
		if p.Started.IsZero() || !in(p) {
			continue
		}
		if p.Started.After(since) {
			t.began = append(t.began, p)
		}
		if p.Disruptive && p.underWay() {
			t.underWay++
		}
	}
	return t
}

func (t *spent) actions() int32 { return int32(len(t.began)) }

func (t *spent) disruptions() int32 {
	var n int32
	for _, p := range t.began {
		n += p.Disruptions
	}
	return n
}

// refuses says whether there is no room for the decision, and why.
func (t *spent) refuses(f *Facts, scope string, b *v1alpha1.Budget) (Verdict, bool) {
	d := &f.Decision
	if used := t.actions(); used+1 > b.Actions {
		return t.full(b.Actions >= 1, t.frees(func(*Past) int32 { return 1 }, used+1-b.Actions),
			"the "+scope+"'s budget of actions is used up").
			of(scope, "actions", used).of(scope, "budget", b.Actions).of(scope, "per", t.per), true
	}
	if d.Disrupts == 0 {
		return Verdict{}, false
	}
	if used := t.disruptions(); used+d.Disrupts > b.Disruptions {
		return t.full(b.Disruptions >= d.Disrupts, t.frees(func(p *Past) int32 { return p.Disruptions }, used+d.Disrupts-b.Disruptions),
			"the "+scope+"'s budget of disruptions has no room").
			of(scope, "disruptions", used).with("wanted", d.Disrupts).of(scope, "budget", b.Disruptions).of(scope, "per", t.per), true
	}
	if t.underWay+1 > b.Concurrent {
		return t.full(b.Concurrent >= 1, time.Time{}, "too many disruptions are under way in the "+scope).
			of(scope, "under_way", t.underWay).of(scope, "budget", b.Concurrent), true
	}
	return Verdict{}, false
}

// full is a wait, or a stop where waiting never helps.
func (*spent) full(ever bool, until time.Time, why string) Verdict {
	if !ever {
		return stop("%s, and never has enough for this", why)
	}
	return wait(until, "%s", why)
}

// frees is when enough of what was spent has left the time.
func (t *spent) frees(cost func(*Past) int32, need int32) time.Time {
	for _, p := range t.began {
		if need -= cost(p); need <= 0 {
			return p.Started.Add(t.per)
		}
	}
	return time.Time{}
}

func left(used, of int32) string {
	return strconv.Itoa(int(used)) + "/" + strconv.Itoa(int(of))
}
