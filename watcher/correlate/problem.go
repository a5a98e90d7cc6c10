package correlate

import (
	"cmp"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// problem is what the events of one problem_id say, taken together. What links
// depend on (type, place, opened) never changes after the first event; the end
// alone is learned later.
type problem struct {
	id        string
	typ       string
	namespace string
	object    *rightsizerv1.ObjectRef
	workload  *rightsizerv1.WorkloadRef
	container string
	node      string
	// detail is what the type's links tell apart: an image, the name of a quota.
	detail string
	loss   loss
	// unlimited says that a container was killed though it had no memory limit.
	unlimited bool
	opened    int64 // Unix nanoseconds by the cluster's clock

	// Of the latest event.
	phase    rightsizerv1.Phase
	severity rightsizerv1.Severity
	message  string
	latest   int64 // when it occurred
	end      int64 // when it was over; forever while it goes on
	worst    rightsizerv1.Severity
	member   *rightsizerv1.IncidentMember // made when asked for, immutable

	tier    uint8
	kind    *kind
	buckets [scopes]*bucket // where it can be found; nil where it has no such place
	heads   uint8           // the first rule that knows it as a cause; noRule
	wide    bool            // a cause of what is beyond its workload
	crowded uint8           // rules, as bits, that saw it beside another workload's
	indexed bool            // in its buckets; false once it is over for long

	parent   *problem
	link     *link    // why parent is the parent
	top      *problem // the root, while problems are put into groups
	sure     int      // percent, the weakest link up to the root; whole for a root
	limit    int      // percent, the weakest link that was forgotten on the way to the parent
	kept     bool     // the parent came in place of one that was forgotten
	gone     bool     // forgotten
	queued   bool
	recheck  bool // became crowded: what was no link may be one now
	moved    bool
	incident *incident
}

const forever = math.MaxInt64

// loss is how a pod was lost, where it was.
type loss uint8

const (
	lossNone   loss = iota
	lossNode        // its node went away, or was tainted so
	lossMemory      // the node was short of memory
	lossOther
)

// newProblem reads the first event of a problem.
func newProblem(ev *rightsizerv1.Event, k *kind) *problem {
	p := &problem{
		id: ev.GetProblemId(), typ: ev.GetType(), namespace: ev.GetNamespace(),
		object: ev.GetObject(), workload: ev.GetWorkload(),
		container: ev.GetContainer(), node: ev.GetNode(),
		opened: nanos(ev.GetOccurredTime()),
		tier:   k.tier, kind: k, heads: noRule, limit: whole,
	}
	if p.node == "" && p.object.GetKind() == kindNode {
		p.node = p.object.GetName()
	}
	switch {
	case p.typ == typeEvicted, p.typ == typePodFailed:
		p.loss = lossOf(ev)
	case p.typ == typeOOMKilled:
		p.unlimited = ev.GetOomKilled() != nil && ev.GetOomKilled().GetMemoryLimitBytes() == 0
	case strings.HasPrefix(p.typ, prefixImage):
		p.detail = imageOf(ev)
	case p.typ == typeQuota:
		p.detail = quotaOf(ev)
	}
	return p
}

// absorb takes the latest event; it says whether anything changed.
func (p *problem) absorb(ev *rightsizerv1.Event) bool {
	end := int64(forever)
	switch ev.GetPhase() {
	case rightsizerv1.Phase_PHASE_POINT:
		end = p.opened
	case rightsizerv1.Phase_PHASE_RESOLVED:
		end = max(p.opened, nanos(ev.GetOccurredTime()))
	default:
	}
	if p.phase == ev.GetPhase() && p.severity == ev.GetSeverity() && p.message == ev.GetMessage() && p.end == end {
		return false
	}
	p.phase, p.severity, p.message, p.end = ev.GetPhase(), ev.GetSeverity(), ev.GetMessage(), end
	p.latest = max(p.opened, nanos(ev.GetOccurredTime()))
	p.worst = max(p.worst, p.severity)
	p.member = nil
	return true
}

// going says that it has a life and that life goes on.
func (p *problem) going() bool { return p.end == forever }

// remote says that both are of different workloads.
func (p *problem) remote(other *problem) bool {
	return p.buckets[byWorkload] != other.buckets[byWorkload]
}

// explained says that a rule other than the default knows its cause.
func (p *problem) explained() bool { return p.parent != nil && p.link.rule != restRule }

// asMember is the problem as incidents list it.
func (p *problem) asMember() *rightsizerv1.IncidentMember {
	if p.member == nil {
		p.member = &rightsizerv1.IncidentMember{
			ProblemId: p.id, Type: p.typ, Severity: p.severity, Namespace: p.namespace,
			Object: p.object, Workload: p.workload, Phase: p.phase, Message: p.message,
			OpenedTime: timestamp(p.opened), UpdatedTime: timestamp(p.latest),
		}
	}
	return p.member
}

// older orders problems by time.
func older(a, b *problem) int {
	if a.opened != b.opened { // Nearly always: cmp.Or would compare the ids as well.
		return cmp.Compare(a.opened, b.opened)
	}
	return strings.Compare(a.id, b.id)
}

// before orders causes before effects: by tier, then by time. Links lead only
// forward in it, so that they never go round in a circle.
func before(cause, effect *problem) bool {
	if cause.tier != effect.tier {
		return cause.tier < effect.tier
	}
	return older(cause, effect) < 0
}

// strength is how sure the parent is the parent, in percent.
func (p *problem) strength() int { return min(p.link.Confidence, p.limit) }

// lasting says that the parent cannot be found in the index any more.
func (p *problem) lasting() bool { return p.parent != nil && (p.kept || !p.parent.indexed) }

func nanos(t *timestamppb.Timestamp) int64 {
	return t.GetSeconds()*int64(time.Second) + int64(t.GetNanos())
}

func timestamp(nanos int64) *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(0, nanos))
}
