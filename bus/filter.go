package bus

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Scope is the set of namespaces that a reader may see. The zero value sees
// nothing; AllNamespaces sees everything.
type Scope struct {
	all          bool
	confidential bool
	namespaces   []string
}

// AllNamespaces is the scope of a reader who may see the whole cluster, but for what
// is confidential.
func AllNamespaces() Scope { return Scope{all: true} }

// WithConfidential is the scope with what PublishConfidential published, where the
// whole cluster is in it. Any other is left as it is.
func (s Scope) WithConfidential() Scope {
	s.confidential = s.all
	return s
}

// Confidential says that what is confidential is in scope.
func (s Scope) Confidential() bool { return s.confidential }

// All says that the whole cluster is in scope.
func (s Scope) All() bool { return s.all }

// Names are the namespaces in scope; none where all are. They must not be changed.
func (s Scope) Names() []string { return s.namespaces }

// Namespaces is the scope of a reader who may see these namespaces alone.
func Namespaces(names ...string) Scope { return Scope{namespaces: names} }

// Filter is a compiled EventFilter within a Scope. It is immutable, evaluated
// without allocation, and safe for concurrent use.
type Filter struct {
	types      map[string]struct{}
	prefixes   []string // `pod.*` is kept as `pod.`
	namespaces map[string]struct{}
	anywhere   bool                // no restriction by namespace
	scope      map[string]struct{} // what may be seen; not looked at where whole
	whole      bool                // all may be seen
	secrets    bool                // and what is confidential
	severities uint8               // a bit for each that passes
	tags       []tag
	workloads  []workload
	nodes      map[string]struct{}

	everything bool   // leaves nothing out, so that messages need not be looked at
	key        string // equal for filters that select the same in the same words
}

type tag struct{ key, value string }

type workload struct{ kind, name string }

// Compile turns a validated filter into its evaluated form. A nil filter selects
// everything in scope. `after` and `allowed_only` are not its concern.
func Compile(f *rightsizerv1.EventFilter, scope Scope) *Filter {
	c := &Filter{severities: severityBits(f), nodes: set(f.GetNodes())}
	for _, t := range f.GetEventTypes() {
		if prefix, ok := strings.CutSuffix(t, "*"); ok {
			c.prefixes = append(c.prefixes, prefix)
			continue
		}
		if c.types == nil {
			c.types = make(map[string]struct{})
		}
		c.types[t] = struct{}{}
	}
	c.whole, c.secrets, c.scope = scope.all, scope.confidential, set(scope.namespaces)
	c.namespaces, c.anywhere = visible(f.GetNamespaces(), c.scope, scope.all)
	for k, v := range f.GetTags() {
		c.tags = append(c.tags, tag{k, v})
	}
	for _, w := range f.GetWorkloads() {
		kind, name, ok := strings.Cut(w, "/")
		if !ok {
			kind, name = "", w
		}
		c.workloads = append(c.workloads, workload{kind, name})
	}
	c.everything = c.anywhere && c.namespacesOnly()
	c.key = c.canonical()
	return c
}

// visible is what is both asked for and in scope; true means all namespaces and
// cluster-scoped objects.
func visible(asked []string, allowed map[string]struct{}, all bool) (map[string]struct{}, bool) {
	if all {
		if len(asked) == 0 {
			return nil, true
		}
		return set(asked), false
	}
	if len(asked) == 0 {
		return allowed, false
	}
	both := make(map[string]struct{}, len(asked))
	for _, ns := range asked {
		if _, ok := allowed[ns]; ok {
			both[ns] = struct{}{}
		}
	}
	return both, false
}

func set(names []string) map[string]struct{} {
	if len(names) == 0 {
		return nil
	}
	m := make(map[string]struct{}, len(names))
	for _, n := range names {
		m[n] = struct{}{}
	}
	return m
}

const (
	allSeverities   = ^uint8(0)
	knownSeverities = 1<<rightsizerv1.Severity_SEVERITY_INFO | 1<<rightsizerv1.Severity_SEVERITY_WARNING |
		1<<rightsizerv1.Severity_SEVERITY_ERROR | 1<<rightsizerv1.Severity_SEVERITY_CRITICAL
)

// severityBits has a bit for each severity that passes; allSeverities whenever
// none is left out, in whatever words that was asked.
func severityBits(f *rightsizerv1.EventFilter) uint8 {
	var bits uint8
	for _, s := range f.GetSeverities() {
		bits |= severityBit(s)
	}
	if bits == 0 {
		bits = allSeverities
	}
	if least := severityBit(f.GetMinSeverity()); least > 0 {
		bits &^= least - 1
	}
	if bits&knownSeverities == knownSeverities {
		return allSeverities
	}
	return bits
}

// severityBit is 0 for a value that the schema does not know, negative ones
// included, which the wire can carry.
func severityBit(s rightsizerv1.Severity) uint8 { return 1 << uint32(s) }

// Matches says whether the entry passes.
func (c *Filter) Matches(e *Entry) bool {
	if e.confidential && !c.secrets {
		return false
	}
	return c.everything || c.MatchesMessage(&e.msg)
}

// MatchesMessage says whether a message passes: events and incidents by their
// fields, anything else always. What is confidential is known of entries alone.
func (c *Filter) MatchesMessage(msg *rightsizerv1.StreamEventsResponse) bool {
	if c.everything {
		return true
	}
	switch m := msg.GetMessage().(type) {
	case *rightsizerv1.StreamEventsResponse_Event:
		return c.MatchesEvent(m.Event)
	case *rightsizerv1.StreamEventsResponse_Incident:
		return c.matchesIncident(m.Incident)
	default:
		return true
	}
}

// MatchesEvent says whether an event passes.
func (c *Filter) MatchesEvent(ev *rightsizerv1.Event) bool {
	return c.severe(ev.GetSeverity()) &&
		c.matchesType(ev.GetType()) &&
		c.matchesNamespace(ev.GetNamespace()) &&
		c.matchesWorkload(ev.GetWorkload()) &&
		c.matchesNode(ev.GetNode()) &&
		c.matchesTags(ev.GetTags())
}

// severe says whether a severity passes. Without a restriction by severity all
// do, those that the schema does not know included.
func (c *Filter) severe(s rightsizerv1.Severity) bool {
	return c.severities == allSeverities || c.severities&severityBit(s) != 0
}

// matchesIncident passes an incident that has a member which would pass. Nodes
// and tags are not known of members, so a filter by them passes no incident.
func (c *Filter) matchesIncident(in *rightsizerv1.Incident) bool {
	if c.nodes != nil || c.tags != nil || !c.severe(c.severityOf(in)) {
		return false
	}
	if c.anywhere && c.types == nil && c.prefixes == nil && c.workloads == nil {
		return true
	}
	for _, m := range in.GetMembers() {
		if c.matchesType(m.GetType()) && c.matchesNamespace(m.GetNamespace()) && c.matchesWorkload(m.GetWorkload()) {
			return true
		}
	}
	return false
}

// severityOf is how bad an incident is to who may see these namespaces alone:
// what makes it worse elsewhere neither shows nor hides it.
func (c *Filter) severityOf(in *rightsizerv1.Incident) rightsizerv1.Severity {
	if c.whole {
		return in.GetSeverity()
	}
	worst, seen := rightsizerv1.Severity_SEVERITY_INFO, 0
	for _, m := range in.GetMembers() {
		if _, ok := c.scope[m.GetNamespace()]; ok {
			worst, seen = max(worst, m.GetSeverity()), seen+1
		}
	}
	if seen == int(in.GetMemberCount()) {
		return in.GetSeverity() // of all it ever had
	}
	return worst
}

func (c *Filter) matchesType(t string) bool {
	if c.types == nil && c.prefixes == nil {
		return true
	}
	if _, ok := c.types[t]; ok {
		return true
	}
	for _, p := range c.prefixes {
		if strings.HasPrefix(t, p) {
			return true
		}
	}
	return false
}

func (c *Filter) matchesNamespace(ns string) bool {
	if c.anywhere {
		return true
	}
	_, ok := c.namespaces[ns]
	return ok
}

func (c *Filter) matchesWorkload(w *rightsizerv1.WorkloadRef) bool {
	if c.workloads == nil {
		return true
	}
	for _, want := range c.workloads {
		if want.name == w.GetName() && (want.kind == "" || want.kind == w.GetKind()) {
			return true
		}
	}
	return false
}

func (c *Filter) matchesNode(node string) bool {
	if c.nodes == nil {
		return true
	}
	_, ok := c.nodes[node]
	return ok
}

func (c *Filter) matchesTags(tags map[string]string) bool {
	for _, want := range c.tags {
		if got, ok := tags[want.key]; !ok || got != want.value {
			return false
		}
	}
	return true
}

// namespacesOnly says whether the filter is no narrower than its namespaces, so
// that a loss counted by namespace is the exact one.
func (c *Filter) namespacesOnly() bool {
	return c.types == nil && c.prefixes == nil && c.tags == nil && c.workloads == nil &&
		c.nodes == nil && c.severities == allSeverities
}
