package bus_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// compareWithNaive draws a filter and messages, and judges them both ways.
func compareWithNaive(t *rapid.T) {
	q := drawQuestion(t)
	compiled := q.compile()
	for range 8 {
		msg := drawMessage(t)
		require.Equal(t, q.wants(msg), compiled.MatchesMessage(msg), "filter %v in scope %v, message %v", q.filter, q.scope, msg)
		if ev := msg.GetEvent(); ev != nil {
			require.Equal(t, q.wants(msg), compiled.MatchesEvent(ev))
		}
	}
}

func TestFilterIsWhatItSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, compareWithNaive)
}

func FuzzFilter(f *testing.F) { f.Fuzz(rapid.MakeFuzz(compareWithNaive)) }

// FuzzFilterOfForeignBytes compiles filters that no validation has seen, out of
// the JSON that a WebSocket could send: none may panic, whatever the event.
func FuzzFilterOfForeignBytes(f *testing.F) {
	f.Add([]byte(`{"eventTypes":["pod.*","*",""],"severities":[-1,7,300],"minSeverity":-2}`), int32(-1))
	f.Add([]byte(`{"workloads":["/","a/b/c","/x"],"namespaces":[""],"tags":{"":""},"minSeverity":9}`), int32(64))
	f.Fuzz(func(_ *testing.T, filter []byte, severity int32) {
		var asked rightsizerv1.EventFilter
		if protojson.Unmarshal(filter, &asked) != nil {
			return
		}
		for _, scope := range []bus.Scope{bus.AllNamespaces(), bus.Namespaces("a"), {}} {
			compiled := bus.Compile(&asked, scope)
			compiled.MatchesEvent(&rightsizerv1.Event{Severity: rightsizerv1.Severity(severity)})
			compiled.MatchesMessage(&rightsizerv1.StreamEventsResponse{})
		}
	})
}

func TestScopeBoundsWhatIsSeen(t *testing.T) {
	t.Parallel()
	in := func(ns string) *rightsizerv1.Event { return &rightsizerv1.Event{Namespace: ns} }
	asks := func(namespaces ...string) *rightsizerv1.EventFilter {
		return &rightsizerv1.EventFilter{Namespaces: namespaces}
	}
	for name, c := range map[string]struct {
		filter  *rightsizerv1.EventFilter
		scope   bus.Scope
		sees    []string
		refuses []string
	}{
		"all, asking for nothing":        {nil, bus.AllNamespaces(), []string{"a", "b", ""}, nil},
		"all, asking for one":            {asks("a"), bus.AllNamespaces(), []string{"a"}, []string{"b", ""}},
		"some, asking for nothing":       {nil, bus.Namespaces("a", "b"), []string{"a", "b"}, []string{"c", ""}},
		"some, asking beyond them":       {asks("b", "c"), bus.Namespaces("a", "b"), []string{"b"}, []string{"a", "c", ""}},
		"some, asking for others only":   {asks("c"), bus.Namespaces("a"), nil, []string{"a", "c", ""}},
		"none":                           {nil, bus.Namespaces(), nil, []string{"a", ""}},
		"the zero value":                 {asks("a"), bus.Scope{}, nil, []string{"a", ""}},
		"cluster-scoped objects granted": {nil, bus.Namespaces(""), []string{""}, []string{"a"}},
	} {
		compiled := bus.Compile(c.filter, c.scope)
		for _, ns := range c.sees {
			assert.True(t, compiled.MatchesEvent(in(ns)), "%s: %q", name, ns)
		}
		for _, ns := range c.refuses {
			assert.False(t, compiled.MatchesEvent(in(ns)), "%s: %q", name, ns)
		}
		assert.True(t, compiled.MatchesMessage(&rightsizerv1.StreamEventsResponse{
			Message: &rightsizerv1.StreamEventsResponse_Resync{Resync: &rightsizerv1.StreamResync{}},
		}), "%s: what the operator could not see concerns everybody", name)
	}
}
