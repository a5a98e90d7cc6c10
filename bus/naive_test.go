package bus_test

import (
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// What filters and messages are drawn from: few, so that they often meet.
var (
	someNamespaces = []string{"a", "b", "c"}
	someTypes      = []string{"pod.oom_killed", "pod.crash_loop", "podium.full", "resource.exhaustion"}
	somePatterns   = append([]string{"pod.*", "resource.*"}, someTypes...)
	someKinds      = []string{"Deployment", "Job"}
	someNames      = []string{"web", "batch"}
	someWorkloads  = []string{"web", "batch", "Deployment/web", "Job/web", "Job/batch"}
	someNodes      = []string{"n1", "n2"}
	someTags       = []string{"qos", "team"}
	someValues     = []string{"", "x", "y"}
)

func drawEvent(t *rapid.T) *rightsizerv1.Event {
	pick := func(from []string, label string) string { return rapid.SampledFrom(from).Draw(t, label) }
	ev := &rightsizerv1.Event{
		Type:      pick(someTypes, "type"),
		Severity:  rightsizerv1.Severity(rapid.Int32Range(1, 4).Draw(t, "severity")),
		Namespace: pick(append([]string{""}, someNamespaces...), "namespace"),
		Node:      pick(append([]string{""}, someNodes...), "node"),
		Message:   strings.Repeat("m", rapid.IntRange(0, 300).Draw(t, "message")),
	}
	if rapid.Bool().Draw(t, "owned") {
		ev.Workload = &rightsizerv1.WorkloadRef{Kind: pick(someKinds, "kind"), Name: pick(someNames, "name")}
	}
	ev.Tags = rapid.MapOfN(rapid.SampledFrom(someTags), rapid.SampledFrom(someValues), 0, 2).Draw(t, "tags")
	return ev
}

func drawIncident(t *rapid.T) *rightsizerv1.Incident {
	in := &rightsizerv1.Incident{Severity: rightsizerv1.Severity(rapid.Int32Range(1, 4).Draw(t, "severity"))}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		in.Members = append(in.Members, &rightsizerv1.IncidentMember{
			Type:      rapid.SampledFrom(someTypes).Draw(t, "type"),
			Severity:  rightsizerv1.Severity(rapid.Int32Range(1, 4).Draw(t, "member's severity")),
			Namespace: rapid.SampledFrom(append([]string{""}, someNamespaces...)).Draw(t, "namespace"),
			Workload:  &rightsizerv1.WorkloadRef{Kind: "Job", Name: rapid.SampledFrom(someNames).Draw(t, "name")},
		})
	}
	in.MemberCount = int32(len(in.GetMembers()))
	return in
}

// drawMessage draws what is published: an event mostly.
func drawMessage(t *rapid.T) *rightsizerv1.StreamEventsResponse {
	switch rapid.IntRange(0, 9).Draw(t, "kind of message") {
	case 0:
		return &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Resync{
			Resync: &rightsizerv1.StreamResync{Scope: "pods"},
		}}
	case 1:
		return &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: drawIncident(t)}}
	default:
		return &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: drawEvent(t)}}
	}
}

// secretType is the type that these tests publish as confidential.
const secretType = "dashboard.connected"

func secret(msg *rightsizerv1.StreamEventsResponse) bool {
	return msg.GetEvent().GetType() == secretType
}

// drawPublished is drawMessage, and now and then what is confidential.
func drawPublished(t *rapid.T) *rightsizerv1.StreamEventsResponse {
	if rapid.IntRange(0, 4).Draw(t, "confidential") > 0 {
		return drawMessage(t)
	}
	ev := drawEvent(t)
	ev.Type, ev.Namespace = secretType, ""
	return &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: ev}}
}

func publish(b *bus.Bus, msg *rightsizerv1.StreamEventsResponse) {
	switch m := msg.GetMessage().(type) {
	case *rightsizerv1.StreamEventsResponse_Event:
		if secret(msg) {
			b.PublishConfidential(m.Event)
			return
		}
		b.Publish(m.Event)
	case *rightsizerv1.StreamEventsResponse_Incident:
		b.PublishIncident(m.Incident)
	case *rightsizerv1.StreamEventsResponse_Resync:
		b.Resync(m.Resync)
	}
}

// question is a filter as it was asked, within a scope.
type question struct {
	filter *rightsizerv1.EventFilter
	scope  []string // nil is everything
	trust  bool     // with what is confidential
}

func (q question) compile() *bus.Filter {
	scope := bus.AllNamespaces()
	if q.scope != nil {
		scope = bus.Namespaces(q.scope...)
	}
	if q.trust {
		scope = scope.WithConfidential()
	}
	return bus.Compile(q.filter, scope)
}

func drawQuestion(t *rapid.T) question {
	some := func(from []string, label string) []string {
		if rapid.IntRange(0, 2).Draw(t, label+"?") > 0 {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(from), 0, 3).Draw(t, label)
	}
	f := &rightsizerv1.EventFilter{
		EventTypes: some(somePatterns, "types"),
		Namespaces: some(someNamespaces, "namespaces"),
		Workloads:  some(someWorkloads, "workloads"),
		Nodes:      some(someNodes, "nodes"),
	}
	if rapid.IntRange(0, 2).Draw(t, "tags?") == 0 {
		f.Tags = rapid.MapOfN(rapid.SampledFrom(someTags), rapid.SampledFrom(someValues), 0, 2).Draw(t, "tags")
	}
	severity := rapid.Custom(func(t *rapid.T) rightsizerv1.Severity {
		return rightsizerv1.Severity(rapid.Int32Range(1, 4).Draw(t, "severity"))
	})
	if rapid.IntRange(0, 2).Draw(t, "severities?") == 0 {
		f.Severities = rapid.SliceOfNDistinct(severity, 0, 4, rapid.ID).Draw(t, "severities")
	}
	if rapid.IntRange(0, 2).Draw(t, "least?") == 0 {
		f.MinSeverity = severity.Draw(t, "least")
	}
	q := question{filter: f, trust: rapid.Bool().Draw(t, "trusted")}
	if rapid.Bool().Draw(t, "scoped") {
		q.scope = append([]string{}, rapid.SliceOfNDistinct(rapid.SampledFrom(someNamespaces), 0, 3, rapid.ID).Draw(t, "scope")...)
	}
	return q
}

// everywhere says that the question leaves no namespace out.
func (q question) everywhere() bool { return q.scope == nil && len(q.filter.GetNamespaces()) == 0 }

// sees says whether the question is about a namespace, by the words of
// filter.proto.
func (q question) sees(ns string) bool {
	asked := len(q.filter.GetNamespaces()) == 0 || slices.Contains(q.filter.GetNamespaces(), ns)
	return asked && (q.scope == nil || slices.Contains(q.scope, ns))
}

func (q question) severe(s rightsizerv1.Severity) bool {
	f := q.filter
	return (len(f.GetSeverities()) == 0 || slices.Contains(f.GetSeverities(), s)) && s >= f.GetMinSeverity()
}

func (q question) typed(t string) bool {
	if len(q.filter.GetEventTypes()) == 0 {
		return true
	}
	for _, want := range q.filter.GetEventTypes() {
		if want == t || strings.HasSuffix(want, ".*") && strings.HasPrefix(t, strings.TrimSuffix(want, "*")) {
			return true
		}
	}
	return false
}

func (q question) owned(w *rightsizerv1.WorkloadRef) bool {
	if len(q.filter.GetWorkloads()) == 0 {
		return true
	}
	return slices.Contains(q.filter.GetWorkloads(), w.GetName()) ||
		slices.Contains(q.filter.GetWorkloads(), w.GetKind()+"/"+w.GetName())
}

// worst is how bad an incident is by what of it is in scope.
func (q question) worst(in *rightsizerv1.Incident) rightsizerv1.Severity {
	hidden, worst := false, rightsizerv1.Severity_SEVERITY_INFO
	for _, m := range in.GetMembers() {
		if q.scope != nil && !slices.Contains(q.scope, m.GetNamespace()) {
			hidden = true
			continue
		}
		worst = max(worst, m.GetSeverity())
	}
	if !hidden {
		return in.GetSeverity()
	}
	return worst
}

// wants is the filter's contract, evaluated as plainly as it can be said.
func (q question) wants(msg *rightsizerv1.StreamEventsResponse) bool {
	f := q.filter
	if in := msg.GetIncident(); in != nil {
		if len(f.GetNodes()) > 0 || len(f.GetTags()) > 0 || !q.severe(q.worst(in)) {
			return false
		}
		if q.everywhere() && len(f.GetEventTypes()) == 0 && len(f.GetWorkloads()) == 0 {
			return true
		}
		return slices.ContainsFunc(in.GetMembers(), func(m *rightsizerv1.IncidentMember) bool {
			return q.typed(m.GetType()) && q.sees(m.GetNamespace()) && q.owned(m.GetWorkload())
		})
	}
	ev := msg.GetEvent()
	if ev == nil {
		return true
	}
	for k, v := range f.GetTags() {
		if got, ok := ev.GetTags()[k]; !ok || got != v {
			return false
		}
	}
	return q.severe(ev.GetSeverity()) && q.typed(ev.GetType()) && q.sees(ev.GetNamespace()) && q.owned(ev.GetWorkload()) &&
		(len(f.GetNodes()) == 0 || slices.Contains(f.GetNodes(), ev.GetNode()))
}

// takes is wants of what is published: who sees only some namespaces is never
// trusted with what is confidential.
func (q question) takes(msg *rightsizerv1.StreamEventsResponse) bool {
	return q.wants(msg) && (!secret(msg) || q.trust && q.scope == nil)
}

// narrow says that the question leaves out some of what its namespaces hold.
func (q question) narrow() bool {
	f := q.filter
	all := true
	for s := rightsizerv1.Severity_SEVERITY_INFO; s <= rightsizerv1.Severity_SEVERITY_CRITICAL; s++ {
		all = all && q.severe(s)
	}
	return len(f.GetEventTypes()) > 0 || len(f.GetTags()) > 0 || len(f.GetWorkloads()) > 0 || len(f.GetNodes()) > 0 || !all
}

// visibility is what a reader may be told about a lost message.
type visibility int

const (
	invisible visibility = iota
	visible
	unclear // an incident across namespaces: not remembered in full
)

// visibility of a message that is lost to who asked, by namespace alone.
func (q question) visibility(msg *rightsizerv1.StreamEventsResponse) visibility {
	if secret(msg) && (!q.trust || q.scope != nil) {
		return invisible
	}
	namespaces := make(map[string]bool)
	switch m := msg.GetMessage().(type) {
	case *rightsizerv1.StreamEventsResponse_Event:
		namespaces[m.Event.GetNamespace()] = true
	case *rightsizerv1.StreamEventsResponse_Incident:
		for _, member := range m.Incident.GetMembers() {
			namespaces[member.GetNamespace()] = true
		}
	default:
		return visible
	}
	if q.everywhere() {
		return visible
	}
	if len(namespaces) > 1 {
		return unclear
	}
	for ns := range namespaces {
		if q.sees(ns) {
			return visible
		}
	}
	return invisible
}
