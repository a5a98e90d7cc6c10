package openapi_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"
)

// wordless are the rules that JSON Schema has no words for: what breaks them alone is
// refused by the API, but not by the schema.
var wordless = []string{"string.max_bytes", "stream_events.after"}

// The schemas refuse what the API's own rules refuse, and nothing else: on messages made
// at random around each bound.
func TestSchemasSayWhatTheRulesSay(t *testing.T) {
	var messages []protoreflect.MessageDescriptor
	var names []protoreflect.Name
	for _, method := range methods(t) {
		for _, md := range []protoreflect.MessageDescriptor{method.Input(), method.Output()} {
			messages, names = append(messages, md), append(names, md.Name())
		}
	}
	schemas := compiled(t, names...)
	rules, err := protovalidate.New()
	require.NoError(t, err)
	for _, md := range messages {
		t.Run(string(md.Name()), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				message := dynamicpb.NewMessage(md)
				fill(r, message, 3)
				text, err := protojson.Marshal(message)
				if err != nil {
					r.Fatalf("marshal: %v", err)
				}
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
				if err != nil {
					r.Fatalf("unmarshal: %v", err)
				}
				broken := violations(r, rules.Validate(message))
				refused := schemas[md.Name()].Validate(value)
				if refused != nil && len(broken) == 0 {
					r.Fatalf("the rules take, the schema refuses %s: %v", text, refused)
				}
				broken = slices.DeleteFunc(broken, func(id string) bool { return slices.Contains(wordless, id) })
				if refused == nil && len(broken) > 0 {
					r.Fatalf("the schema takes %s, which breaks %v", text, broken)
				}
			})
		})
	}
}

// violations are the rules that a message breaks, by their ids.
func violations(r *rapid.T, err error) []string {
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		r.Fatalf("the rules cannot be applied: %v", err)
	}
	out := make([]string, len(invalid.Violations))
	for i, v := range invalid.Violations {
		out[i] = v.Proto.GetRuleId()
	}
	return out
}

// fill sets fields of a message: mostly as their rules want it, now and then as they do
// not.
func fill(r *rapid.T, message protoreflect.Message, depth int) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
		if fd.ContainingOneof() != nil && message.WhichOneof(fd.ContainingOneof()) != nil {
			continue
		}
		chance := 3
		if rules.GetRequired() || fd.Message() == nil {
			chance = 9
		}
		if fd.Message() != nil && !fd.IsMap() && depth == 0 || rapid.IntRange(0, 9).Draw(r, "leave out "+string(fd.Name())) > chance {
			continue
		}
		switch {
		case fd.IsMap():
			fillMap(r, message.Mutable(fd).Map(), fd, rules, depth)
		case fd.IsList():
			list := message.Mutable(fd).List()
			for range count(r, rules.GetRepeated().GetMinItems(), rules.GetRepeated().GetMaxItems()) {
				list.Append(value(r, list.NewElement, fd, rules.GetRepeated().GetItems(), depth))
			}
		default:
			message.Set(fd, value(r, func() protoreflect.Value { return message.NewField(fd) }, fd, rules, depth))
		}
	}
}

func fillMap(r *rapid.T, m protoreflect.Map, fd protoreflect.FieldDescriptor, rules *validate.FieldRules, depth int) {
	for range count(r, rules.GetMap().GetMinPairs(), rules.GetMap().GetMaxPairs()) {
		key := text(r, rules.GetMap().GetKeys().GetString())
		m.Set(protoreflect.ValueOfString(key).MapKey(), value(r, m.NewValue, fd.MapValue(), rules.GetMap().GetValues(), depth))
	}
}

// count is how many a collection gets: few, or around its bound where that is small.
func count(r *rapid.T, least, most uint64) int {
	counts := []int{0, 1, 1, 2, int(least)}
	if most <= 64 {
		counts = append(counts, int(most), int(most)+1)
	}
	return rapid.SampledFrom(counts).Draw(r, "count")
}

func value(r *rapid.T, empty func() protoreflect.Value, fd protoreflect.FieldDescriptor, rules *validate.FieldRules, depth int) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		out := empty()
		switch fd.Message().FullName() {
		case "google.protobuf.Timestamp":
			out.Message().Set(fd.Message().Fields().ByName("seconds"), protoreflect.ValueOfInt64(rapid.Int64Range(0, 1<<33).Draw(r, "seconds")))
		case "google.protobuf.Duration":
			out.Message().Set(fd.Message().Fields().ByName("seconds"), protoreflect.ValueOfInt64(rapid.Int64Range(0, 1<<20).Draw(r, "seconds")))
			out.Message().Set(fd.Message().Fields().ByName("nanos"), protoreflect.ValueOfInt32(rapid.Int32Range(0, 999_999_999).Draw(r, "nanos")))
		default:
			fill(r, out.Message(), depth-1)
		}
		return out
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text(r, rules.GetString()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(r, "bool"))
	case protoreflect.EnumKind:
		last := fd.Enum().Values().Len()
		numbers := []int{0, 1, 1, 1, 1, last - 1, last - 1}
		if rules.GetEnum().GetDefinedOnly() {
			numbers = append(numbers, 99)
		}
		number := rapid.SampledFrom(numbers).Draw(r, "enum")
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(number))
	case protoreflect.Int32Kind:
		bounds := []int32{0, 1, 1, 2, rules.GetInt32().GetGte(), rules.GetInt32().GetLte(), rules.GetInt32().GetGte() - 1, rules.GetInt32().GetLte() + 1}
		return protoreflect.ValueOfInt32(rapid.SampledFrom(bounds).Draw(r, "int32"))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(rapid.SampledFrom([]int64{0, 1, 1, 1, 1, -1, 1<<63 - 1, -1 << 63}).Draw(r, "int64"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.SampledFrom([]float64{0, 0.5, 0.5, 0.5, 1, 1.5, -0.5, 1e9}).Draw(r, "double"))
	default:
		r.Fatalf("%s is of a kind that this test does not know yet: %s", fd.FullName(), fd.Kind())
		return protoreflect.Value{}
	}
}

// text is empty, short, of the pattern, one of those that are taken, or around a bound,
// with characters of one byte and of several.
func text(r *rapid.T, rules *validate.StringRules) string {
	texts := []*rapid.Generator[string]{rapid.Just("a")}
	if rapid.IntRange(0, 9).Draw(r, "astray") == 0 {
		most := max(rules.GetMaxLen(), rules.GetMaxBytes())
		texts = append(texts, rapid.Just(""), rapid.Just("Ä b"), rapid.Just(strings.Repeat("é", int(most))), rapid.Just(strings.Repeat("e", int(most)+1)))
	}
	if rules.GetPattern() != "" {
		texts = append(texts, rapid.StringMatching(rules.GetPattern()))
	}
	if len(rules.GetIn()) > 0 {
		texts = append(texts, rapid.SampledFrom(rules.GetIn()))
	}
	return rapid.OneOf(texts...).Draw(r, "text")
}
