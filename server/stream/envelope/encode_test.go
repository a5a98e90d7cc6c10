package envelope_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/stream/envelope"
)

// message takes a frame apart and says whether its message was compressed.
func message(t *testing.T, frame []byte) ([]byte, bool) {
	t.Helper()
	require.GreaterOrEqual(t, len(frame), 5)
	require.EqualValues(t, len(frame)-5, binary.BigEndian.Uint32(frame[1:]))
	if frame[0] == 0 {
		return frame[5:], false
	}
	require.EqualValues(t, 1, frame[0])
	zip, err := gzip.NewReader(bytes.NewReader(frame[5:]))
	require.NoError(t, err)
	raw, err := io.ReadAll(zip)
	require.NoError(t, err)
	return raw, true
}

func event() *rightsizerv1.StreamEventsResponse {
	return &rightsizerv1.StreamEventsResponse{
		Message: &rightsizerv1.StreamEventsResponse_Event{Event: bustest.NewSource(bustest.Options{}).Event()}, Position: "p",
	}
}

func TestEachNegotiationHasItsFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		contentType, compression string
		format                   bus.Format
		json, zip                bool
	}{
		{"application/connect+proto", "", bus.FormatProto, false, false},
		{"application/connect+json", "", bus.FormatJSON, true, false},
		{"application/connect+json; charset=utf-8", "gzip", bus.FormatJSONGzip, true, true},
		{"application/grpc", "gzip", bus.FormatProtoGzip, false, true},
		{"application/grpc-web+proto", "identity", bus.FormatProto, false, false},
		{"application/grpc+json", "br", bus.FormatJSON, true, false},
	} {
		e := envelope.NewEncoder(c.contentType, c.compression)
		assert.Equal(t, c.format, e.Format, c.contentType)
		frame, err := e.Encode(event())
		require.NoError(t, err)
		raw, zipped := message(t, frame)
		assert.Equal(t, c.zip, zipped, c.contentType)
		got := &rightsizerv1.StreamEventsResponse{}
		if c.json {
			require.NoError(t, codec.UnmarshalJSON(raw, got))
		} else {
			require.NoError(t, proto.Unmarshal(raw, got))
		}
		assert.True(t, proto.Equal(event(), got))
	}
}

func TestSmallMessagesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/connect+proto", "application/connect+json"} {
		frame, err := envelope.NewEncoder(contentType, "gzip").Encode(&rightsizerv1.StreamEventsResponse{
			Message: &rightsizerv1.StreamEventsResponse_Heartbeat{Heartbeat: &rightsizerv1.StreamHeartbeat{Position: "p"}},
		})
		require.NoError(t, err)
		_, zipped := message(t, frame)
		assert.False(t, zipped)
	}
}

func TestEncodersMayBeShared(t *testing.T) {
	t.Parallel()
	e := envelope.NewEncoder("application/grpc", "gzip")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				frame, err := e.Encode(event())
				if !assert.NoError(t, err) {
					return
				}
				raw, _ := message(t, frame)
				assert.NoError(t, proto.Unmarshal(raw, &rightsizerv1.StreamEventsResponse{}))
			}
		})
	}
	all.Wait()
}

func BenchmarkEncode(b *testing.B) {
	for name, e := range map[string]envelope.Encoder{
		"proto": envelope.NewEncoder("application/grpc", ""), "proto gzip": envelope.NewEncoder("application/grpc", "gzip"),
		"json": envelope.NewEncoder("application/grpc+json", ""), "json gzip": envelope.NewEncoder("application/grpc+json", "gzip"),
	} {
		b.Run(name, func(b *testing.B) {
			msg, size := event(), 0
			b.ReportAllocs()
			for b.Loop() {
				frame, err := e.Encode(msg)
				if err != nil {
					b.Fatal(err)
				}
				size = len(frame)
			}
			b.ReportMetric(float64(size), "bytes/frame")
		})
	}
}
