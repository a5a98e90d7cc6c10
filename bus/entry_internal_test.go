package bus

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

func told(e *rightsizerv1.Event) *rightsizerv1.StreamEventsResponse {
	return &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: e}}
}

// Every text of an event counts, also those that only its details have.
func TestFootprintCountsDetails(t *testing.T) {
	text := strings.Repeat("x", 2000)
	plain := footprint(told(&rightsizerv1.Event{}))
	assert.GreaterOrEqual(t, footprint(told(&rightsizerv1.Event{Reason: text})), plain+2000)
	assert.GreaterOrEqual(t, footprint(told(&rightsizerv1.Event{Details: &rightsizerv1.Event_Refused{
		Refused: &rightsizerv1.RefusedDetails{Message: text, RefusedBy: text},
	}})), plain+4000)
	assert.Less(t, footprint(told(&rightsizerv1.Event{Details: &rightsizerv1.Event_Refused{}})), plain+500, "a oneof without its message")
}

func BenchmarkFootprint(b *testing.B) {
	msg := told(&rightsizerv1.Event{
		Id: "id", Message: "Container app of pod web-1 was OOM killed", Tags: map[string]string{"a": "b", "c": "d", "e": "f"},
		Details: &rightsizerv1.Event_OomKilled{OomKilled: &rightsizerv1.OomKilledDetails{
			MemoryLimitBytes: 1 << 30, MemoryRequestBytes: 1 << 29,
		}},
	})
	b.ReportAllocs()
	for b.Loop() {
		footprint(msg)
	}
}
