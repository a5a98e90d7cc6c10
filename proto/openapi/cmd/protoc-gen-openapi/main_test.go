package main

import (
	"fmt"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/bufbuild/protocompile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/pluginpb"
)

// source is a service whose request has the fields of a test.
const source = `syntax = "proto3";
package shop.v1;
import "buf/validate/validate.proto";
import "google/protobuf/descriptor.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
option go_package = "example.com/shop;shop";
message Permission { string resource = 1; string verb = 2; bool cluster_scoped = 3; }
extend google.protobuf.MethodOptions { Permission permission = 50701; }
// Shop sells.
service Shop {
  // Buy buys. At most once.
  rpc Buy(%s) returns (%s) { %s }
}
enum Size { SIZE_UNSPECIFIED = 0; SIZE_SMALL = 1; }
message Answer { Size size = 1; }
message Ask {
  // What
  // is asked.
  %s
}
`

const permitted = `option (permission) = {resource: "goods", verb: "create"};`

// run is what the plugin answers to a file, as buf would ask it.
func run(t *testing.T, text string) (*pluginpb.CodeGeneratorResponse, error) {
	t.Helper()
	_ = []proto.Message{&validate.FieldRules{}, &durationpb.Duration{}, &structpb.Struct{}, &timestamppb.Timestamp{}} // in the registry
	linked := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		d, err := protoregistry.GlobalFiles.FindFileByPath(path)
		return protocompile.SearchResult{Desc: d}, err
	})
	compiler := protocompile.Compiler{SourceInfoMode: protocompile.SourceInfoStandard, Resolver: protocompile.CompositeResolver{
		&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{"shop.proto": text})}, linked,
	}}
	files, err := compiler.Compile(t.Context(), "shop.proto")
	require.NoError(t, err, text)
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: []string{"shop.proto"}}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
	}
	add(files[0])
	raw, err := proto.Marshal(request)
	require.NoError(t, err)
	received := &pluginpb.CodeGeneratorRequest{}
	require.NoError(t, proto.Unmarshal(raw, received))
	plugin, err := protogen.Options{}.New(received)
	require.NoError(t, err)
	if err := generate(plugin); err != nil {
		return nil, err
	}
	return plugin.Response(), nil
}

// tree is the document that the plugin writes.
func tree(t *testing.T, text string) map[string]any {
	t.Helper()
	response, err := run(t, text)
	require.NoError(t, err)
	require.Len(t, response.GetFile(), 1)
	assert.Equal(t, "shop.v1.yaml", response.GetFile()[0].GetName())
	var out map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(response.GetFile()[0].GetContent()), &out))
	return out
}

func at(tree any, path ...string) any {
	for _, key := range path {
		m, _ := tree.(map[string]any)
		tree = m[key]
	}
	return tree
}

func TestFieldsBecomeSchemas(t *testing.T) {
	for field, want := range map[string]string{
		"bool v = 1;":                           "{type: boolean}",
		"string v = 1;":                         "{type: string}",
		"bytes v = 1;":                          "{type: string, contentEncoding: base64}",
		"int32 v = 1;":                          "{type: integer, format: int32}",
		"fixed32 v = 1;":                        "{type: integer, format: uint32, minimum: 0}",
		"sint64 v = 1;":                         "{type: string, format: int64, pattern: '^(0|-?[1-9][0-9]{0,18})$'}",
		"uint64 v = 1;":                         "{type: string, format: uint64, pattern: '^(0|[1-9][0-9]{0,19})$'}",
		"float v = 1;":                          "{anyOf: [{type: number, format: float}, {type: string, enum: [NaN, Infinity, -Infinity]}]}",
		"google.protobuf.Timestamp v = 1;":      "{type: string, format: date-time}",
		"Size v = 1;":                           "{$ref: '#/components/schemas/Size'}",
		"Answer v = 1;":                         "{$ref: '#/components/schemas/Answer'}",
		"Ask v = 1;":                            "{$ref: '#/components/schemas/Ask'}",
		"repeated string v = 1;":                "{type: array, items: {type: string}}",
		"map<string, int32> v = 1;":             "{type: object, additionalProperties: {type: integer, format: int32}}",
		"string v = 1 [json_name = \"other\"];": "",

		"string v = 1 [(buf.validate.field).string = {min_len: 1, max_bytes: 9, pattern: \"^a\"}];":          "{type: string, minLength: 1, maxLength: 9, pattern: ^a}",
		"string v = 1 [(buf.validate.field).string = {in: [\"\", \"a\"]}];":                                  "{type: string, enum: ['', a]}",
		"int64 v = 1 [(buf.validate.field).int64.gte = 0];":                                                  "{type: string, format: int64, pattern: '^(0|[1-9][0-9]{0,18})$'}",
		"int64 v = 1 [(buf.validate.field).int64.gt = 0];":                                                   "{type: string, format: int64, pattern: '^[1-9][0-9]{0,18}$'}",
		"int32 v = 1 [(buf.validate.field).int32 = {gt: 1, lte: 5}];":                                        "{type: integer, format: int32, exclusiveMinimum: 1, maximum: 5}",
		"double v = 1 [(buf.validate.field).double = {gte: 0.5, lt: 2, finite: true}];":                      "{type: number, format: double, minimum: 0.5, exclusiveMaximum: 2}",
		"Size v = 1 [(buf.validate.field).enum = {defined_only: true, not_in: [0]}];":                        "{$ref: '#/components/schemas/Size', not: {enum: [SIZE_UNSPECIFIED]}}",
		"repeated int32 v = 1 [(buf.validate.field).repeated = {min_items: 1, max_items: 2, unique: true}];": "{type: array, items: {type: integer, format: int32}, minItems: 1, maxItems: 2, uniqueItems: true}",
		"map<string, bool> v = 1 [(buf.validate.field).map = {max_pairs: 2, keys: {string: {max_len: 3}}}];": "{type: object, additionalProperties: {type: boolean}, propertyNames: {maxLength: 3}, maxProperties: 2}",
	} {
		t.Run(field, func(t *testing.T) {
			schema := at(tree(t, fmt.Sprintf(source, "Ask", "Answer", permitted, field)), "components", "schemas", "Ask")
			assert.Equal(t, "object", at(schema, "type"))
			assert.Equal(t, false, at(schema, "additionalProperties"), "requests are strict")
			if want == "" {
				assert.NotNil(t, at(schema, "properties", "other"))
				return
			}
			var expected map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(want), &expected))
			expected["description"] = "What is asked."
			assert.Equal(t, expected, at(schema, "properties", "v"))
		})
	}
}

func TestOfAOneofThereIsOne(t *testing.T) {
	for rule, want := range map[string]string{
		"option (buf.validate.oneof).required = true;": "[{title: a, required: [a]}, {title: b, required: [b]}]",
		"": "[{title: a, required: [a]}, {title: b, required: [b]}, {title: none, not: {anyOf: [{title: a, required: [a]}, {title: b, required: [b]}]}}]",
	} {
		schema := at(tree(t, fmt.Sprintf(source, "Ask", "Answer", permitted, "oneof one { "+rule+" string a = 1; int32 b = 2; }")), "components", "schemas", "Ask")
		var expected []any
		require.NoError(t, yaml.Unmarshal([]byte(want), &expected))
		assert.Equal(t, expected, at(schema, "oneOf"))
	}
}

// What must be there follows from the rules: a field that is not there has its zero value.
func TestRequiredIsWhatMayNotBeZero(t *testing.T) {
	fields := `string a = 1 [(buf.validate.field).string.min_len = 1];
		string b = 2 [(buf.validate.field).string.pattern = "^x$"];
		string c = 3 [(buf.validate.field).string.max_len = 1];
		int32 d = 4 [(buf.validate.field).int32.gt = 0];
		Size e = 5 [(buf.validate.field).enum.not_in = 0];
		Answer f = 6 [(buf.validate.field).required = true];
		optional string g = 7 [(buf.validate.field).string.min_len = 1];
		repeated string h = 8 [(buf.validate.field).repeated.min_items = 1];`
	schema := at(tree(t, fmt.Sprintf(source, "Ask", "Answer", permitted, fields)), "components", "schemas", "Ask")
	assert.Equal(t, []any{"a", "b", "d", "e", "f", "h"}, at(schema, "required"))
}

func TestMethodsBecomeOperations(t *testing.T) {
	read := permitted + " option idempotency_level = NO_SIDE_EFFECTS;"
	path := []string{"paths", "/shop.v1.Shop/Buy"}
	doc := tree(t, fmt.Sprintf(source, "Ask", "Answer", permitted, "string v = 1;"))
	item := at(doc, path...)
	assert.Nil(t, at(item, "get"))
	assert.Equal(t, "Shop_Buy", at(item, "post", "operationId"))
	assert.Equal(t, "Buy buys", at(item, "post", "summary"))
	assert.Equal(t, "Buy buys. At most once.\n\nNeeds `create` on `goods` of group `rightsizer.dev` in each namespace that is asked for.", at(item, "post", "description"))
	assert.Nil(t, at(doc, "components", "schemas", "Answer", "additionalProperties"), "a later version may answer more")

	item = at(tree(t, fmt.Sprintf(source, "Ask", "Answer", read, "string v = 1;")), path...)
	assert.Equal(t, "Shop_Buy_get", at(item, "get", "operationId"))
	assert.NotNil(t, at(item, "post"))

	item = at(tree(t, fmt.Sprintf(source, "Ask", "stream Answer", read, "string v = 1;")), path...)
	assert.Nil(t, at(item, "get"), "streams are not read by GET")
	assert.NotNil(t, at(item, "post", "responses", "200", "content", "application/connect+json"))
}

// What has no form is refused, so that no rule is left out in silence.
func TestWhatHasNoFormIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ in, out, options, field, want string }{
		"a rule of a string":   {"Ask", "Answer", permitted, "string v = 1 [(buf.validate.field).string.email = true];", "shop.v1.Ask.v: rule email has no form"},
		"a rule of a number":   {"Ask", "Answer", permitted, "int32 v = 1 [(buf.validate.field).int32.in = 3];", "rule in has no form"},
		"a bound of 64 bits":   {"Ask", "Answer", permitted, "int64 v = 1 [(buf.validate.field).int64.lte = 3];", "rule lte has no form"},
		"a rule of a duration": {"Ask", "Answer", permitted, "google.protobuf.Duration v = 1 [(buf.validate.field).duration.gte = {}];", "rule gte has no form"},
		"a rule of an item":    {"Ask", "Answer", permitted, "repeated string v = 1 [(buf.validate.field).repeated.items.string.uuid = true];", "rule uuid has no form"},
		"an expression":        {"Ask", "Answer", permitted, "int32 v = 1 [(buf.validate.field).cel_expression = \"this > 1\"];", "have no form"},
		"a key":                {"Ask", "Answer", permitted, "map<int32, string> v = 1;", "keys of kind int32"},
		"a JSON of its own":    {"Ask", "Answer", permitted, "google.protobuf.Struct v = 1;", "google.protobuf.Struct has a JSON of its own"},
		"no permission":        {"Ask", "Answer", "", "string v = 1;", "shop.v1.Shop.Buy: it declares no permission"},
		"a stream of requests": {"stream Ask", "Answer", permitted, "string v = 1;", "streams of requests"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, fmt.Sprintf(source, c.in, c.out, c.options, c.field))
			assert.ErrorContains(t, err, c.want)
		})
	}
}
