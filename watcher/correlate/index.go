package correlate

import "slices"

// maxBucket bounds the problems that one place is searched for, which bounds the
// work for one event: at the worst 512 comparisons for each of 512 problems,
// when a second workload joins a crowd. Further ones find their causes there,
// but are no cause themselves.
const maxBucket = 512

// bucket is the problems of one place.
type bucket struct {
	key key
	// causes and effects are those that the place's links know as such; one may
	// be both.
	causes, effects []*problem
	// aged are all of a workload, older first; empty in other places.
	aged    []*problem
	holders int // problems that know it, those beyond the bound included
}

// index finds problems by place and links them. It is a function of the set of
// problems: whatever comes later re-evaluates what it may concern.
type index struct {
	*rulebook
	buckets map[key]*bucket
	queue   []*problem // to evaluate
	moved   []*problem // whose parent changed, new ones among them
}

// insert files p and finds its parent and its effects; moved tells whose parent
// changed.
func (x *index) insert(p *problem) {
	x.file(p)
	for s, b := range p.buckets {
		if b != nil {
			x.pairUp(p, b, x.by[s])
		}
	}
	x.reconsider(p)
	x.move(p)
	x.enqueue(p)
	x.drain()
}

// file puts p into its buckets. The workload's is there for all, the others for
// what has links there.
func (x *index) file(p *problem) {
	for s := range scopes {
		if s != byWorkload && (p.kind.causes|p.kind.effects)&x.by[s] == 0 {
			continue
		}
		k, ok := p.at(s)
		if !ok {
			continue
		}
		b := x.buckets[k]
		if b == nil {
			b = &bucket{key: k}
			x.buckets[k] = b
		}
		p.buckets[s] = b
		b.holders++
		if p.kind.causes&x.by[s] != 0 && len(b.causes) < maxBucket {
			b.causes = append(b.causes, p)
		}
		if p.kind.effects&x.by[s] != 0 && len(b.effects) < maxBucket {
			b.effects = append(b.effects, p)
		}
		if s == byWorkload && len(b.aged) < maxBucket {
			at, _ := slices.BinarySearchFunc(b.aged, p, older)
			b.aged = slices.Insert(b.aged, at, p)
		}
	}
	p.indexed = true
}

// unfile takes p out of its buckets: nothing new can link to it.
func (x *index) unfile(p *problem) {
	if !p.indexed {
		return
	}
	p.indexed = false
	for _, b := range p.buckets {
		if b == nil {
			continue
		}
		b.causes = without(b.causes, p)
		b.effects = without(b.effects, p)
		if at, ok := slices.BinarySearchFunc(b.aged, p, older); ok {
			b.aged = slices.Delete(b.aged, at, at+1)
		}
		if b.holders--; b.holders == 0 {
			delete(x.buckets, b.key)
		}
	}
	p.buckets = [scopes]*bucket{}
}

func without(in []*problem, p *problem) []*problem {
	at := slices.Index(in, p)
	if at < 0 {
		return in
	}
	last := len(in) - 1
	in[at], in[last] = in[last], nil
	return in[:last]
}

// pairUp notes all links of mask between p and the others of a bucket.
func (x *index) pairUp(p *problem, b *bucket, mask uint32) {
	if causes := p.kind.causes & mask; causes != 0 {
		for _, q := range b.effects {
			x.pair(p, q, causes)
		}
	}
	if effects := p.kind.effects & mask; effects != 0 {
		for _, q := range b.causes {
			x.pair(q, p, effects)
		}
	}
}

// pair notes the links of mask between two problems.
func (x *index) pair(cause, effect *problem, mask uint32) {
	set := cause.kind.causes & effect.kind.effects & mask
	if set == 0 || cause == effect || !before(cause, effect) {
		return
	}
	for ; set != 0; set &= set - 1 {
		if l := x.lowest(set); l.holds(cause, effect) {
			x.note(l, cause, effect)
		}
	}
}

// note takes in that a link holds.
func (x *index) note(l *link, cause, effect *problem) {
	if l.crowd {
		if cause.remote(effect) {
			x.crowd(l, cause)
			x.crowd(l, effect)
		}
		if !crowded(l, cause, effect) {
			return
		}
	}
	if l.rule < cause.heads {
		cause.heads = l.rule
		x.enqueue(cause)
	}
	if l.by != byWorkload && !cause.wide {
		cause.wide = true
		x.reconsider(cause)
	}
	x.enqueue(effect)
}

// crowd marks that a problem is beside another workload's, which makes links of
// what was none.
func (x *index) crowd(l *link, p *problem) {
	if p.crowded&(1<<l.rule) == 0 {
		p.crowded |= 1 << l.rule
		p.recheck = true
		x.enqueue(p)
	}
}

func crowded(l *link, a, b *problem) bool {
	return a.crowded&b.crowded&(1<<l.rule) != 0
}

// reconsider re-evaluates what has p for a parent by default, or would have now
// that p is there.
func (x *index) reconsider(p *problem) {
	b := p.buckets[byWorkload]
	if b == nil {
		return
	}
	at, _ := slices.BinarySearchFunc(b.aged, p, older)
	for _, q := range b.aged[at:] {
		if q != p && q.heads == noRule && !q.explained() &&
			(q.parent == nil || q.parent == p || older(q.parent, p) < 0) {
			x.enqueue(q)
		}
	}
}

func (x *index) enqueue(p *problem) {
	if !p.queued {
		p.queued = true
		x.queue = append(x.queue, p)
	}
}

func (x *index) move(p *problem) {
	if !p.moved {
		p.moved = true
		x.moved = append(x.moved, p)
	}
}

// drain evaluates until nothing changes. That ends: what a problem's parent
// depends on comes before it, first in the order of tiers, then in that of time.
func (x *index) drain() {
	for len(x.queue) > 0 {
		last := len(x.queue) - 1
		p := x.queue[last]
		x.queue[last], x.queue = nil, x.queue[:last]
		p.queued = false
		if p.recheck {
			p.recheck = false
			for s, b := range p.buckets {
				if b != nil {
					x.pairUp(p, b, x.by[s]&x.crowds)
				}
			}
		}
		x.evaluate(p)
	}
}

// evaluate finds the parent of p anew.
func (x *index) evaluate(p *problem) {
	parent, why := x.cause(p)
	if parent == nil && p.heads == noRule && !p.kind.intent {
		parent, why = x.elder(p)
	}
	if p.lasting() && p.link.rule <= p.heads && (parent == nil || why.rule >= p.link.rule) {
		return // What it had for a cause is out of sight, not refuted.
	}
	if parent == p.parent && why == p.link {
		return
	}
	explained := p.explained()
	p.parent, p.link, p.kept, p.limit = parent, why, false, whole
	x.move(p)
	if explained != p.explained() {
		x.reconsider(p)
	}
}

// cause is the best parent that the rules know: by the first rule, the surest
// link, the nearest cause.
func (x *index) cause(p *problem) (*problem, *link) {
	var best *problem
	var why *link
	for s, b := range p.buckets {
		mask := p.kind.effects & x.by[s]
		if b == nil || mask == 0 {
			continue
		}
		for _, q := range b.causes {
			for set := q.kind.causes & mask; set != 0; set &= set - 1 {
				l := x.lowest(set)
				if l.rule > p.heads || why != nil && l.rule > why.rule {
					break // The bits are in the order of the rules.
				}
				if q == p || !before(q, p) || l.crowd && !crowded(l, q, p) || !l.holds(q, p) {
					continue
				}
				if why == nil || l.rule < why.rule || l.Confidence > why.Confidence ||
					l.Confidence == why.Confidence && before(best, q) {
					best, why = q, l
				}
			}
		}
	}
	return best, why
}

// elder is the parent by default: the nearest older problem of the workload that
// no rule explains, and that explains nothing beyond the workload.
func (x *index) elder(p *problem) (*problem, *link) {
	b := p.buckets[byWorkload]
	if b == nil {
		return nil, nil
	}
	at, _ := slices.BinarySearchFunc(b.aged, p, older)
	for _, q := range slices.Backward(b.aged[:at]) {
		if !q.wide && !q.kind.intent && !q.explained() && x.rest.holds(q, p) {
			return q, &x.rest
		}
	}
	return nil, nil
}
