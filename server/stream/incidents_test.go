package stream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// incidents is a fixed list.
type incidents []*rightsizerv1.Incident

func (in incidents) Incidents() []*rightsizerv1.Incident { return in }

func (in incidents) IncidentOf(string) (id, namespace string) { return "", "" }

// crowded is a list whose incidents have members that they do not list: by problem,
// the incident and the namespace.
type crowded struct {
	incidents
	unlisted map[string][2]string
}

func (c crowded) IncidentOf(problem string) (id, namespace string) {
	return c.unlisted[problem][0], c.unlisted[problem][1]
}

// incident changed n seconds after some moment and has a member in each of some
// namespaces, the first of which is the root.
func incident(n int, severity rightsizerv1.Severity, state rightsizerv1.IncidentState, namespaces ...string) *rightsizerv1.Incident {
	at := time.Unix(1_800_000_000, 0)
	in := &rightsizerv1.Incident{
		Id: fmt.Sprintf("%032x", n), State: state, Severity: severity, Rule: "node_down", Summary: "All of it.",
		OpenedTime: timestamppb.New(at), UpdatedTime: timestamppb.New(at.Add(time.Duration(n) * time.Second)), Cluster: "c1",
		MemberCount: int32(len(namespaces)),
	}
	for i, ns := range namespaces {
		in.Members = append(in.Members, &rightsizerv1.IncidentMember{
			ProblemId: fmt.Sprintf("%032x", 1000*n+i), Namespace: ns, Severity: severity - rightsizerv1.Severity(i),
			OpenedTime: timestamppb.New(at.Add(time.Duration(i) * time.Second)),
		})
	}
	in.RootProblemId = in.GetMembers()[0].GetProblemId()
	return in
}

const (
	isOpen   = rightsizerv1.IncidentState_INCIDENT_STATE_OPEN
	isOver   = rightsizerv1.IncidentState_INCIDENT_STATE_RESOLVED
	warning  = rightsizerv1.Severity_SEVERITY_WARNING
	critical = rightsizerv1.Severity_SEVERITY_CRITICAL
)

func ids(resp *rightsizerv1.ListIncidentsResponse) string {
	var out strings.Builder
	for _, in := range resp.GetIncidents() {
		out.WriteString(in.GetId()[31:])
	}
	return out.String()
}

func TestListIncidents(t *testing.T) {
	s := start(t, bus.Options{}, stream.Options{Incidents: incidents{
		incident(1, warning, isOpen, "shop"), incident(3, critical, isOver, "shop", "bank"),
		incident(2, critical, isOpen, "bank"), incident(4, critical, isOpen, "", "shop"),
	}})
	for name, c := range map[string]struct {
		req  *rightsizerv1.ListIncidentsRequest
		want string
	}{
		"all, the latest changed first": {&rightsizerv1.ListIncidentsRequest{}, "4321"},
		"by namespace":                  {&rightsizerv1.ListIncidentsRequest{Namespaces: []string{"bank"}}, "32"},
		"by state":                      {&rightsizerv1.ListIncidentsRequest{State: isOver}, "3"},
		"by severity":                   {&rightsizerv1.ListIncidentsRequest{MinSeverity: critical}, "432"},
		"by all":                        {&rightsizerv1.ListIncidentsRequest{MinSeverity: critical, State: isOpen, Namespaces: []string{"shop"}}, "4"},
		"by problem":                    {&rightsizerv1.ListIncidentsRequest{ProblemIds: []string{fmt.Sprintf("%032x", 3001), fmt.Sprintf("%032x", 2000)}}, "32"},
		"by id":                         {&rightsizerv1.ListIncidentsRequest{Ids: []string{fmt.Sprintf("%032x", 1)}}, "1"},
		"no such":                       {&rightsizerv1.ListIncidentsRequest{Namespaces: []string{"none"}}, ""},
	} {
		resp, err := s.events().ListIncidents(t.Context(), c.req)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, ids(resp), name)
		assert.Empty(t, resp.GetNextPageToken(), name)
		for _, in := range resp.GetIncidents() {
			assert.Equal(t, "All of it.", in.GetSummary(), "all may be seen, whatever matches")
		}
	}

	_, err := s.events().ListIncidents(t.Context(), &rightsizerv1.ListIncidentsRequest{Cluster: "another"})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
}

// An incident is found by a problem that it has no room to list, by who may see
// that problem.
func TestListIncidentsByAProblemThatIsNotListed(t *testing.T) {
	list := incidents{incident(1, warning, isOpen, "shop", "bank"), incident(2, warning, isOpen, "shop", "bank")}
	shop, bank, gone := strings.Repeat("a", 32), strings.Repeat("b", 32), strings.Repeat("c", 32)
	s := start(t, bus.Options{}, stream.Options{Scope: sees("shop"), Incidents: crowded{list, map[string][2]string{
		shop: {list[0].GetId(), "shop"}, bank: {list[1].GetId(), "bank"}, gone: {strings.Repeat("d", 32), "shop"},
	}}})
	for _, c := range []struct {
		problems []string
		allowed  bool
		want     string
	}{
		{[]string{shop}, false, "1"},
		{[]string{bank}, false, "2"},
		{[]string{bank, shop}, false, "21"},
		{[]string{gone}, false, ""},
		{[]string{shop}, true, "1"},
		{[]string{bank}, true, ""},
		{[]string{bank, list[0].GetMembers()[1].GetProblemId()}, true, ""},
	} {
		resp, err := s.events().ListIncidents(t.Context(), &rightsizerv1.ListIncidentsRequest{ProblemIds: c.problems, AllowedOnly: c.allowed})
		require.NoError(t, err)
		assert.Equal(t, c.want, ids(resp), "%v", c)
	}
}

func TestListIncidentsByPages(t *testing.T) {
	list := make(incidents, 0, 7)
	for n := range 7 {
		list = append(list, incident(n/2+1, warning, isOpen, "shop"))
		list[n].Id = fmt.Sprintf("%032x", n)
	}
	s := start(t, bus.Options{}, stream.Options{Incidents: list})
	req := &rightsizerv1.ListIncidentsRequest{PageSize: 3}
	var got strings.Builder
	for n := 0; n == 0 || req.GetPageToken() != ""; n++ {
		require.Less(t, n, 4)
		resp, err := s.events().ListIncidents(t.Context(), req)
		require.NoError(t, err)
		require.LessOrEqual(t, len(resp.GetIncidents()), 3)
		got.WriteString(ids(resp))
		req.PageToken = resp.GetNextPageToken()
	}
	assert.Equal(t, "6452301", got.String(), "the latest changed first, then by id, each once")

	first, err := s.events().ListIncidents(t.Context(), &rightsizerv1.ListIncidentsRequest{PageSize: 1})
	require.NoError(t, err)
	_, err = s.events().ListIncidents(t.Context(), &rightsizerv1.ListIncidentsRequest{PageToken: first.GetNextPageToken(), State: isOpen})
	assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err), "a page of another list")
}

func TestListIncidentsWithoutAny(t *testing.T) {
	s := start(t, bus.Options{}, stream.Options{})
	resp, err := s.events().ListIncidents(t.Context(), &rightsizerv1.ListIncidentsRequest{})
	require.NoError(t, err)
	assert.Empty(t, resp.GetIncidents())
}

// Who may not see all members is told nothing of the others.
func TestListIncidentsShowsVisibleMembers(t *testing.T) {
	whole := incident(1, critical, isOpen, "", "shop", "bank")
	s := start(t, bus.Options{}, stream.Options{
		Incidents: incidents{whole, incident(2, critical, isOpen, "bank"), incident(3, warning, isOpen, "shop")},
		Scope: func(_ context.Context, f *rightsizerv1.EventFilter) (bus.Scope, error) {
			assert.True(t, f.GetAllowedOnly())
			return bus.Namespaces("shop"), nil
		},
	})
	resp, err := s.events().ListIncidents(t.Context(), &rightsizerv1.ListIncidentsRequest{AllowedOnly: true})
	require.NoError(t, err)
	require.Equal(t, "31", ids(resp))
	assert.Equal(t, "All of it.", resp.GetIncidents()[0].GetSummary())
	in := resp.GetIncidents()[1]
	require.Len(t, in.GetMembers(), 1)
	assert.Equal(t, "shop", in.GetMembers()[0].GetNamespace())
	assert.Equal(t, int32(1), in.GetMemberCount())
	assert.Empty(t, in.GetRootProblemId())
	assert.NotEqual(t, "All of it.", in.GetSummary())
	assert.Equal(t, critical-1, in.GetSeverity())
	assert.Equal(t, start1(whole), in.GetOpenedTime().AsTime())
}

// sees is a scope of one namespace for whoever says allowed_only.
func sees(namespace string) func(context.Context, *rightsizerv1.EventFilter) (bus.Scope, error) {
	return func(_ context.Context, f *rightsizerv1.EventFilter) (bus.Scope, error) {
		if f.GetAllowedOnly() {
			return bus.Namespaces(namespace), nil
		}
		return bus.AllNamespaces(), nil
	}
}

// An incident on a stream lists what a client takes by default, of whom all agree how
// many there are: the root, what goes on, then the oldest.
func TestStreamsShowLargeIncidentsInBrief(t *testing.T) {
	t.Parallel()
	large := incident(1, critical, isOpen, slices.Repeat([]string{"shop"}, 256)...)
	large.RootProblemId = large.GetMembers()[200].GetProblemId()
	for i, m := range large.GetMembers() {
		m.Phase, m.Message = rightsizerv1.Phase_PHASE_RESOLVED, strings.Repeat("m", 100)
		if i >= 240 {
			m.Phase = rightsizerv1.Phase_PHASE_OPENED
		}
	}
	wordy := incident(2, critical, isOpen, slices.Repeat([]string{"shop"}, 64)...)
	for _, m := range wordy.GetMembers() {
		m.Message = strings.Repeat(`"`, 1000)
	}
	huge := incident(3, critical, isOpen, "shop", "shop")
	huge.Members[0].Message, huge.Members[1].Message = strings.Repeat("m", 40<<10), "m"
	overAll(t, bus.Options{}, stream.Options{Incidents: incidents{large, wordy, huge}, Scope: sees("shop")}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		for _, filter := range []*rightsizerv1.EventFilter{nil, {AllowedOnly: true}} {
			r := open(t, c, filter, "")
			require.NotNil(t, r.next().GetOpened())
			briefly := func() {
				t.Helper()
				msg := r.next()
				in := msg.GetIncident()
				require.NotNil(t, in)
				assert.EqualValues(t, 256, in.GetMemberCount())
				assert.Equal(t, large.GetSummary(), in.GetSummary())
				n, all := len(in.GetMembers()), large.GetMembers()
				require.True(t, n > 40 && n <= 64, n)
				for i, want := range slices.Concat(all[:n-17], all[200:201], all[240:]) { // the oldest, the root, what goes on
					require.Equal(t, want.GetProblemId(), in.GetMembers()[i].GetProblemId())
				}
				text, err := protojson.Marshal(msg)
				require.NoError(t, err)
				assert.Less(t, len(text), 32<<10)
			}
			briefly()
			text, err := protojson.Marshal(r.next())
			require.NoError(t, err)
			assert.Less(t, len(text), 32<<10)
			assert.Greater(t, len(text), 20<<10, "as many as there is room for")
			require.Equal(t, 1, len(r.next().GetIncident().GetMembers()), "one at least") //nolint:testifylint // Len prints them
			require.NotNil(t, r.next().GetSynced())
			s.bus.PublishIncident(large)
			briefly()
		}
	})
}

// A snapshot holds the incidents that go on, and each reader is shown of them, in
// the snapshot and live, what he may see.
func TestStreamsShowOpenIncidentsWithVisibleMembers(t *testing.T) {
	t.Parallel()
	whole := incident(4, critical, isOpen, "", "shop", "bank")
	list := incidents{incident(3, warning, isOpen, "shop"), incident(2, critical, isOver, "shop"), incident(1, critical, isOpen, "bank"), whole}
	overAll(t, bus.Options{}, stream.Options{Incidents: list, Scope: sees("shop")}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		s.problems = []*rightsizerv1.Event{event("shop", 100)}
		snapshot := func(r *reading) (out []*rightsizerv1.Incident) {
			t.Helper()
			require.NotNil(t, r.next().GetOpened().GetReset_())
			require.Equal(t, "pod-100", r.next().GetEvent().GetObject().GetName(), "events first")
			for {
				msg := r.next()
				if msg.GetSynced() != nil {
					return out
				}
				require.NotNil(t, msg.GetIncident())
				assert.Empty(t, msg.GetPosition())
				out = append(out, msg.GetIncident())
			}
		}
		everybody := open(t, c, nil, "")
		all := snapshot(everybody)
		require.Len(t, all, 3, "what goes on")
		assert.Equal(t, whole.GetSummary(), all[2].GetSummary())
		require.Len(t, all[2].GetMembers(), 3)

		shop := open(t, c, &rightsizerv1.EventFilter{AllowedOnly: true}, "")
		some := snapshot(shop)
		require.Len(t, some, 2)
		assert.Equal(t, list[0].GetId(), some[0].GetId())
		require.Len(t, some[1].GetMembers(), 1)
		assert.Equal(t, "shop", some[1].GetMembers()[0].GetNamespace())

		urgent := open(t, c, &rightsizerv1.EventFilter{AllowedOnly: true, MinSeverity: critical}, "")
		require.NotNil(t, urgent.next().GetOpened())
		require.NotNil(t, urgent.next().GetSynced(), "what makes it critical may not be seen")

		worse := proto.CloneOf(whole)
		worse.Members[1].Message = "Once more."
		s.bus.PublishIncident(worse)
		s.publish("shop", 7, 8)
		assert.Len(t, everybody.next().GetIncident().GetMembers(), 3)
		live := shop.next()
		require.Len(t, live.GetIncident().GetMembers(), 1)
		assert.Equal(t, "shop", live.GetIncident().GetMembers()[0].GetNamespace())
		assert.NotContains(t, live.GetIncident().GetSummary(), whole.GetSummary())
		assert.NotEmpty(t, live.GetPosition())
		assert.NotNil(t, shop.next().GetEvent())
		again := open(t, c, &rightsizerv1.EventFilter{AllowedOnly: true}, live.GetPosition())
		require.NotNil(t, again.next().GetOpened().GetResumed())
		assert.Equal(t, "pod-7", again.next().GetEvent().GetObject().GetName(), "the position of what was cut")
	})
}

// elsewhere is an incident in which nothing changed that who sees shop alone may
// see.
func elsewhere(in *rightsizerv1.Incident) *rightsizerv1.Incident {
	next := proto.CloneOf(in)
	next.Severity, next.Confidence, next.Rule, next.Summary = critical, in.GetConfidence()/2+0.1, in.GetRule()+"_2", "More."
	next.UpdatedTime = timestamppb.New(in.GetUpdatedTime().AsTime().Add(time.Second))
	next.State, next.ResolvedTime = isOver, next.GetUpdatedTime()
	next.Members = append(next.GetMembers(), &rightsizerv1.IncidentMember{
		ProblemId: strings.Repeat("f", 32), Namespace: "vault", Severity: critical,
		OpenedTime: next.GetUpdatedTime(), UpdatedTime: next.GetUpdatedTime(),
	})
	next.MemberCount++
	return next
}

// What changes of an incident where a reader may not look is not told to him: not
// by its fields, and not by a message that says the same once more.
func TestWhatChangesElsewhereIsNotTold(t *testing.T) {
	t.Parallel()
	whole := incident(4, warning, isOpen, "", "shop", "bank")
	changed := elsewhere(whole)
	overAll(t, bus.Options{}, stream.Options{Scope: sees("shop")}, func(t *testing.T, s *server, c streamtest.Client) {
		t.Helper()
		all := open(t, c, nil, "")
		shop := open(t, c, &rightsizerv1.EventFilter{AllowedOnly: true}, "")
		infos := open(t, c, &rightsizerv1.EventFilter{AllowedOnly: true, Severities: []rightsizerv1.Severity{warning - 1}}, "")
		for _, r := range []*reading{all, shop, infos} {
			require.NotNil(t, r.next().GetOpened())
			require.NotNil(t, r.next().GetSynced())
		}
		s.bus.PublishIncident(whole)
		s.bus.PublishIncident(changed)
		over := elsewhere(changed)
		over.Members[1].Phase = rightsizerv1.Phase_PHASE_RESOLVED
		s.bus.PublishIncident(over)
		s.publish("shop", 7, 8)
		for range 3 {
			require.NotNil(t, all.next().GetIncident())
		}
		for _, r := range []*reading{shop, infos} {
			assert.Equal(t, isOpen, r.next().GetIncident().GetState())
			last := r.next().GetIncident()
			assert.Equal(t, isOver, last.GetState(), "what changes in shop is told")
			assert.Equal(t, last.GetUpdatedTime().AsTime(), last.GetResolvedTime().AsTime())
		}
		assert.NotNil(t, shop.next().GetEvent())
	})
}

// Lists tell no more: whatever differs elsewhere, the same is shown.
func TestListsOfIncidentsAreTheSameWhateverHappensElsewhere(t *testing.T) {
	whole := incident(4, warning, isOpen, "", "shop", "bank")
	var shown []*rightsizerv1.Incident
	for _, in := range []*rightsizerv1.Incident{whole, elsewhere(whole)} {
		s := start(t, bus.Options{}, stream.Options{Incidents: incidents{in}, Scope: sees("shop")})
		resp, err := s.events().ListIncidents(t.Context(), &rightsizerv1.ListIncidentsRequest{AllowedOnly: true, State: isOpen})
		require.NoError(t, err)
		require.Len(t, resp.GetIncidents(), 1)
		shown = append(shown, resp.GetIncidents()[0])
	}
	assert.True(t, proto.Equal(shown[0], shown[1]), "%v\n%v", shown[0], shown[1])
	assert.Equal(t, start1(whole), shown[0].GetUpdatedTime().AsTime())
}

// start1 is when the second member began.
func start1(in *rightsizerv1.Incident) time.Time { return in.GetMembers()[1].GetOpenedTime().AsTime() }
