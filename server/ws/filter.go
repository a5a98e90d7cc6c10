package ws

import (
	"errors"
	"strings"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
)

// parseFilter reads an EventFilter as strict proto-JSON and holds it against the
// schema's rules. A refusal names the field as it stands in the JSON.
func parseFilter(data []byte) (*rightsizerv1.EventFilter, *refusal) {
	invalid := connect.CodeInvalidArgument.String()
	filter := &rightsizerv1.EventFilter{}
	if err := codec.UnmarshalRequest(data, filter); err != nil {
		if field, ok := errors.AsType[*codec.FieldError](err); ok {
			return nil, &refusal{Code: invalid, Field: field.Path, Message: field.Reason}
		}
		return nil, &refusal{Code: invalid, Message: err.Error()}
	}
	err := protovalidate.Validate(filter)
	if err == nil {
		return filter, nil
	}
	broken, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok || len(broken.Violations) == 0 {
		return nil, &refusal{Code: connect.CodeInternal.String(), Message: "the filter's rules cannot be applied"}
	}
	first := broken.Violations[0].Proto
	return nil, &refusal{Code: invalid, Field: jsonPath(protovalidate.FieldPathString(first.GetField())), Message: first.GetMessage()}
}

// jsonPath spells a path of schema names, event_types[0], in JSON's:
// eventTypes[0]. Keys of maps stand in brackets and stay as they are.
func jsonPath(path string) string {
	name, key, found := strings.Cut(path, "[")
	words := strings.Split(name, "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	name = strings.Join(words, "")
	if found {
		return name + "[" + key
	}
	return name
}
