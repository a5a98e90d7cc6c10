package correlate

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const (
	open     = rightsizerv1.IncidentState_INCIDENT_STATE_OPEN
	resolved = rightsizerv1.IncidentState_INCIDENT_STATE_RESOLVED
)

// incident is one tree of problems. It is silent (published is false) while
// nothing in it is more than info, or while there is no room for it.
type incident struct {
	id      string
	cluster string
	root    *problem
	members []*problem // older first
	// forgotten members are counted; what they were worth is in the fields below.
	forgotten int
	pruneAt   int // members at which to look what can be forgotten

	going     int   // members whose life goes on
	lastPoint int64 // when the latest POINT occurred
	lastEnd   int64 // when the last of those that are over was over
	opened    int64 // when the first member began
	worst     rightsizerv1.Severity

	state     rightsizerv1.IncidentState
	changed   time.Time // when it last changed
	published bool
	sentAt    time.Time
	current   *rightsizerv1.Incident // immutable; nil when it must be made anew
	sent      *rightsizerv1.Incident // the last that was returned

	dirty, urgent bool
	waits         bool      // in the correlator's list of what waits for room
	listed        bool      // in the correlator's list of what is dirty
	at            time.Time // its deadline
	index         int       // in the queue of deadlines; -1 is out of it
}

// add takes a member in.
func (i *incident) add(p *problem) {
	at, _ := slices.BinarySearchFunc(i.members, p, older)
	i.members = slices.Insert(i.members, at, p)
	p.incident = i
	i.count(p)
	i.current = nil
}

// count takes what a member says into the sums.
func (i *incident) count(p *problem) {
	i.worst = max(i.worst, p.worst)
	if i.opened == 0 || p.opened < i.opened {
		i.opened = p.opened
	}
	if p.going() {
		i.going++
		return
	}
	i.lastEnd = max(i.lastEnd, p.end)
	if p.phase == rightsizerv1.Phase_PHASE_POINT {
		i.lastPoint = max(i.lastPoint, p.opened)
	}
}

// assign makes members the members, none of which is anywhere else.
func (i *incident) assign(root *problem, members []*problem) {
	slices.SortFunc(members, older)
	i.root, i.members = root, members
	i.going, i.current = 0, nil
	if i.forgotten == 0 {
		// Else the sums hold what nobody remembers any more.
		i.worst, i.opened, i.lastEnd, i.lastPoint = 0, 0, 0, 0
	}
	for _, p := range members {
		p.incident = i
		i.count(p)
	}
}

// stateAt is the state at a moment.
func (i *incident) stateAt(now time.Time, linger time.Duration) rightsizerv1.IncidentState {
	if i.going > 0 || i.lastPoint != 0 && now.Before(i.lingers(linger)) {
		return open
	}
	return resolved
}

// lingers is until when its latest POINT keeps it open.
func (i *incident) lingers(linger time.Duration) time.Time {
	return time.Unix(0, i.lastPoint).Add(linger)
}

func (i *incident) total() int { return len(i.members) + i.forgotten }

func (i *incident) worthy() bool { return i.worst >= rightsizerv1.Severity_SEVERITY_WARNING }

// pick is what the message lists: all, or beyond its bound the root, one of each
// namespace, since who may read that alone finds the incident by it, what goes on,
// and of the rest the oldest.
func (i *incident) pick() []*problem {
	if len(i.members) <= maxMembers {
		return i.members
	}
	first := make(map[string]*problem) // by namespace
	for _, p := range i.members {
		if f := first[p.namespace]; f == nil || p.going() && !f.going() {
			first[p.namespace] = p
		}
	}
	class := func(p *problem) int {
		switch {
		case p == i.root:
			return 0
		case p == first[p.namespace]:
			return 1
		case p.going():
			return 2
		}
		return 3
	}
	out := slices.Clone(i.members)
	slices.SortFunc(out, func(a, b *problem) int { return cmp.Or(cmp.Compare(class(a), class(b)), older(a, b)) })
	out = out[:maxMembers]
	slices.SortFunc(out, older)
	return out
}

// message is the incident as it is now.
func (i *incident) message(book *rulebook) *rightsizerv1.Incident {
	if i.current != nil {
		return i.current
	}
	in := &Picture{root: i.root, members: i.members, total: i.total()}
	rule := book.leading(in)
	listed := i.pick()
	m := &rightsizerv1.Incident{
		Id: i.id, State: i.state, Severity: i.worst, Rule: rule.Name(), Summary: cut(rule.Summary(in), maxSummary),
		Confidence: in.confidence(), RootProblemId: i.root.id, Members: make([]*rightsizerv1.IncidentMember, len(listed)),
		MemberCount: int32(i.total()), OpenedTime: timestamp(i.opened), UpdatedTime: timestamppb.New(i.changed),
		Cluster: i.cluster,
	}
	for n, p := range listed {
		m.Members[n] = p.asMember()
	}
	if i.state == resolved {
		m.ResolvedTime = timestamp(i.lastEnd)
	}
	i.current = m
	return m
}

// merged is the last word on an incident that became part of another. It has the
// members it had and says nothing of the other's: who may see these need not see
// those.
func (i *incident) merged(into *rightsizerv1.Incident, now time.Time) *rightsizerv1.Incident {
	last := i.sent
	return &rightsizerv1.Incident{
		Id: last.GetId(), State: resolved, Severity: last.GetSeverity(), Rule: last.GetRule(),
		Summary:    "Part of incident " + into.GetId() + " now.",
		Confidence: last.GetConfidence(), RootProblemId: last.GetRootProblemId(),
		Members: last.GetMembers(), MemberCount: last.GetMemberCount(),
		OpenedTime: last.GetOpenedTime(), UpdatedTime: timestamppb.New(now), ResolvedTime: timestamppb.New(now),
		Cluster: last.GetCluster(), MergedInto: into.GetId(),
	}
}

// prune forgets what is over since before horizon: all of it can link to nothing
// any more, and what is not listed is only counted from then on. It returns what
// it forgot.
func (i *incident) prune(x *index, horizon int64) []*problem {
	listed := make(map[*problem]bool, maxMembers)
	for _, p := range i.pick() {
		listed[p] = true
	}
	var out []*problem
	for _, p := range i.members {
		if p.end >= horizon {
			continue
		}
		x.unfile(p)
		if !listed[p] {
			p.gone = true
			out = append(out, p)
		}
	}
	if len(out) > 0 {
		i.members = slices.DeleteFunc(i.members, func(p *problem) bool { return p.gone })
		i.forgotten += len(out)
		for _, p := range i.members {
			for p.parent != nil && p.parent.gone {
				gone := p.parent // Not the root, which is always listed.
				p.parent, p.kept = gone.parent, true
				p.limit = min(p.limit, gone.strength())
			}
		}
	}
	i.pruneAt = max(minPrune, 2*len(i.members))
	return out
}

// minPrune is the least number of members at which to prune.
const minPrune = 2 * maxMembers
