package stream

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/page"
)

// Incidents lists problems joined by their probable cause, in any order; nobody
// changes what it returns.
type Incidents interface {
	Incidents() []*rightsizerv1.Incident
	// IncidentOf is the id of the incident that a problem is in now, which may be
	// too large to list it, and the namespace of the problem; empty for none.
	IncidentOf(problem string) (id, namespace string)
}

// ListIncidents implements EventServiceHandler. The cursor of its pages is the
// place of the last incident shown, so that what comes and goes meanwhile neither
// repeats nor hides others; an incident that changes meanwhile moves to the front.
func (s *Service) ListIncidents(ctx context.Context, req *rightsizerv1.ListIncidentsRequest) (*rightsizerv1.ListIncidentsResponse, error) {
	if err := s.hub.ownCluster(req.GetCluster()); err != nil {
		return nil, err
	}
	cursor, err := page.Cursor(req)
	if err != nil {
		return nil, err
	}
	after, err := parsePlace(cursor)
	if err != nil {
		return nil, err
	}
	scope, err := s.hub.Scope(ctx, &rightsizerv1.EventFilter{Namespaces: req.GetNamespaces(), AllowedOnly: req.GetAllowedOnly()})
	if err != nil {
		return nil, err
	}
	resp := &rightsizerv1.ListIncidentsResponse{}
	if s.hub.opts.Incidents == nil {
		return resp, nil
	}
	seen := bus.Compile(nil, scope)
	having := s.hub.having(req.GetProblemIds(), seen)
	var found []*rightsizerv1.Incident
	for _, in := range s.hub.opts.Incidents.Incidents() {
		in = visible(in, seen)
		if in == nil || !wanted(in, req, having) || cursor != "" && after.compare(placeOf(in)) >= 0 {
			continue
		}
		found = append(found, in)
	}
	slices.SortFunc(found, func(a, b *rightsizerv1.Incident) int { return placeOf(a).compare(placeOf(b)) })
	room := page.RoomFor(req.GetPageSize())
	end := slices.IndexFunc(found, func(in *rightsizerv1.Incident) bool { return !room.Take(in) })
	if end > 0 {
		found = found[:end]
		resp.NextPageToken = page.Token(req, placeOf(found[end-1]).String())
	}
	resp.Incidents = found
	return resp, nil
}

// openIncidents are those that go on, the oldest first.
func (h *Hub) openIncidents() []*rightsizerv1.Incident {
	if h.opts.Incidents == nil {
		return nil
	}
	open := slices.DeleteFunc(slices.Clone(h.opts.Incidents.Incidents()), func(in *rightsizerv1.Incident) bool {
		return in.GetState() != rightsizerv1.IncidentState_INCIDENT_STATE_OPEN
	})
	slices.SortFunc(open, func(a, b *rightsizerv1.Incident) int {
		return cmp.Or(cmp.Compare(unixNano(a.GetOpenedTime()), unixNano(b.GetOpenedTime())), strings.Compare(a.GetId(), b.GetId()))
	})
	return open
}

// having are the incidents of problems that a caller may see.
func (h *Hub) having(problems []string, seen *bus.Filter) []string {
	var out []string
	for _, problem := range problems {
		id, namespace := h.opts.Incidents.IncidentOf(problem)
		if id != "" && seen.MatchesEvent(&rightsizerv1.Event{Namespace: namespace}) {
			out = append(out, id)
		}
	}
	return out
}

// wanted says whether an incident is one of those that the request asks for;
// having are those that have its problems now, listed or not.
func wanted(in *rightsizerv1.Incident, req *rightsizerv1.ListIncidentsRequest, having []string) bool {
	if state := req.GetState(); state != rightsizerv1.IncidentState_INCIDENT_STATE_UNSPECIFIED && in.GetState() != state {
		return false
	}
	if in.GetSeverity() < req.GetMinSeverity() {
		return false
	}
	if len(req.GetIds()) > 0 && !slices.Contains(req.GetIds(), in.GetId()) {
		return false
	}
	if len(req.GetProblemIds()) > 0 && !slices.Contains(having, in.GetId()) && !slices.ContainsFunc(in.GetMembers(), func(m *rightsizerv1.IncidentMember) bool {
		return slices.Contains(req.GetProblemIds(), m.GetProblemId())
	}) {
		return false
	}
	return len(req.GetNamespaces()) == 0 || slices.ContainsFunc(in.GetMembers(), func(m *rightsizerv1.IncidentMember) bool {
		return slices.Contains(req.GetNamespaces(), m.GetNamespace())
	})
}

// visible is what a caller may see of an incident: its members in the namespaces
// that he may read; nil where there are none. What would tell of the others is
// left out: the summary, the root, how many there are, how bad, since when, and
// when it changed.
func visible(in *rightsizerv1.Incident, seen *bus.Filter) *rightsizerv1.Incident {
	var members []*rightsizerv1.IncidentMember
	root, severity, state := "", rightsizerv1.Severity_SEVERITY_INFO, rightsizerv1.IncidentState_INCIDENT_STATE_RESOLVED
	var updated *timestamppb.Timestamp
	for _, m := range in.GetMembers() {
		if !seen.MatchesEvent(&rightsizerv1.Event{Namespace: m.GetNamespace()}) {
			continue
		}
		members = append(members, m)
		severity = max(severity, m.GetSeverity())
		if !over(m) {
			state = rightsizerv1.IncidentState_INCIDENT_STATE_OPEN
		}
		for _, at := range []*timestamppb.Timestamp{m.GetOpenedTime(), m.GetUpdatedTime()} {
			if unixNano(at) > unixNano(updated) {
				updated = at
			}
		}
		if m.GetProblemId() == in.GetRootProblemId() {
			root = m.GetProblemId()
		}
	}
	// Nobody but who may see everything knows of members that are not listed.
	all := seen.MatchesEvent(&rightsizerv1.Event{})
	switch {
	case len(members) == 0:
		return nil
	case len(members) == len(in.GetMembers()) && (all || len(members) == int(in.GetMemberCount())):
		return in
	}
	cut := &rightsizerv1.Incident{
		Id: in.GetId(), State: state, Severity: severity,
		Summary:       fmt.Sprintf("%d problems that you may see share a probable cause with others that you may not.", len(members)),
		RootProblemId: root, Members: members, MemberCount: int32(len(members)),
		OpenedTime: members[0].GetOpenedTime(), UpdatedTime: updated,
		Cluster: in.GetCluster(), MergedInto: in.GetMergedInto(),
	}
	if cut.GetMergedInto() != "" { // its end, whatever its members do elsewhere
		cut.State, cut.UpdatedTime = in.GetState(), in.GetUpdatedTime()
	}
	if cut.GetState() == rightsizerv1.IncidentState_INCIDENT_STATE_RESOLVED {
		cut.ResolvedTime = cut.GetUpdatedTime()
	}
	return cut
}

// over says that a member does not go on.
func over(m *rightsizerv1.IncidentMember) bool {
	return m.GetPhase() == rightsizerv1.Phase_PHASE_RESOLVED || m.GetPhase() == rightsizerv1.Phase_PHASE_POINT
}

// place is where an incident stands in the list: the latest changed first.
type place struct {
	changed int64 // Unix nanoseconds
	id      string
}

func placeOf(in *rightsizerv1.Incident) place {
	return place{changed: unixNano(in.GetUpdatedTime()), id: in.GetId()}
}

func unixNano(t *timestamppb.Timestamp) int64 {
	return t.GetSeconds()*1_000_000_000 + int64(t.GetNanos())
}

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(other.changed, p.changed), cmp.Compare(p.id, other.id))
}

func (p place) String() string { return strconv.FormatInt(p.changed, 10) + " " + p.id }

// parsePlace reads a cursor; the empty one is the zero place.
func parsePlace(cursor string) (place, error) {
	if cursor == "" {
		return place{}, nil
	}
	changed, id, ok := strings.Cut(cursor, " ")
	at, err := strconv.ParseInt(changed, 10, 64)
	if !ok || err != nil {
		return place{}, page.Stale()
	}
	return place{changed: at, id: id}, nil
}
