package codec_test

import (
	"encoding/json"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
)

var _ connect.Codec = codec.JSON{}

func TestUnmarshalJSONAcceptsBothFormsOfSeverity(t *testing.T) {
	want := &rightsizerv1.EventFilter{
		EventTypes: []string{"pod.oom_killed", "resource.exhaustion"},
		Namespaces: []string{"production"},
		Severities: []rightsizerv1.Severity{rightsizerv1.Severity_SEVERITY_WARNING, rightsizerv1.Severity_SEVERITY_CRITICAL},
	}
	for _, text := range []string{
		`{"eventTypes":["pod.oom_killed","resource.exhaustion"],"namespaces":["production"],"severities":["warning","critical"]}`,
		`{"event_types":["pod.oom_killed","resource.exhaustion"],"namespaces":["production"],"severities":["SEVERITY_WARNING",4]}`,
		" {\"severities\" :\n[ \"warning\" ,\t\"SEVERITY_CRITICAL\"] , \"minSeverity\":null,\"namespaces\":[\"production\"]," +
			`"eventTypes":["pod.oom_killed","resource.exhaustion"]} `,
		`{"severities":["\u0077arning","critical"],"namespaces":["production"],"eventTypes":["pod.oom_killed","resource.exhaustion"]}`,
	} {
		var got rightsizerv1.EventFilter
		require.NoError(t, codec.UnmarshalJSON([]byte(text), &got), text)
		assert.True(t, proto.Equal(want, &got), "%s gave %v", text, &got)
	}
}

func TestUnmarshalJSONNamesTheField(t *testing.T) {
	cases := map[string]struct {
		path, reason string
		unknown      bool
	}{
		`{"filter":{"sevrities":["warning"]}}`:            {"filter.sevrities", `did you mean "severities"?`, true},
		`{"filter":{"color":"red"}}`:                      {"filter.color", "known here: eventTypes, namespaces", true},
		`{"nope":1}`:                                      {"nope", "unknown field", true},
		`{"filter":{"severities":["warning","loud"]}}`:    {"filter.severities[1]", `wants one of info, warning, error, critical, not "loud"`, false},
		`{"filter":{"severities":["Warning"]}}`:           {"filter.severities[0]", "wants one of", false},
		`{"filter":{"severities":"warning"}}`:             {"filter.severities", `wants a list, not "warning"`, false},
		`{"filter":{"tags":{"app":1}}}`:                   {`filter.tags["app"]`, "wants a string, not 1", false},
		`{"filter":{"tags":{"app":"a","app":"b"}}}`:       {`filter.tags["app"]`, "given twice", false},
		`{"filter":{"tags":["app"]}}`:                     {"filter.tags", "wants a JSON object, not a list", false},
		`{"filter":{"allowedOnly":"yes"}}`:                {"filter.allowedOnly", `wants true or false, not "yes"`, false},
		`{"filter":{"namespaces":["a"],"namespaces":[]}}`: {"filter.namespaces", "given twice", false},
		`{"filter":{"namespaces":[null]}}`:                {"filter.namespaces[0]", "wants a string, not null", false},
		`{"filter":[]}`:                                   {"filter", "wants a JSON object, not a list", false},
		`{"pageSize":1.5}`:                                {"pageSize", "wants a whole number from -2147483648 to 2147483647, not 1.5", false},
		`{"pageSize":3000000000}`:                         {"pageSize", "wants a whole number", false},
		`{"startTime":"yesterday"}`:                       {"startTime", "wants an RFC 3339 time", false},
		`[]`:                                              {"", "wants a JSON object, not a list", false},
		``:                                                {"", "an empty request is {}", false},
		`{"pageSize":1} {}`:                               {"", "something follows it", false},
		`{"filter":{"after":"x"`:                          {"filter", "ends too early", false},
		`{"filter":{"after":x}}`:                          {"filter.after", "not JSON at byte", false},
		"{\"\x1b[31mred\u202e\":1}":                       {"", "", false},
		`{"` + strings.Repeat("a", 5000) + `":1}`:         {"", "unknown field", true},
	}
	for text, want := range cases {
		got := &rightsizerv1.ListEventsRequest{PageSize: 7}
		err := codec.UnmarshalJSON([]byte(text), got)
		var field *codec.FieldError
		require.ErrorAs(t, err, &field, text)
		if want.path != "" {
			assert.Equal(t, want.path, field.Path, text)
		}
		assert.Contains(t, field.Reason, want.reason, text)
		assert.Less(t, len(field.Error()), 600, text)
		assert.NotContains(t, field.Error(), "\x1b")
		assert.NotContains(t, field.Error(), "\u202e")
		if want.unknown {
			assert.True(t, field.Unknown, text)
		}
		assert.True(t, proto.Equal(&rightsizerv1.ListEventsRequest{}, got), "an error leaves nothing behind: %s", text)
	}
}

func TestMarshalJSON(t *testing.T) {
	event := &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: &rightsizerv1.Event{
		Severity:     rightsizerv1.Severity_SEVERITY_WARNING,
		OccurredTime: timestamppb.New(timestamppb.Now().AsTime().Truncate(1)),
		Message:      "SEVERITY_WARNING stays in \"text\" <&>",
		Tags:         map[string]string{"b": "SEVERITY_ERROR", "a": "x"},
	}}, Position: "p"}

	long, err := codec.MarshalJSON(event)
	require.NoError(t, err)
	assert.Contains(t, string(long), `"severity":"SEVERITY_WARNING"`)
	assert.NotContains(t, string(long), "\n")

	short, err := codec.MarshalJSONShortSeverity(event)
	require.NoError(t, err)
	assert.Contains(t, string(short), `"severity":"warning"`)
	assert.Contains(t, string(short), `"b":"SEVERITY_ERROR"`)
	assert.True(t, json.Valid(short))

	for _, text := range [][]byte{long, short} {
		var back rightsizerv1.StreamEventsResponse
		require.NoError(t, codec.UnmarshalJSON(text, &back))
		assert.True(t, proto.Equal(event, &back))
	}
	var standard rightsizerv1.StreamEventsResponse
	require.NoError(t, protojson.Unmarshal(long, &standard), "what generated clients read")

	quiet, err := codec.MarshalJSONShortSeverity(&rightsizerv1.EventFilter{})
	require.NoError(t, err)
	assert.Equal(t, "{}", string(quiet))
}

func TestJSONAppendsAndRefusesForeignTypes(t *testing.T) {
	for _, c := range codec.Codecs() {
		out, err := c.MarshalAppend([]byte("x"), &rightsizerv1.EventFilter{After: "p"})
		require.NoError(t, err)
		assert.Equal(t, `x{"after":"p"}`, string(out))
		stable, err := c.MarshalStable(&rightsizerv1.EventFilter{After: "p"})
		require.NoError(t, err)
		assert.Equal(t, out[1:], stable)
		_, err = c.Marshal("no message")
		require.Error(t, err)
		require.Error(t, c.Unmarshal([]byte(`{}`), new(string)))
		assert.False(t, c.IsBinary())
		assert.True(t, strings.HasPrefix(c.Name(), "json"))
	}
}

func TestParseSeverity(t *testing.T) {
	for _, text := range []string{"error", "SEVERITY_ERROR"} {
		got, err := codec.ParseSeverity(text)
		require.NoError(t, err)
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_ERROR, got)
		assert.Equal(t, "error", codec.ShortSeverity(got))
	}
	for _, text := range []string{"", "unspecified", "SEVERITY_UNSPECIFIED", "ERROR", "loud"} {
		_, err := codec.ParseSeverity(text)
		require.ErrorContains(t, err, "info, warning, error, critical", text)
	}
	assert.Empty(t, codec.ShortSeverity(0))
	assert.Empty(t, codec.ShortSeverity(99))
}

// FuzzUnmarshalJSON holds two things against any input: what is accepted, the
// standard decoder accepts too once severities are spelt out, with the same
// meaning; and what is refused is refused with a bounded, printable message.
func FuzzUnmarshalJSON(f *testing.F) {
	for _, seed := range []string{
		`{"filter":{"eventTypes":["pod.*"],"severities":["warning"],"tags":{"a":"b"},"minSeverity":"error"},"pageSize":"5"}`,
		`{"startTime":"2026-01-01T00:00:00Z","orderBy":"asc","filter":null}`,
		`{"filter":{"severities":[1,2.0,"SEVERITY_INFO"]}}`, `{"pageSize":1e1}`, `{"a":{"b":[{}]}}`, `{`, "\x00", `{"filter":{"tags":{"\ud800":""}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got rightsizerv1.ListEventsRequest
		if err := codec.UnmarshalJSON(data, &got); err != nil {
			var field *codec.FieldError
			require.ErrorAs(t, err, &field)
			return
		}
		text, err := codec.MarshalJSON(&got)
		require.NoError(t, err)
		var back rightsizerv1.ListEventsRequest
		require.NoError(t, protojson.Unmarshal(text, &back))
		require.True(t, proto.Equal(&got, &back))
		short, err := codec.MarshalJSONShortSeverity(&got)
		require.NoError(t, err)
		require.NoError(t, codec.UnmarshalJSON(short, &back))
		require.True(t, proto.Equal(&got, &back))
	})
}

func TestDeferredErrorTravelsInTheMessage(t *testing.T) {
	json := codec.Codecs()[0]
	var plain rightsizerv1.EventFilter
	require.Error(t, json.Unmarshal([]byte(`{"x":1}`), &plain), "nobody announced it")
	assert.Nil(t, codec.TakeDeferred(&plain))

	var announced rightsizerv1.EventFilter
	codec.Defer(&announced)
	require.NoError(t, json.Unmarshal([]byte(`{"x":1}`), &announced))
	field := codec.TakeDeferred(&announced)
	require.NotNil(t, field)
	assert.Equal(t, "x", field.Path)
	assert.True(t, field.Unknown)
	assert.Nil(t, codec.TakeDeferred(&announced), "taken")
	assert.Empty(t, announced.ProtoReflect().GetUnknown())

	codec.Defer(&announced)
	require.NoError(t, json.Unmarshal([]byte(`{"after":"p"}`), &announced))
	assert.Nil(t, codec.TakeDeferred(&announced))
	assert.Empty(t, announced.ProtoReflect().GetUnknown(), "the announcement is gone")

	codec.Defer(&announced)
	assert.Nil(t, codec.TakeDeferred(&announced), "an empty body is not decoded at all")
	assert.Empty(t, announced.ProtoReflect().GetUnknown())

	forged, err := proto.Marshal(&rightsizerv1.EventFilter{})
	require.NoError(t, err)
	forged = append(forged, 0xfa, 0xff, 0xff, 0xff, 0x0f, 1, 'x')
	require.NoError(t, proto.Unmarshal(forged, &announced))
	assert.NotNil(t, codec.TakeDeferred(&announced), "a forged field is refused, never believed")
}
