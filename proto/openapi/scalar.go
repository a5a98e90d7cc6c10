package openapi

import "google.golang.org/protobuf/reflect/protoreflect"

// Numbers of 64 bits, which JSON has as strings: a double cannot hold them all.
const (
	signed     = `^(0|-?[1-9][0-9]{0,18})$`
	unsigned   = `^(0|[1-9][0-9]{0,18})$` // 0 and more
	positive   = `^[1-9][0-9]{0,18}$`
	unsigned64 = `^(0|[1-9][0-9]{0,19})$`
)

// scalar is the schema of a value that is neither message nor enum.
func scalar(kind protoreflect.Kind) *Schema {
	switch kind {
	case protoreflect.BoolKind:
		return &Schema{Type: "boolean"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return &Schema{Type: "integer", Format: "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return &Schema{Type: "integer", Format: "uint32", Minimum: 0}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return &Schema{Type: "string", Format: "int64", Pattern: signed}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return &Schema{Type: "string", Format: "uint64", Pattern: unsigned64}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return &Schema{Type: "number", Format: kind.String()}
	case protoreflect.BytesKind:
		return &Schema{Type: "string", ContentEncoding: "base64"}
	default: // strings; messages and enums do not come here
		return &Schema{Type: "string"}
	}
}

// wellKnown are the messages of google.protobuf that have a JSON of their own.
func wellKnown(name protoreflect.FullName) (*Schema, bool) {
	switch name {
	case "google.protobuf.Timestamp":
		return &Schema{Type: "string", Format: "date-time"}, true
	case "google.protobuf.Duration":
		return &Schema{Type: "string", Pattern: `^-?[0-9]{1,12}(\.[0-9]{1,9})?s$`, Description: "Seconds, such as `90s` or `0.25s`."}, true
	default:
		return nil, false
	}
}
