package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// FieldError says which field of a JSON text is wrong and what would be right.
type FieldError struct {
	// Path leads to the field by the names the client used, for example
	// filter.severities[1] or tags["app"]. Empty for the text as a whole.
	Path string
	// Reason is one sentence for a person.
	Reason string
	// Unknown is true where the schema has no such field.
	Unknown bool
}

// Error implements error.
func (e *FieldError) Error() string {
	if e.Path == "" {
		return e.Reason
	}
	return e.Path + ": " + e.Reason
}

// UnmarshalJSON reads data, one JSON object, into m, which is reset first. It
// returns a *[FieldError] that names the field for whatever does not fit: an
// unknown or repeated key, a wrong type, a severity that does not exist. On an
// error m holds nothing.
func UnmarshalJSON(data []byte, m proto.Message) error { return unmarshal(data, m, math.MaxInt) }

// UnmarshalRequest is [UnmarshalJSON] of what somebody asks for, which may have at
// most [MaxElements].
func UnmarshalRequest(data []byte, m proto.Message) error { return unmarshal(data, m, MaxElements) }

func unmarshal(data []byte, m proto.Message, elements int) error {
	proto.Reset(m)
	if len(bytes.TrimSpace(data)) == 0 {
		return &FieldError{Reason: "the body is empty; an empty request is {}"}
	}
	data, err := walk(data, m.ProtoReflect().Descriptor(), longSeverity, elements)
	if err != nil {
		return err
	}
	options := protojson.UnmarshalOptions{RecursionLimit: maxDepth}
	if err := options.Unmarshal(data, m); err != nil {
		proto.Reset(m)
		return &FieldError{Reason: clean(err)}
	}
	return nil
}

// clean strips protojson's prefix, whose white space changes from build to
// build on purpose.
func clean(err error) string {
	text := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto:"))
	return "not the JSON of this message: " + text
}

// MarshalJSON writes m as compact proto-JSON on one line. Equal messages give
// equal bytes within one version of this program.
func MarshalJSON(m proto.Message) ([]byte, error) {
	return AppendJSON(nil, m)
}

// AppendJSON is [MarshalJSON] into the end of dst.
func AppendJSON(dst []byte, m proto.Message) ([]byte, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("marshal %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	// protojson puts in white space at random so that nobody relies on its
	// bytes; we promise stable ones.
	out := bytes.NewBuffer(dst)
	if err := json.Compact(out, raw); err != nil {
		return nil, fmt.Errorf("compact %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return out.Bytes(), nil
}

// MarshalJSONShortSeverity is [MarshalJSON] with severities in lower case:
// "severity":"warning". It is what the WebSocket sends.
func MarshalJSONShortSeverity(m proto.Message) ([]byte, error) {
	raw, err := MarshalJSON(m)
	if err != nil || !bytes.Contains(raw, []byte(severityPrefix)) {
		return raw, err
	}
	short, err := walk(raw, m.ProtoReflect().Descriptor(), shortSeverity, math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("shorten severities of %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return short, nil
}

// JSON is the codec that a Connect handler or client registers. Its methods
// have the shapes that connect looks for by interface.
type JSON struct{ name string }

// Codecs returns the codecs that replace both of connect's JSON codecs, which
// differ by content type alone: application/json with and without charset.
func Codecs() []JSON {
	return []JSON{{name: "json"}, {name: "json; charset=utf-8"}}
}

// Name is the subtype of the content type: application/json, application/grpc+json.
func (c JSON) Name() string { return c.name }

// IsBinary tells connect that the bytes may stand in a URL as they are.
func (c JSON) IsBinary() bool { return false }

// Marshal implements connect.Codec.
func (c JSON) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalStable makes the same bytes of the same message, for requests by GET.
func (c JSON) MarshalStable(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend appends to dst; connect pools and overwrites what a codec
// without it returns.
func (c JSON) MarshalAppend(dst []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, notProto(message)
	}
	return AppendJSON(dst, m)
}

// Unmarshal implements connect.Codec; see [UnmarshalJSON], and [Defer] for when
// it does not fail.
func (c JSON) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return notProto(message)
	}
	if !isDeferred(m) {
		return UnmarshalJSON(data, m)
	}
	err := UnmarshalRequest(data, m)
	if field, ok := errors.AsType[*FieldError](err); ok {
		setDeferred(m, field)
		return nil
	}
	return err
}

var errNotProto = errors.New("not a protobuf message")

func notProto(message any) error { return fmt.Errorf("%T: %w", message, errNotProto) }
