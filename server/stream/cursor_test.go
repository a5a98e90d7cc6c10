package stream_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/rpc/page"
	"github.com/rightsizer/rightsizer/server/stream"
)

type quiet struct{}

func (quiet) Problems() []*rightsizerv1.Event { return nil }

// FuzzPageToken continues the lists at what anybody may have made up, with the binding
// that a token of the list has and without: an answer or invalid_argument, no panic.
func FuzzPageToken(f *testing.F) {
	b, err := bus.New(bus.Options{})
	require.NoError(f, err)
	hub, err := stream.NewHub(stream.Options{
		Bus: b, Problems: quiet{}, Cluster: func() string { return "c1" },
		Incidents: incidents{incident(1, warning, isOpen, "shop"), incident(2, critical, isOver, "bank")},
	})
	require.NoError(f, err)
	_, handler := stream.Handler(hub)
	for _, seed := range []string{"", "1", "0 0", " ", b.Newest() + " " + b.Newest(), "1700000000000000000 " + strings.Repeat("0", 32), "-1", "\x00", "99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		for path, ask := range map[string]func(token string) proto.Message{
			rightsizerv1connect.EventServiceListEventsProcedure:      func(token string) proto.Message { return &rightsizerv1.ListEventsRequest{PageToken: token} },
			rightsizerv1connect.EventServiceListIncidentsProcedure:   func(token string) proto.Message { return &rightsizerv1.ListIncidentsRequest{PageToken: token} },
			rightsizerv1connect.EventServiceListConnectionsProcedure: func(token string) proto.Message { return &rightsizerv1.ListConnectionsRequest{PageToken: token} },
		} {
			for _, token := range []string{page.Token(ask(""), cursor), strings.ToValidUTF8(cursor, "?")} {
				body, err := protojson.Marshal(ask(token))
				require.NoError(t, err)
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(string(body)))
				req.Header.Set("Content-Type", "application/json")
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, req)
				assert.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, answer.Code, "%s %q: %s", path, token, answer.Body)
			}
		}
	})
}
