// Package proto_test holds rules of the schema that buf lint does not know.
package proto_test

import (
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

const schema = "rightsizer.v1"

func files(t *testing.T) []protoreflect.FileDescriptor {
	t.Helper()
	_ = rightsizerv1.File_rightsizer_v1_event_proto // registers them all
	var all []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage(schema, func(f protoreflect.FileDescriptor) bool {
		all = append(all, f)
		return true
	})
	require.NotEmpty(t, all)
	return all
}

func methods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	for _, f := range files(t) {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				all = append(all, s.Methods().Get(j))
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// resources are the virtual resources of group rightsizer.dev.
var resources = []string{"cluster", "events", "connections", "recommendations", "remediations", "remediations/approve", "policies", "audit"}

func TestEveryRPCDeclaresThePermissionItNeeds(t *testing.T) {
	t.Parallel()
	for _, m := range methods(t) {
		opts := m.Options()
		if !assert.Truef(t, proto.HasExtension(opts, rightsizerv1.E_Permission), "%s declares no permission", m.FullName()) {
			continue
		}
		p, ok := proto.GetExtension(opts, rightsizerv1.E_Permission).(*rightsizerv1.Permission)
		require.True(t, ok)
		assert.NoErrorf(t, protovalidate.Validate(p), "%s", m.FullName())
		assert.Containsf(t, resources, p.GetResource(), "%s", m.FullName())
	}
}

// A read may be called by GET and cached by a proxy; nothing else may.
func TestReadsAndOnlyReadsAreFreeOfSideEffects(t *testing.T) {
	t.Parallel()
	for _, m := range methods(t) {
		name := string(m.Name())
		read := false
		for _, verb := range []string{"Get", "List", "Stream", "Query", "Explain", "Verify"} {
			read = read || strings.HasPrefix(name, verb)
		}
		opts, ok := m.Options().(*descriptorpb.MethodOptions)
		require.True(t, ok)
		free := opts.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		assert.Equalf(t, read, free, "%s", m.FullName())
	}
}

func TestEveryRequestMayNameACluster(t *testing.T) {
	t.Parallel()
	for _, m := range methods(t) {
		fd := m.Input().Fields().ByName("cluster")
		if assert.NotNilf(t, fd, "%s has no field cluster", m.Input().FullName()) {
			assert.Equal(t, protoreflect.StringKind, fd.Kind())
		}
	}
}

// A field without a bound is one that somebody fills without bound. Booleans and
// single messages are bounded by what they are.
func TestEveryFieldIsBounded(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		eachMessage(f.Messages(), func(m protoreflect.MessageDescriptor) {
			for i := range m.Fields().Len() {
				fd := m.Fields().Get(i)
				single := !fd.IsList() && !fd.IsMap()
				if single && (fd.Kind() == protoreflect.BoolKind || fd.Kind() == protoreflect.MessageKind) {
					continue
				}
				assert.Truef(t, proto.HasExtension(fd.Options(), validate.E_Field), "%s has no rule", fd.FullName())
			}
		})
	}
}

// Rules are expressions: one that does not compile would refuse every request.
func TestEveryRuleCompiles(t *testing.T) {
	t.Parallel()
	validator, err := protovalidate.New()
	require.NoError(t, err)
	for _, f := range files(t) {
		eachMessage(f.Messages(), func(m protoreflect.MessageDescriptor) {
			err := validator.Validate(dynamicpb.NewMessage(m))
			var compile *protovalidate.CompilationError
			assert.NotErrorAsf(t, err, &compile, "%s", m.FullName())
		})
	}
}

func eachMessage(ms protoreflect.MessageDescriptors, visit func(protoreflect.MessageDescriptor)) {
	for i := range ms.Len() {
		if m := ms.Get(i); !m.IsMapEntry() {
			visit(m)
			eachMessage(m.Messages(), visit)
		}
	}
}
