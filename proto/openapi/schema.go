package openapi

import (
	"fmt"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// shorthand are the enums whose values may also be written in lower case without their
// prefix, as the WebSocket writes them; server/codec reads both.
var shorthand = []protoreflect.FullName{"rightsizer.v1.Severity"}

// schemas makes the schema of each message that is reached, once.
type schemas struct {
	pkg       protoreflect.FullName
	validator protovalidate.Validator
	done      map[string]*Schema
	// open are the messages that an answer has: a later version may add to them.
	open map[protoreflect.FullName]bool
}

// name is that of a component: short in the package that is described.
func (s *schemas) name(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(s.pkg)+".")
}

// answer notes that a message is sent by the server, with all that it has.
func (s *schemas) answer(md protoreflect.MessageDescriptor) {
	if s.open[md.FullName()] {
		return
	}
	s.open[md.FullName()] = true
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if fd.IsMap() {
			fd = fd.MapValue()
		}
		if fd.Message() != nil {
			s.answer(fd.Message())
		}
	}
}

// message is a reference to the schema of a message, which is made where it is not yet.
func (s *schemas) message(md protoreflect.MessageDescriptor) (*Schema, error) {
	if known, ok := wellKnown(md.FullName()); ok {
		return known, nil
	}
	if strings.HasPrefix(string(md.FullName()), "google.protobuf.") {
		return nil, fmt.Errorf("%s has a JSON of its own, which wellKnown does not know yet", md.FullName())
	}
	name := s.name(md)
	if s.done[name] != nil {
		return ref(name), nil
	}
	schema := &Schema{Type: "object", Description: described(md)}
	s.done[name] = schema // before its fields, which may lead back here
	if !s.open[md.FullName()] {
		schema.Additional = false
	}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		field, err := s.field(fd)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fd.FullName(), err)
		}
		schema.Properties = append(schema.Properties, Entry[*Schema]{fd.JSONName(), field})
	}
	if err := s.whole(schema, md); err != nil {
		return nil, fmt.Errorf("%s: %w", md.FullName(), err)
	}
	return ref(name), nil
}

// whole adds what holds for the message as one: its oneofs, what must be there, and its
// own rules in words.
func (s *schemas) whole(schema *Schema, md protoreflect.MessageDescriptor) error {
	for i := range md.Oneofs().Len() {
		if oneof := md.Oneofs().Get(i); !oneof.IsSynthetic() {
			schema.AllOf = append(schema.AllOf, alternatives(oneof))
		}
	}
	if len(schema.AllOf) == 1 {
		schema.OneOf, schema.AllOf = schema.AllOf[0].OneOf, nil
	}
	var err error
	if schema.Required, err = s.required(md); err != nil {
		return err
	}
	rules, _ := proto.GetExtension(md.Options(), validate.E_Message).(*validate.MessageRules)
	if len(rules.GetOneof()) > 0 || len(rules.GetCelExpression()) > 0 {
		return fmt.Errorf("the rules %v of the message have no form here yet", rules)
	}
	for _, rule := range rules.GetCel() {
		schema.Description += "\n\nRule: " + rule.GetMessage() + "."
	}
	return nil
}

// alternatives are the members of a oneof, of which one may be there, or must be.
func alternatives(oneof protoreflect.OneofDescriptor) *Schema {
	out := &Schema{}
	for i := range oneof.Fields().Len() {
		name := oneof.Fields().Get(i).JSONName()
		out.OneOf = append(out.OneOf, &Schema{Title: name, Required: []string{name}})
	}
	rules, _ := proto.GetExtension(oneof.Options(), validate.E_Oneof).(*validate.OneofRules)
	if !rules.GetRequired() {
		none := &Schema{Title: "none", Not: &Schema{AnyOf: slices.Clone(out.OneOf)}}
		out.OneOf = append(out.OneOf, none)
	}
	return out
}

// required are the fields whose absence, which means their zero value, breaks a rule.
func (s *schemas) required(md protoreflect.MessageDescriptor) ([]string, error) {
	err := s.validator.Validate(dynamicpb.NewMessage(md))
	if err == nil {
		return nil, nil
	}
	invalid, ok := err.(*protovalidate.ValidationError) //nolint:errorlint // it is returned as it is
	if !ok {
		return nil, fmt.Errorf("its rules cannot be applied: %w", err)
	}
	var out []string
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if slices.ContainsFunc(invalid.Violations, func(v *protovalidate.Violation) bool {
			return v.FieldDescriptor != nil && v.FieldDescriptor.FullName() == fd.FullName()
		}) {
			out = append(out, fd.JSONName())
		}
	}
	return out, nil
}

// field is the schema of a field with its comment and its rules.
func (s *schemas) field(fd protoreflect.FieldDescriptor) (*Schema, error) {
	rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	var (
		out *Schema
		err error
	)
	switch {
	case fd.IsMap():
		out, err = s.mapping(fd, rules)
	case fd.IsList():
		out = &Schema{Type: "array"}
		if out.Items, err = s.value(fd, rules.GetRepeated().GetItems()); err == nil {
			err = applyList(out, rules)
		}
	default:
		out, err = s.value(fd, rules)
	}
	if err != nil {
		return nil, err
	}
	out.Description = join(described(fd), out.Description)
	return out, nil
}

// mapping is a map as an object.
func (s *schemas) mapping(fd protoreflect.FieldDescriptor, rules *validate.FieldRules) (*Schema, error) {
	out := &Schema{Type: "object"}
	if fd.MapKey().Kind() != protoreflect.StringKind {
		return nil, fmt.Errorf("keys of kind %s have no form here yet", fd.MapKey().Kind())
	}
	value, err := s.value(fd.MapValue(), rules.GetMap().GetValues())
	if err != nil {
		return nil, err
	}
	out.Additional = value
	if keys := rules.GetMap().GetKeys(); keys != nil {
		out.PropertyNames = &Schema{}
		if err := apply(out.PropertyNames, fd.MapKey(), keys); err != nil {
			return nil, err
		}
	}
	return out, applyMap(out, rules)
}

// value is the schema of one value of a field.
func (s *schemas) value(fd protoreflect.FieldDescriptor, rules *validate.FieldRules) (*Schema, error) {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		out, err := s.message(fd.Message())
		if err != nil {
			return nil, err
		}
		return out, apply(out, fd, rules)
	case protoreflect.EnumKind:
		out := s.enum(fd.Enum())
		return out, apply(out, fd, rules)
	default:
		out := scalar(fd.Kind())
		return out, apply(out, fd, rules)
	}
}

// enum is a reference to the schema of an enum: its values by their names.
func (s *schemas) enum(ed protoreflect.EnumDescriptor) *Schema {
	name := s.name(ed)
	if s.done[name] == nil {
		schema := &Schema{Type: "string", Description: described(ed) + "\n"}
		s.done[name] = schema
		for i := range ed.Values().Len() {
			value := ed.Values().Get(i)
			schema.Enum = append(schema.Enum, spellings(value)...)
			schema.Description += "\n- `" + strings.Join(spellings(value), "`, `") + "`: " + described(value)
		}
	}
	return ref(name)
}

// spellings are the names by which a value of an enum is known in JSON.
func spellings(value protoreflect.EnumValueDescriptor) []string {
	names := []string{string(value.Name())}
	enum := value.Parent()
	if slices.Contains(shorthand, enum.FullName()) && value.Number() != 0 {
		prefix := strings.ToUpper(string(enum.Name())) + "_"
		names = append(names, strings.ToLower(strings.TrimPrefix(names[0], prefix)))
	}
	return names
}
