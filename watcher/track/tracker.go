package track

import (
	"cmp"
	"slices"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Tracker holds what is visible.
type Tracker struct {
	maxProblems int
	subjects    map[string]*subject // by pod UID
	listed      int
	unlisted    int
}

// subject is one object with something visible.
type subject struct {
	workload object.WorkloadKey
	node     string
	problems []problem
}

// problem is one visible cause.
type problem struct {
	id        detect.ID
	typ       string
	container string
	kind      rightsizerv1.ContainerKind
	point     bool
	ordinal   int32
	severity  rightsizerv1.Severity
	seen      bool // in the findings of the present observation
	// event is the latest; nil beyond the bound.
	event *rightsizerv1.Event
}

// New returns an empty Tracker that lists at most maxProblems problems.
func New(maxProblems int) *Tracker {
	return &Tracker{maxProblems: maxProblems, subjects: make(map[string]*subject)}
}

// Observation is one look at a pod.
type Observation struct {
	*detect.Input
	// Findings are all that is visible.
	Findings []detect.Finding
	// AtStart marks what opens now as found at start.
	AtStart bool
	// Blind says that the detector of a type failed, so that its silence means
	// nothing; nil is none.
	Blind func(eventType string) bool
}

// Observe takes one look at a pod and appends the events that it makes to out.
// With Gone all problems of the pod end.
func (t *Tracker) Observe(o *Observation, out []*rightsizerv1.Event) []*rightsizerv1.Event {
	in, findings := o.Input, o.Findings
	s := t.subjects[in.Cur.UID]
	if s == nil && len(findings) == 0 {
		return out // Nearly always: a healthy pod.
	}
	if s == nil {
		s = &subject{}
	}
	s.workload = object.WorkloadKey{Namespace: in.Cur.Namespace, Kind: in.Workload.Kind, Name: in.Workload.Name}
	s.node = in.Cur.Node
	for i := range findings {
		if e := t.take(s, in, &findings[i], o.AtStart); e != nil {
			out = append(out, e)
		}
	}
	out = t.sweep(s, o, out)
	if len(s.problems) == 0 {
		delete(t.subjects, in.Cur.UID)
	} else {
		t.subjects[in.Cur.UID] = s
	}
	return out
}

// take files one finding and returns the event that it makes, if any.
func (t *Tracker) take(s *subject, in *detect.Input, f *detect.Finding, atStart bool) *rightsizerv1.Event {
	at := slices.IndexFunc(s.problems, func(p problem) bool { return p.id == f.Problem })
	switch {
	case f.Over:
		if at < 0 || s.problems[at].point {
			return nil
		}
		t.drop(&s.problems[at])
		s.problems = slices.Delete(s.problems, at, at+1)
		return newEvent(in, f, rightsizerv1.Phase_PHASE_RESOLVED, f.Ordinal, false)
	case at < 0:
		phase := rightsizerv1.Phase_PHASE_OPENED
		if f.Point {
			phase = rightsizerv1.Phase_PHASE_POINT
		}
		// Ordinal 0, not the finding's: a process that comes later opens the
		// same problem under the same id.
		e := newEvent(in, f, phase, 0, atStart)
		t.add(s, f, e)
		return e
	}
	p := &s.problems[at]
	p.seen = true
	if p.point || f.Ordinal <= p.ordinal {
		return nil
	}
	p.ordinal = f.Ordinal
	e := newEvent(in, f, rightsizerv1.Phase_PHASE_UPDATED, f.Ordinal, false)
	t.list(p, e)
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
			out = append(out, resolved(o.Input, &p))
		}
	}
	clear(s.problems[len(kept):])
	s.problems = kept
	return out
}

// add starts a problem, listed as soon as there is room.
func (t *Tracker) add(s *subject, f *detect.Finding, e *rightsizerv1.Event) {
	s.problems = append(s.problems, problem{
		id: f.Problem, typ: f.Type, container: f.Container, kind: f.Kind,
		point: f.Point, ordinal: f.Ordinal, seen: true,
	})
	t.unlisted++
	t.list(&s.problems[len(s.problems)-1], e)
}

// list keeps the latest event of a problem, within the bound.
func (t *Tracker) list(p *problem, e *rightsizerv1.Event) {
	p.severity = e.GetSeverity()
	switch {
	case p.event != nil:
		p.event = e
	case t.listed < t.maxProblems:
		p.event = e
		t.listed++
		t.unlisted--
	}
}

func (t *Tracker) drop(p *problem) {
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
			add(workloads, s.workload, p.severity)
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

// Has says whether the object has anything visible.
func (t *Tracker) Has(pod *object.Pod) bool {
	_, ok := t.subjects[pod.UID]
	return ok
}
