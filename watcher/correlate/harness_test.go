package correlate_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/correlate"
)

const (
	opened   = rightsizerv1.Phase_PHASE_OPENED
	updated  = rightsizerv1.Phase_PHASE_UPDATED
	over     = rightsizerv1.Phase_PHASE_RESOLVED
	point    = rightsizerv1.Phase_PHASE_POINT
	isOpen   = rightsizerv1.IncidentState_INCIDENT_STATE_OPEN
	isOver   = rightsizerv1.IncidentState_INCIDENT_STATE_RESOLVED
	info     = rightsizerv1.Severity_SEVERITY_INFO
	warning  = rightsizerv1.Severity_SEVERITY_WARNING
	failure  = rightsizerv1.Severity_SEVERITY_ERROR
	critical = rightsizerv1.Severity_SEVERITY_CRITICAL
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a moment as minutes and seconds after start.
func clock(minutes, seconds int) time.Duration {
	return time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// change makes a difference to an event.
type change func(*rightsizerv1.Event)

func on(node string) change { return func(e *rightsizerv1.Event) { e.Node = node } }

func as(s rightsizerv1.Severity) change { return func(e *rightsizerv1.Event) { e.Severity = s } }

func saying(reason, message string) change {
	return func(e *rightsizerv1.Event) { e.Reason, e.Message = reason, message }
}

func evictedFor(cause string) change {
	return func(e *rightsizerv1.Event) {
		e.Details = &rightsizerv1.Event_Eviction{Eviction: &rightsizerv1.EvictionDetails{Cause: cause}}
	}
}

func pulling(image string) change {
	return func(e *rightsizerv1.Event) {
		e.Details = &rightsizerv1.Event_ImagePull{ImagePull: &rightsizerv1.ImagePullDetails{Image: image}}
	}
}

func refusedBy(name string) change {
	return func(e *rightsizerv1.Event) {
		e.Details = &rightsizerv1.Event_Refused{Refused: &rightsizerv1.RefusedDetails{RefusedBy: name}}
	}
}

func limit(bytes int64) change {
	return func(e *rightsizerv1.Event) {
		e.Details = &rightsizerv1.Event_OomKilled{OomKilled: &rightsizerv1.OomKilledDetails{MemoryLimitBytes: bytes}}
	}
}

// event is of one object; its problem is named by type, object and cause.
func event(at time.Duration, phase rightsizerv1.Phase, typ, kind, namespace, name, cause string, changes []change) *rightsizerv1.Event {
	e := &rightsizerv1.Event{
		ProblemId: hash(typ + namespace + name + cause), Phase: phase, Type: typ, Severity: warning,
		OccurredTime: timestamppb.New(start.Add(at)), ObservedTime: timestamppb.New(start.Add(at)),
		Cluster: "c", Namespace: namespace, Message: typ + " of " + name,
		Object:        &rightsizerv1.ObjectRef{Kind: kind, Name: name, Uid: "uid-" + name},
		CorrelationId: hash(namespace + name),
	}
	if phase == over {
		e.Severity = info
	}
	for _, c := range changes {
		c(e)
	}
	e.Id = hash(e.GetProblemId() + phase.String() + e.GetMessage())
	return e
}

// pod is an event of a pod of Deployment app in namespace shop.
func pod(at time.Duration, phase rightsizerv1.Phase, typ, app, name string, changes ...change) *rightsizerv1.Event {
	of := func(e *rightsizerv1.Event) {
		e.Workload = &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: app}
		e.Container = "app"
	}
	return event(at, phase, typ, "Pod", "shop", app+"-"+name, "", append([]change{of}, changes...))
}

// nth makes a problem the nth of its kind of one object.
func nth(n string) change {
	return func(e *rightsizerv1.Event) { e.ProblemId = hash(e.GetProblemId() + n) }
}

// of is an event of the workload itself.
func of(at time.Duration, phase rightsizerv1.Phase, typ, app string, changes ...change) *rightsizerv1.Event {
	own := func(e *rightsizerv1.Event) { e.Workload = &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: app} }
	return event(at, phase, typ, "Deployment", "shop", app, "", append([]change{own}, changes...))
}

func node(at time.Duration, phase rightsizerv1.Phase, typ, name string, changes ...change) *rightsizerv1.Event {
	return event(at, phase, typ, "Node", "", name, "", append([]change{on(name)}, changes...))
}

// cluster feeds a Correlator and keeps what is told to somebody who listens.
type cluster struct {
	*correlate.Correlator
	t    testing.TB
	now  time.Time
	told map[string]*rightsizerv1.Incident
	all  []*rightsizerv1.Incident
}

func correlator(t testing.TB, opts correlate.Options) *cluster {
	t.Helper()
	c, err := correlate.New(opts)
	require.NoError(t, err)
	return &cluster{Correlator: c, t: t, now: start, told: make(map[string]*rightsizerv1.Incident)}
}

// at lets time pass, deadlines included, up to a moment after start.
func (c *cluster) at(d time.Duration) *cluster {
	c.t.Helper()
	until := start.Add(d)
	for n := c.Next(); !n.IsZero() && !n.After(until); n = c.Next() {
		if n.After(c.now) {
			c.now = n
		}
		c.hear(c.Expire(c.now))
	}
	if until.After(c.now) {
		c.now = until
	}
	return c
}

// see feeds events, each at the moment it occurred or later.
func (c *cluster) see(events ...*rightsizerv1.Event) *cluster {
	c.t.Helper()
	for _, e := range events {
		c.at(e.GetOccurredTime().AsTime().Sub(start))
		c.hear(c.Observe(e, c.now))
	}
	return c
}

func (c *cluster) hear(incidents []*rightsizerv1.Incident) {
	c.t.Helper()
	for _, in := range incidents {
		require.NoError(c.t, protovalidate.Validate(in))
		c.told[in.GetId()] = in
		c.all = append(c.all, in)
	}
}

// only is the one incident that is listed.
func (c *cluster) only() *rightsizerv1.Incident {
	c.t.Helper()
	list := c.Incidents()
	require.Len(c.t, list, 1)
	return list[0]
}

// types are the members' types, in the order of the timeline.
func types(in *rightsizerv1.Incident) []string {
	var out []string
	for _, m := range in.GetMembers() {
		out = append(out, m.GetType())
	}
	return out
}

// rootOf is the type of the root.
func rootOf(in *rightsizerv1.Incident) string {
	for _, m := range in.GetMembers() {
		if m.GetProblemId() == in.GetRootProblemId() {
			return m.GetType() + " " + m.GetObject().GetName()
		}
	}
	return ""
}
