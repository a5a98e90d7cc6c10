package codec

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Connect decodes a unary request before the first interceptor runs, and an
// error there leaves without details, metrics or a line in the log. So that a
// mistyped field is answered like every other bad request, the decoding of a
// message that was announced by [Defer] does not fail: the error travels in the
// message, from which an interceptor takes it ([TakeDeferred]). A message
// that nobody announced fails to decode as usual, so a handler without the
// interceptor is strict all the same.

// deferredField is the highest field number there is; no message of ours has it.
const deferredField protowire.Number = 1<<29 - 1

// Defer announces that whoever decodes m will call [TakeDeferred] before reading
// it.
func Defer(m proto.Message) {
	setDeferred(m, nil)
}

// TakeDeferred returns the error with which m was decoded, nil where it had none,
// and removes every trace of [Defer] from m.
func TakeDeferred(m proto.Message) *FieldError {
	value, ok := deferred(m)
	if !ok {
		return nil
	}
	m.ProtoReflect().SetUnknown(nil)
	if len(value) == 0 {
		return nil // announced, and an empty body left it as it was
	}
	var field FieldError
	if err := json.Unmarshal(value, &field); err != nil {
		// Only a client that forges the field gets here.
		return &FieldError{Reason: "malformed request"}
	}
	return &field
}

func isDeferred(m proto.Message) bool {
	_, ok := deferred(m)
	return ok
}

func setDeferred(m proto.Message, field *FieldError) {
	var value []byte
	if field != nil {
		value, _ = json.Marshal(field) // three plain fields cannot fail
	}
	raw := protowire.AppendTag(nil, deferredField, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(raw, value))
}

func deferred(m proto.Message) ([]byte, bool) {
	number, kind, n := protowire.ConsumeTag(m.ProtoReflect().GetUnknown())
	if n < 0 || number != deferredField || kind != protowire.BytesType {
		return nil, false
	}
	value, size := protowire.ConsumeBytes(m.ProtoReflect().GetUnknown()[n:])
	return value, size >= 0
}
