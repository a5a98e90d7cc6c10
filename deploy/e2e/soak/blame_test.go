//go:build soak

package soak_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

func entry(position, id string) *rightsizerv1.StreamEventsResponse {
	return &rightsizerv1.StreamEventsResponse{Position: position, Message: &rightsizerv1.StreamEventsResponse_Event{Event: &rightsizerv1.Event{
		Id: id, Type: "pod.oom_killed", Container: id, Details: &rightsizerv1.Event_OomKilled{OomKilled: &rightsizerv1.OomKilledDetails{}},
	}}}
}

func told(to string) *rightsizerv1.StreamEventsResponse {
	return &rightsizerv1.StreamEventsResponse{Position: to, Message: &rightsizerv1.StreamEventsResponse_Lost{Lost: &rightsizerv1.StreamLost{Count: 1, To: to}}}
}

// A ledger that never blames would prove nothing.
func TestTheLedgerFindsWhatItLooksFor(t *testing.T) {
	for name, c := range map[string]struct {
		second []*rightsizerv1.StreamEventsResponse
		wrong  bool
	}{
		"the same":                {[]*rightsizerv1.StreamEventsResponse{entry("1", "a"), entry("2", "b"), entry("3", "c")}, false},
		"one missed":              {[]*rightsizerv1.StreamEventsResponse{entry("1", "a"), entry("3", "c")}, true},
		"one missed, and told":    {[]*rightsizerv1.StreamEventsResponse{entry("1", "a"), told("2"), entry("3", "c")}, false},
		"another event":           {[]*rightsizerv1.StreamEventsResponse{entry("1", "a"), entry("2", "x")}, true},
		"an event again":          {[]*rightsizerv1.StreamEventsResponse{entry("1", "a"), entry("9", "a")}, true},
		"a silent jump of a beat": {[]*rightsizerv1.StreamEventsResponse{entry("1", "a"), beat("2")}, true},
	} {
		book := newLedger()
		first, second := &cursor{client: "first"}, &cursor{client: "second"}
		for _, msg := range []*rightsizerv1.StreamEventsResponse{entry("1", "a"), entry("2", "b"), entry("3", "c")} {
			book.take(first, msg)
		}
		for _, msg := range c.second {
			book.take(second, msg)
		}
		assert.Equal(t, c.wrong, len(book.wrong) > 0, "%s: %v", name, book.wrong)
	}
	early, book := &cursor{client: "before the first picture", snapshot: true}, newLedger()
	for _, msg := range []*rightsizerv1.StreamEventsResponse{resync("1"), entry("2", "b"), resync("3")} {
		book.take(early, msg)
	}
	for late, i := (&cursor{client: "resumed"}), 0; i < 3; i++ {
		book.take(late, []*rightsizerv1.StreamEventsResponse{resync("1"), entry("2", "b"), resync("3")}[i])
	}
	assert.Empty(t, book.wrong, "what comes before synced is no sequence")

	book = newLedger()
	twice := entry("1", "a")
	book.take(&cursor{life: 1}, twice)
	twice = entry("2", "b")
	twice.GetEvent().Container = "a"
	book.take(&cursor{life: 2}, twice)
	assert.Len(t, book.wrong, 1, "a cause with two ids")
}

func resync(position string) *rightsizerv1.StreamEventsResponse {
	return &rightsizerv1.StreamEventsResponse{Position: position, Message: &rightsizerv1.StreamEventsResponse_Resync{
		Resync: &rightsizerv1.StreamResync{Scope: "pods"},
	}}
}

func beat(position string) *rightsizerv1.StreamEventsResponse {
	return &rightsizerv1.StreamEventsResponse{Position: position, Message: &rightsizerv1.StreamEventsResponse_Heartbeat{
		Heartbeat: &rightsizerv1.StreamHeartbeat{Position: position},
	}}
}
