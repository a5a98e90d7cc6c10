package correlate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// whole is how sure a root is of itself, in percent.
const whole = 100

// group is one tree of problems and the incidents that it was in.
type group struct {
	root    *problem
	members []*problem
	claims  []*incident // that go on in it
	heir    *incident
}

// regroup makes incidents of the trees after parents changed.
func (c *Correlator) regroup(cluster string, now time.Time) {
	moved := c.index.moved
	for _, p := range moved {
		p.moved = false
	}
	if len(moved) == 1 && moved[0].incident == nil {
		c.join(moved[0], cluster)
	} else {
		c.rebuild(moved, cluster, now)
	}
	clear(moved)
	c.index.moved = moved[:0]
}

// join is the usual case: one new problem, and nothing else moved.
func (c *Correlator) join(p *problem, cluster string) {
	if p.parent == nil {
		p.sure = whole
		c.touch(c.begin(p, cluster), false)
		p.incident.add(p)
		return
	}
	p.sure = min(p.strength(), p.parent.sure)
	i := p.parent.incident
	worst := i.worst
	i.add(p)
	c.touch(i, i.worst > worst)
}

func (c *Correlator) begin(root *problem, cluster string) *incident {
	i := &incident{id: c.idOf(root), cluster: cluster, root: root, index: -1}
	root.incident = i
	c.incidents[i.id] = i
	return i
}

// rebuild finds the trees of all incidents that are concerned, and who of the
// incidents goes on as which tree.
func (c *Correlator) rebuild(moved []*problem, cluster string, now time.Time) {
	touched, all := concerned(moved)
	groups := gather(all)
	for _, i := range touched {
		g := groups[i.anchor().top]
		g.claims = append(g.claims, i)
	}
	for _, g := range ordered(groups) {
		c.inherit(g, cluster)
	}
	for _, g := range ordered(groups) {
		for _, loser := range g.claims {
			if loser != g.heir {
				c.merge(loser, g.heir, now)
			}
		}
	}
	for _, p := range all {
		p.top = nil
	}
}

// concerned are the incidents that moved problems were in or come to, and all
// their problems.
func concerned(moved []*problem) ([]*incident, []*problem) {
	var touched []*incident
	var all []*problem
	take := func(i *incident) {
		if i != nil && !slices.Contains(touched, i) {
			touched = append(touched, i)
			all = append(all, i.members...)
		}
	}
	for _, p := range moved {
		take(p.incident)
		if p.parent != nil {
			take(p.parent.incident)
		}
		if p.incident == nil {
			all = append(all, p)
		}
	}
	return touched, all
}

// gather puts problems into trees.
func gather(all []*problem) map[*problem]*group {
	for _, p := range all {
		p.top = nil
	}
	groups := make(map[*problem]*group)
	var way []*problem
	for _, p := range all {
		way = way[:0]
		for p.top == nil && p.parent != nil {
			way = append(way, p)
			p = p.parent
		}
		if p.top == nil {
			p.top, p.sure = p, whole
		}
		for _, q := range slices.Backward(way) {
			q.top, q.sure = q.parent.top, min(q.strength(), q.parent.sure)
		}
	}
	for _, p := range all {
		g := groups[p.top]
		if g == nil {
			g = &group{root: p.top}
			groups[p.top] = g
		}
		g.members = append(g.members, p)
	}
	return groups
}

// anchor is the problem that an incident goes where it goes: its root, or, where
// only info is left with that, its first member that is more.
func (i *incident) anchor() *problem {
	left := rightsizerv1.Severity_SEVERITY_UNSPECIFIED
	var more *problem
	for _, p := range i.members {
		if p.top == i.root.top {
			left = max(left, p.worst)
		}
		if more == nil && p.worst >= rightsizerv1.Severity_SEVERITY_WARNING {
			more = p
		}
	}
	if more == nil || left >= rightsizerv1.Severity_SEVERITY_WARNING {
		return i.root
	}
	return more
}

func ordered(groups map[*problem]*group) []*group {
	out := make([]*group, 0, len(groups))
	for _, g := range groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int { return older(a.root, b.root) })
	return out
}

// inherit finds the incident that goes on as a tree: of those whose root is in
// it the one with the oldest first member, published ones first; else a new one.
func (c *Correlator) inherit(g *group, cluster string) {
	slices.SortFunc(g.claims, func(a, b *incident) int {
		return cmp.Or(first(a.published, b.published), cmp.Compare(a.opened, b.opened), strings.Compare(a.id, b.id))
	})
	if len(g.claims) == 0 {
		g.heir = c.begin(g.root, cluster)
	} else {
		g.heir = g.claims[0]
	}
	i := g.heir
	worst, root := i.worst, i.root
	for _, loser := range g.claims[min(1, len(g.claims)):] {
		i.take(loser)
	}
	i.assign(g.root, g.members)
	c.touch(i, i.worst > worst || root != i.root || len(g.claims) > 1)
}

func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// take takes over what a merged incident has forgotten.
func (i *incident) take(loser *incident) {
	if loser.forgotten == 0 {
		return
	}
	i.forgotten += loser.forgotten
	i.worst = max(i.worst, loser.worst)
	i.lastEnd, i.lastPoint = max(i.lastEnd, loser.lastEnd), max(i.lastPoint, loser.lastPoint)
	i.opened = min(i.opened, loser.opened)
}

// merge ends an incident that became part of another.
func (c *Correlator) merge(loser, heir *incident, now time.Time) {
	c.remove(loser)
	if loser.sent == nil {
		return
	}
	heir.state = heir.stateAt(now, c.opts.Linger)
	heir.changed = now
	var into *rightsizerv1.Incident
	if heir.worthy() {
		into = heir.message(c.index.rulebook)
	}
	c.out = append(c.out, loser.merged(into, now))
}
