package ws_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/ws"
)

// The fast way writes what the codec writes, severities that are none of ours and
// texts that look like one included.
func TestSeveritiesAreShortWhereverTheyStand(t *testing.T) {
	t.Parallel()
	source := bustest.NewSource(bustest.Options{Message: `a "severity":"SEVERITY_ERROR" in words`})
	plain, tagged, unknown := source.Event(), source.Event(), source.Event()
	tagged.Tags = map[string]string{"severity": "SEVERITY_ERROR"}
	unknown.Severity = 77
	unspecified := source.Event()
	unspecified.Severity = rightsizerv1.Severity_SEVERITY_UNSPECIFIED
	msgs := []*rightsizerv1.StreamEventsResponse{
		{Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: source.Incident("a", "b", "c")}},
		{Message: &rightsizerv1.StreamEventsResponse_Heartbeat{Heartbeat: &rightsizerv1.StreamHeartbeat{Position: "p"}}},
	}
	for _, ev := range []*rightsizerv1.Event{plain, tagged, unknown, unspecified} {
		msgs = append(msgs, &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: ev}, Position: "p"})
	}
	for _, msg := range msgs {
		want, err := codec.MarshalJSONShortSeverity(msg)
		require.NoError(t, err)
		got, err := ws.EncodeJSON(msg)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
	}
}

func BenchmarkEncode(b *testing.B) {
	msg := &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: bustest.NewSource(bustest.Options{}).Event()}}
	for name, encode := range map[string]func(*rightsizerv1.StreamEventsResponse) ([]byte, error){
		"bridge": ws.EncodeJSON,
		"codec":  func(m *rightsizerv1.StreamEventsResponse) ([]byte, error) { return codec.MarshalJSONShortSeverity(m) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encode(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
