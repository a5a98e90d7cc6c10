package correlate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// horizon is how long after its end a problem can still link to another: the
// longest reach of a link, and time for what comes late.
const horizon = 30 * time.Minute

// Correlator joins events into incidents. See the package's documentation.
type Correlator struct {
	opts      Options
	index     index
	problems  map[string]*problem
	incidents map[string]*incident // by id, silent ones included
	published int
	deadlines deadlines
	dirty     []*incident
	// waiting are those that found no room in the list, the longest first; some may
	// have become something else meanwhile.
	waiting []*incident
	// out is what the present call returns.
	out []*rightsizerv1.Incident
	// roomAt is when to look for room again after there was none.
	roomAt time.Time
	stats  Stats
}

// New makes an empty Correlator.
func New(opts Options) (*Correlator, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("correlate options: %w", err)
	}
	return &Correlator{
		opts:      opts.withDefaults(),
		index:     index{rulebook: newRulebook(), buckets: make(map[key]*bucket)},
		problems:  make(map[string]*problem),
		incidents: make(map[string]*incident),
	}, nil
}

// Observe takes an event, of which nobody changes afterwards what it was given
// with, and returns the incidents that it opened, changed or resolved, ready to publish, in the order
// in which they are to be published.
func (c *Correlator) Observe(ev *rightsizerv1.Event, now time.Time) []*rightsizerv1.Incident {
	if ev.GetProblemId() == "" || ev.GetType() == "" || ev.GetOccurredTime() == nil {
		c.stats.Failed++
		return nil
	}
	p := c.problems[ev.GetProblemId()]
	if p == nil {
		p = c.admit(ev, now)
		if p == nil {
			return nil
		}
		c.index.insert(p)
		c.regroup(ev.GetCluster(), now)
	} else {
		was := p.going()
		if !p.absorb(ev) {
			return nil
		}
		c.update(p, was)
	}
	return c.flush(now)
}

// IncidentOf is the id of the incident that a problem is in now, also of one that
// is not listed, since nothing in it is more than info or there was no room; empty
// where the problem is not remembered.
func (c *Correlator) IncidentOf(problem string) string {
	id, _ := c.Find(problem)
	return id
}

// Find is IncidentOf with the namespace of the problem, which the incident may not
// list.
func (c *Correlator) Find(problem string) (id, namespace string) {
	p := c.problems[problem]
	if p == nil || p.incident == nil {
		return "", ""
	}
	return p.incident.id, p.namespace
}

// admit makes the problem of a first event; nil where it is not remembered.
func (c *Correlator) admit(ev *rightsizerv1.Event, now time.Time) *problem {
	k := c.index.kindOf(ev.GetType())
	if ev.GetSeverity() < rightsizerv1.Severity_SEVERITY_WARNING && k.causes|k.effects == 0 {
		return nil // Nothing that explains or is explained.
	}
	if ev.GetPhase() == rightsizerv1.Phase_PHASE_RESOLVED {
		return nil // The end of what was not seen, or was forgotten.
	}
	if len(c.problems) >= c.opts.MaxProblems && !c.makeRoom(now) {
		c.stats.Refused++
		return nil
	}
	p := newProblem(ev, k)
	p.absorb(ev)
	c.problems[p.id] = p
	return p
}

// update takes a change of a known problem to its incident.
func (c *Correlator) update(p *problem, wasGoing bool) {
	i := p.incident
	if wasGoing {
		i.going--
	}
	worst := i.worst
	i.count(p)
	c.touch(i, i.worst > worst)
}

// touch marks an incident as changed.
func (c *Correlator) touch(i *incident, urgent bool) {
	i.dirty, i.current = true, nil
	i.urgent = i.urgent || urgent
	if !i.listed {
		i.listed = true
		c.dirty = append(c.dirty, i)
	}
}

// flush brings the changed incidents up to date and returns what is to be
// published.
func (c *Correlator) flush(now time.Time) []*rightsizerv1.Incident {
	if len(c.dirty) > 1 {
		slices.SortFunc(c.dirty, func(a, b *incident) int {
			return cmp.Or(cmp.Compare(a.opened, b.opened), strings.Compare(a.id, b.id))
		})
	}
	for _, i := range c.dirty {
		i.listed = false
		if c.incidents[i.id] == i { // Not one that has ended meanwhile.
			i.changed = now
			c.step(i, now)
		}
	}
	clear(c.dirty)
	c.dirty = c.dirty[:0]
	c.admitWaiting(now)
	out := c.out
	c.out = nil
	return out
}

// step brings one incident to now: its state, its publication, its deadline. An
// incident whose time is over is forgotten.
func (c *Correlator) step(i *incident, now time.Time) {
	if state := i.stateAt(now, c.opts.Linger); state != i.state {
		i.state, i.changed, i.current = state, now, nil
		i.dirty, i.urgent = true, true
		if i.published && state == resolved {
			c.roomAt = time.Time{} // It may make room.
		}
	}
	if !i.published && i.worthy() && i.dirty {
		if c.room(now) {
			i.published, i.urgent = true, true
			c.published++
		} else {
			c.wait(i)
		}
	}
	if i.published && i.dirty && (i.urgent || !now.Before(c.due(i))) {
		c.send(i, now)
	}
	if !i.published {
		i.dirty = false
	}
	if len(i.members) >= max(i.pruneAt, minPrune) {
		c.forget(i.prune(&c.index, now.Add(-horizon).UnixNano()))
	}
	if i.state == resolved && !now.Before(c.until(i)) {
		c.drop(i)
		return
	}
	i.at = c.next(i)
	c.deadlines.put(i)
}

func (c *Correlator) send(i *incident, now time.Time) {
	i.dirty, i.urgent, i.sentAt = false, false, now
	i.sent = i.message(c.index.rulebook)
	c.out = append(c.out, i.sent)
}

// due is when a change of detail may be published. A large incident waits
// longer, since each of its messages lists all members.
func (c *Correlator) due(i *incident) time.Time {
	return i.sentAt.Add(c.opts.Settle + c.opts.Settle*time.Duration(min(len(i.members), maxMembers))/64)
}

// until is when a resolved incident is forgotten.
func (c *Correlator) until(i *incident) time.Time {
	if i.published {
		return i.changed.Add(c.opts.Keep)
	}
	return i.changed.Add(horizon)
}

// next is when time alone changes an incident; zero is never.
func (c *Correlator) next(i *incident) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if i.published && i.dirty {
		sooner(c.due(i))
	}
	switch {
	case i.state == resolved:
		sooner(c.until(i))
	case i.going == 0:
		sooner(i.lingers(c.opts.Linger))
	}
	return at
}

// Expire returns the incidents that time alone changed, or whose changes have
// waited long enough. It is to be called when Next has come.
func (c *Correlator) Expire(now time.Time) []*rightsizerv1.Incident {
	for len(c.deadlines) > 0 && !c.deadlines[0].at.After(now) {
		c.step(c.deadlines[0], now)
	}
	return c.flush(now)
}

// Next is when Expire has something to do; zero is never.
func (c *Correlator) Next() time.Time {
	if len(c.deadlines) == 0 {
		return time.Time{}
	}
	return c.deadlines[0].at
}

// Incidents lists the incidents as they are now, the latest changed first.
func (c *Correlator) Incidents() []*rightsizerv1.Incident {
	out := make([]*rightsizerv1.Incident, 0, c.published)
	for _, i := range c.incidents {
		if i.published {
			out = append(out, i.message(c.index.rulebook))
		}
	}
	slices.SortFunc(out, func(a, b *rightsizerv1.Incident) int {
		return cmp.Or(b.GetUpdatedTime().AsTime().Compare(a.GetUpdatedTime().AsTime()), strings.Compare(a.GetId(), b.GetId()))
	})
	return out
}

// Stats tells what is remembered and what the bounds cost.
func (c *Correlator) Stats() Stats {
	s := c.stats
	s.Problems = len(c.problems)
	s.Full = s.Problems >= c.opts.MaxProblems
	for _, i := range c.incidents {
		switch {
		case !i.published && i.worthy() && i.state == open:
			s.Unlisted++
		case !i.published:
		case i.state == open:
			s.Open++
		default:
			s.Resolved++
		}
	}
	return s
}

// idOf is the id of an incident that opens with a root.
func (c *Correlator) idOf(root *problem) string {
	id := identify(root.id, 1)
	for n := 2; c.incidents[id] != nil; n++ {
		// An incident that this root opened lives on under another root.
		id = identify(root.id, n)
	}
	return id
}

// identify is the first half of a SHA-256 over a problem's id and the number of
// the incident that it opens, in hexadecimal digits.
func identify(problem string, n int) string {
	sum := sha256.Sum256([]byte("incident " + problem + " " + strconv.Itoa(n)))
	return hex.EncodeToString(sum[:16])
}
