package openapi_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const (
	schemaPackage = "rightsizer.v1"
	committed     = "../../gen/openapi/rightsizer.v1.yaml"
)

// document is the committed one; make checkgenerate holds that it is what the protos say.
func document(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(committed)
	require.NoError(t, err)
	return text
}

// model is the document as a library of the field reads it.
func model(t *testing.T) *v3.Document {
	t.Helper()
	parsed, err := libopenapi.NewDocument(document(t))
	require.NoError(t, err)
	built, err := parsed.BuildV3Model()
	require.NoError(t, err)
	return &built.Model
}

func TestTheDocumentIsOpenAPI(t *testing.T) {
	parsed, err := libopenapi.NewDocument(document(t))
	require.NoError(t, err)
	assert.Equal(t, "3.1.0", parsed.GetVersion())
	v, errs := validator.NewValidator(parsed)
	require.Empty(t, errs)
	valid, problems := v.ValidateDocument()
	for _, p := range problems {
		t.Errorf("%s: %s %v", p.Message, p.Reason, p.SchemaValidationErrors)
	}
	assert.True(t, valid)
}

func methods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage(schemaPackage, func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for j := range service.Methods().Len() {
				all = append(all, service.Methods().Get(j))
			}
		}
		return true
	})
	require.NotEmpty(t, all)
	return all
}

// Each RPC is there, with the way that its protocol takes it and the right that it needs.
func TestEveryRPCIsDescribed(t *testing.T) {
	paths := model(t).Paths.PathItems
	assert.Equal(t, len(methods(t))+1, paths.Len(), "each RPC, and /events")
	for _, method := range methods(t) {
		path := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
		item, ok := paths.Get(path)
		if !assert.Truef(t, ok, "%s", path) || !assert.NotNilf(t, item.Post, "%s", path) {
			continue
		}
		options, ok := method.Options().(*descriptorpb.MethodOptions)
		require.True(t, ok)
		free := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS && !method.IsStreamingServer()
		assert.Equalf(t, free, item.Get != nil, "GET %s", path)
		kind := "application/json"
		if method.IsStreamingServer() {
			kind = "application/connect+json"
		}
		in, ok := item.Post.RequestBody.Content.Get(kind)
		if assert.Truef(t, ok, "%s", path) {
			assert.Equal(t, "#/components/schemas/"+string(method.Input().Name()), in.Schema.GetReference())
		}
		answer, ok := item.Post.Responses.Codes.Get("200")
		require.Truef(t, ok, "%s", path)
		out, ok := answer.Content.Get(kind)
		if assert.Truef(t, ok, "%s", path) {
			assert.Equal(t, "#/components/schemas/"+string(method.Output().Name()), out.Schema.GetReference())
		}
		var told struct {
			Group, Resource, Verb string
			ClusterScoped         bool `yaml:"clusterScoped"`
		}
		node, ok := item.Post.Extensions.Get("x-permission")
		require.Truef(t, ok, "%s", path)
		require.NoError(t, node.Decode(&told))
		want, ok := proto.GetExtension(options, rightsizerv1.E_Permission).(*rightsizerv1.Permission)
		require.True(t, ok)
		assert.Equal(t, [3]string{"rightsizer.dev", want.GetResource(), want.GetVerb()}, [3]string{told.Group, told.Resource, told.Verb}, path)
		assert.Equal(t, want.GetClusterScoped(), told.ClusterScoped, path)
	}
}

// What protos comment is described, in the schemas as in the paths.
func TestCommentsAreDescriptions(t *testing.T) {
	m := model(t)
	item, ok := m.Paths.PathItems.Get("/rightsizer.v1.EventService/ListEvents")
	require.True(t, ok)
	assert.Contains(t, item.Post.Description, "newest first unless asked otherwise.")
	assert.Contains(t, item.Post.Description, "Needs `list` on `events` of group `rightsizer.dev` in each namespace that is asked for.")
	for name, schema := range m.Components.Schemas.FromOldest() {
		if strings.HasPrefix(name, "google.rpc.") {
			continue
		}
		assert.NotEmptyf(t, schema.Schema().Description, "%s", name)
		if name == "Error" || name == "ErrorDetail" || schema.Schema().Properties == nil {
			continue
		}
		for field, value := range schema.Schema().Properties.FromOldest() {
			assert.NotEmptyf(t, value.Schema().Description, "%s.%s", name, field)
		}
	}
}

// compiled are the schemas of messages, by the name of each, as a validator of JSON
// Schema that knows no OpenAPI compiles them.
func compiled(t *testing.T, names ...protoreflect.Name) map[protoreflect.Name]*jsonschema.Schema {
	t.Helper()
	var tree any
	require.NoError(t, yaml.Unmarshal(document(t), &tree))
	text, err := json.Marshal(tree)
	require.NoError(t, err)
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.AssertContent()
	require.NoError(t, compiler.AddResource("openapi.json", parsed))
	out := map[protoreflect.Name]*jsonschema.Schema{}
	for _, name := range names {
		out[name], err = compiler.Compile("openapi.json#/components/schemas/" + string(name))
		require.NoError(t, err)
	}
	return out
}
