package codec_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
)

var _ connect.Codec = codec.Proto{}

// inFilter is a ListEventsRequest on the wire whose filter is as given.
func inFilter(filter []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), filter)
}

func severities(packed []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), packed)
}

// What takes two bytes on the wire takes hundreds in memory: a request of a quarter of
// a MiB would take the operator beyond its limit.
func TestARequestHasSoManyElements(t *testing.T) {
	numbers := (&rightsizerv1.EventFilter{}).ProtoReflect().Descriptor().Fields()
	require.EqualValues(t, 3, numbers.ByName("severities").Number())
	namespaces, tags := byte(numbers.ByName("namespaces").Number()), byte(numbers.ByName("tags").Number())
	list := func(n int) string { return "[0" + strings.Repeat(",0", n-1) + "]" }
	var keys strings.Builder
	for i := range codec.MaxElements + 1 {
		fmt.Fprintf(&keys, `,"%d":""`, i)
	}
	for name, c := range map[string]struct {
		codec   connect.Codec
		request proto.Message
		text    []byte
		field   string
	}{
		"packed numbers":           {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, inFilter(severities(make([]byte, 200_000))), "filter.severities"},
		"numbers one by one":       {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, inFilter(bytes.Repeat([]byte{3 << 3, 0}, 100_000)), "filter.severities"},
		"packed, two bytes each":   {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, inFilter(severities(bytes.Repeat([]byte{0x80, 1}, 100_000))), "filter.severities"},
		"empty strings":            {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, inFilter(bytes.Repeat([]byte{namespaces<<3 | 2, 0}, 100_000)), "filter.namespaces"},
		"empty entries of a map":   {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, inFilter(bytes.Repeat([]byte{tags<<3 | 2, 0}, 100_000)), "filter.tags"},
		"several lists":            {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, inFilter(append(bytes.Repeat([]byte{namespaces<<3 | 2, 0}, codec.MaxElements), 3<<3, 0)), "filter.severities"},
		"the message in pieces":    {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, bytes.Repeat(inFilter([]byte{3 << 3, 0}), 50_000), "filter.severities"},
		"empty messages":           {codec.Proto{}, &rightsizerv1.VerifyAuditRequest{}, bytes.Repeat([]byte{2<<3 | 2, 0}, 100_000), "heads"},
		"JSON numbers":             {codec.Codecs()[0], &rightsizerv1.ListEventsRequest{}, []byte(`{"filter":{"severities":` + list(100_000) + `}}`), "filter.severities"},
		"JSON objects":             {codec.Codecs()[0], &rightsizerv1.VerifyAuditRequest{}, []byte(`{"heads":[{}` + strings.Repeat(",{}", 80_000) + `]}`), "heads"},
		"JSON keys":                {codec.Codecs()[0], &rightsizerv1.ListEventsRequest{}, []byte(`{"filter":{"tags":{` + keys.String()[1:] + `}}}`), "filter.tags"},
		"as many as there may be":  {codec.Proto{}, &rightsizerv1.ListEventsRequest{}, inFilter(severities(make([]byte, codec.MaxElements))), ""},
		"as many as JSON may have": {codec.Codecs()[0], &rightsizerv1.ListEventsRequest{}, []byte(`{"filter":{"severities":` + list(codec.MaxElements) + `}}`), ""},
	} {
		codec.Defer(c.request)
		require.NoError(t, c.codec.Unmarshal(c.text, c.request), name)
		if field := codec.TakeDeferred(c.request); assert.Equal(t, c.field == "", field == nil, name) && field != nil {
			assert.Equal(t, c.field, field.Path, name)
			assert.Contains(t, field.Reason, "at most 2048 entries", name)
			assert.Zero(t, proto.Size(c.request), name)
		}
	}
}

// A client reads answers that are as long as they are.
func TestAnAnswerHasManyElements(t *testing.T) {
	answer := &rightsizerv1.ListEventsRequest{Filter: &rightsizerv1.EventFilter{Severities: make([]rightsizerv1.Severity, codec.MaxElements+1)}}
	for _, c := range []connect.Codec{codec.Proto{}, codec.Codecs()[0]} {
		text, err := c.Marshal(answer)
		require.NoError(t, err)
		got := &rightsizerv1.ListEventsRequest{}
		require.NoError(t, c.Unmarshal(text, got))
		assert.True(t, proto.Equal(answer, got))
	}
}

func TestProtoIsConnects(t *testing.T) {
	var c codec.Proto
	filter := &rightsizerv1.EventFilter{After: "p", Tags: map[string]string{"a": "b", "c": "d"}}
	out, err := c.MarshalAppend([]byte("x"), filter)
	require.NoError(t, err)
	got := &rightsizerv1.EventFilter{}
	codec.Defer(got)
	require.NoError(t, c.Unmarshal(out[1:], got))
	assert.Nil(t, codec.TakeDeferred(got))
	assert.True(t, proto.Equal(filter, got))
	stable, err := c.MarshalStable(filter)
	require.NoError(t, err)
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(filter)
	require.NoError(t, err)
	assert.Equal(t, again, stable)
	_, err = c.Marshal("no message")
	require.Error(t, err)
	_, err = c.MarshalStable("no message")
	require.Error(t, err)
	require.Error(t, c.Unmarshal(nil, new(string)))
	assert.True(t, c.IsBinary())
}

// FuzzProto holds that a request is read as the standard decoder reads it, unless it
// has too many elements.
func FuzzProto(f *testing.F) {
	f.Add(inFilter(severities([]byte{1, 2})))
	f.Add(inFilter(severities(make([]byte, codec.MaxElements+1))))
	f.Add([]byte{1<<3 | 3, 1<<3 | 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		var want, got rightsizerv1.ListEventsRequest
		standard := proto.Unmarshal(data, &want)
		codec.Defer(&got)
		err := codec.Proto{}.Unmarshal(data, &got)
		if standard != nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		filter := want.GetFilter()
		elements := len(filter.GetSeverities()) + len(filter.GetNamespaces()) + len(filter.GetEventTypes()) + len(filter.GetWorkloads()) + len(filter.GetNodes()) + len(filter.GetTags())
		if field := codec.TakeDeferred(&got); elements > codec.MaxElements {
			require.NotNil(t, field)
		} else if field == nil {
			require.True(t, proto.Equal(&want, &got))
		}
	})
}
