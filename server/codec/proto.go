package codec

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MaxElements bounds the entries of all lists and maps of one request together, before
// anything of it is made: an empty message takes two bytes on the wire and a hundred
// in memory, and several hundred more as a violation of a rule. The largest legal
// request, a filter with all its lists full, has some 900.
const MaxElements = 2048

func tooMany(path string) *FieldError {
	return &FieldError{Path: path, Reason: fmt.Sprintf("a request has at most %d entries in all its lists and maps together", MaxElements)}
}

// Proto is the binary codec that a Connect handler registers; it differs from
// connect's own in that it bounds a request whose decoding was announced by [Defer].
type Proto struct{}

// Name is the subtype of the content type: application/proto, application/grpc+proto.
func (Proto) Name() string { return "proto" }

// IsBinary tells connect that the bytes may not stand in a URL as they are.
func (Proto) IsBinary() bool { return true }

// Marshal implements connect.Codec.
func (c Proto) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalStable makes the same bytes of the same message, for requests by GET.
func (Proto) MarshalStable(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, notProto(message)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m) //nolint:wrapcheck // connect words it
}

// MarshalAppend appends to dst; connect pools and overwrites what a codec
// without it returns.
func (Proto) MarshalAppend(dst []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, notProto(message)
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m) //nolint:wrapcheck // connect words it
}

// Unmarshal implements connect.Codec. Of an announced message that has more than
// [MaxElements] it makes nothing but the error that [TakeDeferred] returns.
func (Proto) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return notProto(message)
	}
	if isDeferred(m) {
		if path, _, more := count(data, m.ProtoReflect().Descriptor(), MaxElements, 0); more {
			setDeferred(m, tooMany(path))
			return nil
		}
	}
	return proto.Unmarshal(data, m) //nolint:wrapcheck // connect words it
}

// count follows a message on the wire and counts entries of lists and maps down from
// left. Where there are more it says so, and in which field. What is malformed is
// left to proto.Unmarshal.
func count(data []byte, md protoreflect.MessageDescriptor, left, depth int) (path string, rest int, more bool) {
	if depth > maxDepth {
		return "", left, false
	}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return "", left, false
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return "", left, false
		}
		value := data[n : n+size]
		data = data[n+size:]
		fd := md.Fields().ByNumber(number)
		if fd == nil {
			continue // kept as bytes
		}
		if fd.IsList() || fd.IsMap() {
			if left -= entries(fd, kind, value); left < 0 {
				return string(fd.Name()), 0, true
			}
		}
		if fd.Message() == nil || kind != protowire.BytesType {
			continue
		}
		inner, _ := protowire.ConsumeBytes(value)
		if path, left, more = count(inner, fd.Message(), left, depth+1); more {
			return string(fd.Name()) + "." + path, 0, true
		}
	}
	return "", left, false
}

// entries are how many entries of a list or map one field on the wire has: several
// where numbers are packed.
func entries(fd protoreflect.FieldDescriptor, kind protowire.Type, value []byte) int {
	if kind != protowire.BytesType || fd.IsMap() || !fd.IsList() {
		return 1
	}
	packed, _ := protowire.ConsumeBytes(value)
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind, protoreflect.GroupKind:
		return 1
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return len(packed) / 4
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return len(packed) / 8
	default: // varints: each ends with the one byte whose first bit is not set
		n := 0
		for _, b := range packed {
			if b < 0x80 {
				n++
			}
		}
		return n
	}
}
