package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// Clients that take nothing, each in the middle of a write that may last 10 s, do not
// make a failure of a stop.
func TestAStopIsOrderlyBesideClientsThatTakeNothing(t *testing.T) {
	t.Parallel()
	o := start(t, loopback())
	var freezer streamtest.Freezer
	t.Cleanup(freezer.Thaw)
	frozen := streamtest.FrozenClients(o.url("http", KeyAPI), &freezer)
	for _, c := range frozen {
		s, err := c.Open(t.Context(), nil, "")
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		for synced := false; !synced; {
			msg, err := s.Next()
			require.NoError(t, err)
			synced = msg.GetSynced() != nil
		}
	}
	freezer.Freeze()
	events := rightsizerv1connect.NewEventServiceClient(client(t, 1), o.url("http", KeyAPI))
	stuck := func() bool {
		resp, err := events.ListConnections(t.Context(), &rightsizerv1.ListConnectionsRequest{})
		require.NoError(t, err)
		require.Len(t, resp.GetConnections(), len(frozen), "none is dropped yet")
		for _, c := range resp.GetConnections() {
			if c.GetLag() < 200 {
				return false
			}
		}
		return true
	}
	for n := 0; n%50 != 0 || !stuck(); n++ {
		o.cluster.publisher.Publish(&rightsizerv1.Event{
			Id: fmt.Sprintf("%032x", n), Type: "pod.oom_killed", Severity: rightsizerv1.Severity_SEVERITY_ERROR,
			OccurredTime: timestamppb.Now(), Message: strings.Repeat("x", 16<<10),
		})
	}
	began := time.Now()
	require.NoError(t, o.stop())
	assert.Less(t, time.Since(began), 12*time.Second)
}
