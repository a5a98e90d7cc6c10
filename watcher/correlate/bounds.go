package correlate

import (
	"container/heap"
	"slices"
	"time"
)

// patience is how long the correlator does not look for room again after it
// found none, so that a full memory does not cost a search for each event.
const patience = time.Second

// forget removes problems that their incident let go.
func (c *Correlator) forget(problems []*problem) {
	for _, p := range problems {
		p.gone = true
		c.index.unfile(p)
		delete(c.problems, p.id)
	}
}

// remove takes an incident out of all lists.
func (c *Correlator) remove(i *incident) {
	if i.index >= 0 {
		heap.Remove(&c.deadlines, i.index)
	}
	if c.incidents[i.id] == i {
		delete(c.incidents, i.id)
	}
	if i.published {
		c.published--
	}
}

// drop forgets an incident and its problems.
func (c *Correlator) drop(i *incident) {
	c.remove(i)
	c.forget(i.members)
}

// over are the incidents that may go, the longest unchanged first.
func (c *Correlator) over(published bool) []*incident {
	var out []*incident
	for _, i := range c.incidents {
		// One that is about to be looked at may have opened again.
		if i.published == published && i.state == resolved && i.going == 0 && !i.listed {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b *incident) int {
		if d := a.changed.Compare(b.changed); d != 0 {
			return d
		}
		return older(a.root, b.root)
	})
	return out
}

// makeRoom forgets what is over until a sixteenth of the problems is gone, so
// that the search is not for each event; false where nothing can go.
func (c *Correlator) makeRoom(now time.Time) bool {
	if now.Before(c.roomAt) {
		return false
	}
	enough := c.opts.MaxProblems - max(1, c.opts.MaxProblems/16)
	for _, published := range []bool{false, true} {
		for _, i := range c.over(published) {
			if len(c.problems) <= enough {
				return true
			}
			if published {
				c.stats.Dropped++
			}
			c.drop(i)
		}
	}
	if len(c.problems) > enough {
		for _, i := range c.incidents {
			if len(i.members) > maxMembers {
				c.forget(i.prune(&c.index, now.Add(-horizon).UnixNano()))
			}
		}
	}
	if len(c.problems) < c.opts.MaxProblems {
		return true
	}
	c.roomAt = now.Add(patience)
	return false
}

// room says that one more incident can be listed.
func (c *Correlator) room(now time.Time) bool {
	return c.published < c.opts.MaxIncidents || c.unlist(now)
}

// wait has an incident listed when there is room.
func (c *Correlator) wait(i *incident) {
	if i.waits {
		return
	}
	i.waits = true
	if len(c.waiting) > 2*len(c.incidents) { // Most are gone.
		c.waiting = slices.DeleteFunc(c.waiting, func(i *incident) bool { return c.incidents[i.id] != i })
	}
	c.waiting = append(c.waiting, i)
}

// admitWaiting lists those that go on of what waited, as far as there is room.
func (c *Correlator) admitWaiting(now time.Time) {
	for len(c.waiting) > 0 && c.room(now) {
		i := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		i.waits = false
		if c.incidents[i.id] == i && !i.published && i.state == open {
			i.dirty = true
			c.step(i, now)
		}
	}
}

// unlist drops resolved incidents until a sixteenth of the list is free; false
// where all are open.
func (c *Correlator) unlist(now time.Time) bool {
	if now.Before(c.roomAt) {
		return false
	}
	enough := c.opts.MaxIncidents - max(1, c.opts.MaxIncidents/16)
	for _, i := range c.over(true) {
		if c.published <= enough {
			break
		}
		c.stats.Dropped++
		c.drop(i)
	}
	if c.published < c.opts.MaxIncidents {
		return true
	}
	c.roomAt = now.Add(patience)
	return false
}
