package openapi

import (
	"fmt"
	"math"
	"slices"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// apply turns the rules of one value into keywords. A rule without a form is an error:
// who adds it to a proto adds its form here.
func apply(out *Schema, fd protoreflect.FieldDescriptor, rules *validate.FieldRules) error {
	if len(rules.GetCel()) > 0 || len(rules.GetCelExpression()) > 0 || rules.GetIgnore() != validate.Ignore_IGNORE_UNSPECIFIED {
		return fmt.Errorf("rules %v have no form here yet", rules)
	}
	finite := false
	err := each(rules, func(name string, value protoreflect.Value) error {
		finite = finite || name == "finite" && value.Bool()
		switch fd.Kind() {
		case protoreflect.StringKind:
			return applyString(out, name, value)
		case protoreflect.EnumKind:
			return applyEnum(out, fd.Enum(), name, value)
		case protoreflect.MessageKind, protoreflect.GroupKind, protoreflect.BytesKind, protoreflect.BoolKind:
			return noForm(name)
		default: // numbers
			if out.Type == "string" {
				return applyDigits(out, name, value)
			}
			return applyNumber(out, name, value)
		}
	})
	if out.Type == "number" && !finite {
		number := *out
		*out = Schema{AnyOf: []*Schema{&number, {Type: "string", Enum: []string{"NaN", "Infinity", "-Infinity"}}}}
	}
	return err
}

func noForm(rule string) error { return fmt.Errorf("rule %s has no form here yet", rule) }

// each visits the rules that are set of those for the field's type, in order.
func each(rules *validate.FieldRules, visit func(string, protoreflect.Value) error) error {
	if rules == nil || rules.Type == nil {
		return nil
	}
	whole := rules.ProtoReflect()
	typed := whole.Get(whole.WhichOneof(whole.Descriptor().Oneofs().ByName("type"))).Message()
	for i := range typed.Descriptor().Fields().Len() {
		fd := typed.Descriptor().Fields().Get(i)
		if !typed.Has(fd) {
			continue
		}
		if err := visit(string(fd.Name()), typed.Get(fd)); err != nil {
			return err
		}
	}
	return nil
}

func applyString(out *Schema, name string, value protoreflect.Value) error {
	switch name {
	case "min_len":
		out.MinLength = new(value.Uint())
	case "max_len":
		out.MaxLength = new(value.Uint())
	case "max_bytes": // no keyword counts bytes; no text has more characters than bytes
		out.MaxLength = new(value.Uint())
	case "pattern":
		out.Pattern = value.String()
	case "in":
		for i := range value.List().Len() {
			out.Enum = append(out.Enum, value.List().Get(i).String())
		}
	default:
		return noForm(name)
	}
	return nil
}

func applyEnum(out *Schema, ed protoreflect.EnumDescriptor, name string, value protoreflect.Value) error {
	switch name {
	case "defined_only": // by the names that there are
	case "not_in":
		out.Not = &Schema{}
		for i := range value.List().Len() {
			number := protoreflect.EnumNumber(value.List().Get(i).Int())
			out.Not.Enum = append(out.Not.Enum, spellings(ed.Values().ByNumber(number))...)
		}
	default:
		return noForm(name)
	}
	return nil
}

// applyDigits bounds numbers that are strings, where a pattern can.
func applyDigits(out *Schema, name string, value protoreflect.Value) error {
	number, ok := value.Interface().(int64)
	switch {
	case ok && name == "gte" && number == 0:
		out.Pattern = unsigned
	case ok && name == "gte" && number == 1, ok && name == "gt" && number == 0:
		out.Pattern = positive
	default:
		return noForm(name)
	}
	return nil
}

func applyNumber(out *Schema, name string, value protoreflect.Value) error {
	number := value.Interface()
	if f, ok := number.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		number = int64(f)
	}
	switch name {
	case "gte":
		out.Minimum = number
	case "gt":
		out.ExclusiveMinimum = number
	case "lte":
		out.Maximum = number
	case "lt":
		out.ExclusiveMaximum = number
	case "finite": // no number of JSON is anything else; see apply
	default:
		return noForm(name)
	}
	return nil
}

// applyList turns the rules of a list into keywords; those of its items are applied to
// each.
func applyList(out *Schema, rules *validate.FieldRules) error {
	return each(rules, func(name string, value protoreflect.Value) error {
		switch name {
		case "min_items":
			out.MinItems = new(value.Uint())
		case "max_items":
			out.MaxItems = new(value.Uint())
		case "unique":
			out.UniqueItems = value.Bool()
		case "items":
		default:
			return noForm(name)
		}
		return nil
	})
}

// applyMap turns the rules of a map into keywords; those of its keys and values are
// applied to each.
func applyMap(out *Schema, rules *validate.FieldRules) error {
	return each(rules, func(name string, value protoreflect.Value) error {
		switch {
		case name == "min_pairs":
			out.MinProperties = new(value.Uint())
		case name == "max_pairs":
			out.MaxProperties = new(value.Uint())
		case !slices.Contains([]string{"keys", "values"}, name):
			return noForm(name)
		}
		return nil
	})
}
