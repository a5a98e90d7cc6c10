package track

import (
	"cmp"
	"container/list"
	"slices"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Tracker holds what is visible.
type Tracker struct {
	maxProblems int
	subjects    map[string]*subject // by the UID of the object
	listed      int
	unlisted    int
	// points are the listed problems without a life, oldest first. They make room
	// for what goes on.
	points *list.List
}

// pointRef finds a problem without a life.
type pointRef struct {
	uid string
	id  detect.ID
}

// subject is one object with something visible, now or before.
type subject struct {
	workload object.WorkloadKey
	node     string
	problems []problem
	// closed are problems of it that ended, the latest last, so that one that
	// comes back under its former id has events of its own, and a POINT none.
	closed []closedProblem
}

// maxClosed bounds the ended problems of one object that are remembered, 20
// bytes each.
const maxClosed = 16

type closedProblem struct {
	id detect.ID
	// next is the first ordinal that its events have not used.
	next int32
}

// problem is one visible cause.
type problem struct {
	id        detect.ID
	typ       string
	container string
	ending    string
	kind      rightsizerv1.ContainerKind
	point     bool
	recurs    bool
	// base is added to the ordinals of a problem that came back; 0 for its
	// first life.
	base     int32
	ordinal  int32
	severity rightsizerv1.Severity
	seen     bool // in the findings of the present observation
	// event is the latest; nil beyond the bound.
	event *rightsizerv1.Event
	// place is that of a listed point among Tracker.points.
	place *list.Element
}

// New returns an empty Tracker that lists at most maxProblems problems. What goes
// on comes first; in the room that it leaves, the latest of what happened at one
// moment (POINT).
func New(maxProblems int) *Tracker {
	return &Tracker{maxProblems: maxProblems, subjects: make(map[string]*subject), points: list.New()}
}

// Observation is one look at an object.
type Observation struct {
	// Subject is the object.
	Subject detect.Subject
	// Cluster is the cluster's id.
	Cluster string
	// Now is the time of the look.
	Now time.Time
	// Gone says that the object was deleted: all that went on is over.
	Gone bool
	// Findings are all that is visible.
	Findings []detect.Finding
	// AtStart marks what opens now as found at start.
	AtStart bool
	// Blind says that the detector of a type failed, so that its silence means
	// nothing; nil is none.
	Blind func(eventType string) bool
}

// Observe takes one look at an object and appends the events that it makes to
// out.
func (t *Tracker) Observe(o *Observation, out []*rightsizerv1.Event) []*rightsizerv1.Event {
	uid := o.Subject.UID
	s := t.subjects[uid]
	if s == nil {
		s = &subject{}
		t.subjects[uid] = s
	}
	s.workload, s.node = o.Subject.Workload, o.Subject.Node
	for i := range o.Findings {
		if f := &o.Findings[i]; !f.Silent() {
			if e := t.take(s, o, f); e != nil {
				out = append(out, e)
			}
		}
	}
	out = t.sweep(s, o, out)
	if o.Gone || len(s.problems) == 0 && len(s.closed) == 0 {
		delete(t.subjects, uid)
	}
	return out
}

// take files one finding and returns the event that it makes, if any.
func (t *Tracker) take(s *subject, o *Observation, f *detect.Finding) *rightsizerv1.Event {
	at := slices.IndexFunc(s.problems, func(p problem) bool { return p.id == f.Problem })
	switch {
	case f.Over:
		if at < 0 || s.problems[at].point {
			return nil
		}
		p := s.problems[at]
		t.drop(&p)
		s.problems = slices.Delete(s.problems, at, at+1)
		p.ordinal = max(p.ordinal, f.Ordinal)
		s.close(&p)
		return newEvent(o, f, rightsizerv1.Phase_PHASE_RESOLVED, p.base+f.Ordinal)
	case at < 0:
		return t.add(s, o, f)
	}
	p := &s.problems[at]
	p.seen = true
	if p.point || f.Ordinal <= p.ordinal {
		return nil
	}
	p.ordinal, p.ending = f.Ordinal, f.Ending
	e := newEvent(o, f, rightsizerv1.Phase_PHASE_UPDATED, p.base+f.Ordinal)
	t.list(o.Subject.UID, p, e)
	return e
}

// sweep ends what the findings no longer mention.
func (t *Tracker) sweep(s *subject, o *Observation, out []*rightsizerv1.Event) []*rightsizerv1.Event {
	kept := s.problems[:0]
	for i := range s.problems {
		p := s.problems[i]
		if !o.Gone && (p.seen || o.Blind != nil && o.Blind(p.typ)) {
			p.seen = false
			kept = append(kept, p)
			continue
		}
		t.drop(&p)
		if !p.point {
			out = append(out, resolved(o, &p))
		}
		if !p.point || p.recurs {
			s.close(&p)
		}
	}
	clear(s.problems[len(kept):])
	s.problems = kept
	return out
}

// close remembers that a problem ended.
func (s *subject) close(p *problem) {
	if len(s.closed) >= maxClosed {
		s.closed = slices.Delete(s.closed, 0, 1)
	}
	s.closed = append(s.closed, closedProblem{id: p.id, next: p.base + p.ordinal + 1})
}

// wasClosed says that a problem was told and ended, and remembers that for as long
// as it is asked.
func (s *subject) wasClosed(id detect.ID) bool {
	at := slices.IndexFunc(s.closed, func(c closedProblem) bool { return c.id == id })
	if at < 0 {
		return false
	}
	c := s.closed[at]
	s.closed = append(slices.Delete(s.closed, at, at+1), c)
	return true
}

// reopened is the base of a problem's ordinals, and forgets that it was closed.
func (s *subject) reopened(id detect.ID) int32 {
	at := slices.IndexFunc(s.closed, func(c closedProblem) bool { return c.id == id })
	if at < 0 {
		return 0
	}
	base := s.closed[at].next
	s.closed = slices.Delete(s.closed, at, at+1)
	return base
}

// add starts a problem, listed as soon as there is room. The event's ordinal is
// 0 and not the finding's: a process that comes later opens the same problem
// under the same id.
func (t *Tracker) add(s *subject, o *Observation, f *detect.Finding) *rightsizerv1.Event {
	p := problem{
		id: f.Problem, typ: f.Type, container: f.Container, kind: f.Kind, ending: f.Ending,
		point: f.Point, recurs: f.Recurs, ordinal: f.Ordinal, seen: true,
	}
	if f.Recurs && s.wasClosed(f.Problem) {
		return nil
	}
	phase := rightsizerv1.Phase_PHASE_POINT
	if !f.Point {
		phase = rightsizerv1.Phase_PHASE_OPENED
		p.base = s.reopened(f.Problem)
	}
	e := newEvent(o, f, phase, p.base)
	e.FoundAtStart = o.AtStart
	s.problems = append(s.problems, p)
	t.unlisted++
	t.list(o.Subject.UID, &s.problems[len(s.problems)-1], e)
	return e
}

// list keeps the latest event of a problem, within the bound.
func (t *Tracker) list(uid string, p *problem, e *rightsizerv1.Event) {
	p.severity = e.GetSeverity()
	if p.event == nil {
		if !t.makeRoom() {
			return
		}
		t.listed++
		t.unlisted--
		if p.point {
			p.place = t.points.PushBack(pointRef{uid, p.id})
		}
	}
	p.event = e
}

// makeRoom sees to it that one more problem can be listed, at the cost of the
// oldest point; false where all that is listed goes on.
func (t *Tracker) makeRoom() bool {
	if t.listed >= t.maxProblems {
		t.unlistOldestPoint()
	}
	return t.listed < t.maxProblems
}

func (t *Tracker) unlistOldestPoint() {
	oldest := t.points.Front()
	if oldest == nil {
		return
	}
	ref, _ := t.points.Remove(oldest).(pointRef)
	s := t.subjects[ref.uid]
	at := slices.IndexFunc(s.problems, func(p problem) bool { return p.id == ref.id })
	s.problems[at].event, s.problems[at].place = nil, nil
	t.listed--
	t.unlisted++
}

func (t *Tracker) drop(p *problem) {
	if p.place != nil {
		t.points.Remove(p.place)
	}
	if p.event != nil {
		t.listed--
	} else {
		t.unlisted--
	}
}

// Unlisted is how many visible problems the bound keeps out of Problems.
func (t *Tracker) Unlisted() int {
	return t.unlisted
}

// Len is how many problems are visible, those without a life included.
func (t *Tracker) Len() int {
	return t.listed + t.unlisted
}

// Problems returns the latest event of each problem that goes on and the point
// causes that are still visible, in no order; keep is nil for all.
func (t *Tracker) Problems(keep func(object.WorkloadKey) bool) []*rightsizerv1.Event {
	var out []*rightsizerv1.Event
	for _, s := range t.subjects {
		if keep != nil && !keep(s.workload) {
			continue
		}
		for i := range s.problems {
			if e := s.problems[i].event; e != nil {
				out = append(out, e)
			}
		}
	}
	return out
}

// SortOldestFirst orders events by when they occurred, then by id.
func SortOldestFirst(events []*rightsizerv1.Event) {
	slices.SortFunc(events, older)
}

func older(a, b *rightsizerv1.Event) int {
	return cmp.Or(
		cmp.Compare(a.GetOccurredTime().GetSeconds(), b.GetOccurredTime().GetSeconds()),
		cmp.Compare(a.GetOccurredTime().GetNanos(), b.GetOccurredTime().GetNanos()),
		cmp.Compare(a.GetId(), b.GetId()),
	)
}

// Count is what goes on with a workload or a node.
type Count struct {
	// Open problems; point causes do not count, for they do not go on.
	Open  int32
	Worst rightsizerv1.Severity
}

// Counts sums up the problems that go on, by workload and by node.
func (t *Tracker) Counts() (workloads map[object.WorkloadKey]Count, nodes map[string]Count) {
	workloads, nodes = make(map[object.WorkloadKey]Count), make(map[string]Count)
	for _, s := range t.subjects {
		for i := range s.problems {
			p := &s.problems[i]
			if p.point {
				continue
			}
			if s.workload.Kind != "" {
				add(workloads, s.workload, p.severity)
			}
			if s.node != "" {
				add(nodes, s.node, p.severity)
			}
		}
	}
	return workloads, nodes
}

func add[K comparable](counts map[K]Count, key K, severity rightsizerv1.Severity) {
	c := counts[key]
	c.Open++
	c.Worst = max(c.Worst, severity)
	counts[key] = c
}

// Open says that a problem of the object goes on.
func (t *Tracker) Open(uid string) bool {
	s := t.subjects[uid]
	return s != nil && slices.ContainsFunc(s.problems, func(p problem) bool { return !p.point })
}

// Has says whether the object has or had anything visible.
func (t *Tracker) Has(uid string) bool {
	_, ok := t.subjects[uid]
	return ok
}
