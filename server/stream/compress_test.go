package stream_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/server/stream"
)

// What is compressed is what was negotiated, and said so in the header that the
// protocol has for it. connect's own clients ask for gzip, so that every other test
// reads compressed messages.
func TestMessagesAreCompressedForWhoAsks(t *testing.T) {
	t.Parallel()
	s := start(t, bus.Options{}, stream.Options{})
	s.publish("a", 0, 1)
	first := s.bus.Oldest()
	for _, c := range []struct {
		contentType, ask, accept, answer string
		flag                             byte
	}{
		{"application/connect+json", "Connect-Accept-Encoding", "gzip", "Connect-Content-Encoding", 1},
		{"application/connect+json", "Connect-Accept-Encoding", "br, gzip", "Connect-Content-Encoding", 1},
		{"application/connect+json", "Connect-Accept-Encoding", "br", "Connect-Content-Encoding", 0},
		{"application/connect+json", "Accept-Encoding", "gzip", "Connect-Content-Encoding", 0},
		{"application/grpc-web+json", "Grpc-Accept-Encoding", "gzip", "Grpc-Encoding", 1},
		{"application/grpc-web+json", "Grpc-Accept-Encoding", "identity", "Grpc-Encoding", 0},
	} {
		t.Run(c.contentType+" "+c.ask+" "+c.accept, func(t *testing.T) {
			t.Parallel()
			body := `{"after":"` + first + `"}`
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/rightsizer.v1.EventService/StreamEvents",
				strings.NewReader("\x00\x00\x00\x00"+string(rune(len(body)))+body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", c.contentType)
			req.Header.Set(c.ask, c.accept)
			resp, err := http.DefaultTransport.RoundTrip(req)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			want := ""
			if c.flag == 1 {
				want = "gzip"
			}
			assert.Equal(t, want, resp.Header.Get(c.answer))
			var flags []byte
			for range 2 { // opened, small; the event
				head := make([]byte, 5)
				_, err := io.ReadFull(resp.Body, head)
				require.NoError(t, err)
				flags = append(flags, head[0])
				_, err = io.CopyN(io.Discard, resp.Body, int64(head[3])<<8|int64(head[4]))
				require.NoError(t, err)
			}
			assert.Equal(t, []byte{0, c.flag}, flags)
		})
	}
}
