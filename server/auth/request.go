package auth

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// asked is what a request says about namespaces.
type asked struct {
	// namespaces are those that it names.
	namespaces []string
	// allowedOnly asks for what the caller may see, whatever that is.
	allowedOnly bool
	// before are namespaces to ask about beside those that are known.
	before []string
}

// askedBy reads a request by the names of its fields, which the schema keeps:
// `namespace` and `namespaces` name namespaces, `allowed_only` asks for what is
// allowed; so do they within an EventFilter, and the key `namespace` of a map
// `filter`. A request without any of them asks for everything.
func askedBy(request proto.Message) asked {
	var a asked
	a.read(request.ProtoReflect())
	return a
}

func (a *asked) read(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case fd.Name() == "namespace" && fd.Kind() == protoreflect.StringKind && !fd.IsList() && !fd.IsMap():
			a.name(m.Get(fd).String())
		case fd.Name() == "namespaces" && fd.IsList() && fd.Kind() == protoreflect.StringKind:
			for list, i := m.Get(fd).List(), 0; i < list.Len(); i++ {
				a.name(list.Get(i).String())
			}
		case fd.Name() == "allowed_only" && fd.Kind() == protoreflect.BoolKind:
			a.allowedOnly = a.allowedOnly || m.Get(fd).Bool()
		case fd.Name() == "filter" && fd.IsMap() && fd.MapKey().Kind() == protoreflect.StringKind && fd.MapValue().Kind() == protoreflect.StringKind:
			// The String of what is not in a map is not empty.
			if named := m.Get(fd).Map().Get(protoreflect.ValueOfString("namespace").MapKey()); named.IsValid() {
				a.name(named.String())
			}
		case fd.Name() == "filter" && fd.Message() != nil && !fd.IsMap() && !fd.IsList() && m.Has(fd) && isFilter(fd):
			a.read(m.Get(fd).Message())
		}
	}
}

func isFilter(fd protoreflect.FieldDescriptor) bool {
	return fd.Message().FullName() == (&rightsizerv1.EventFilter{}).ProtoReflect().Descriptor().FullName()
}

func (a *asked) name(namespace string) {
	if namespace != "" {
		a.namespaces = append(a.namespaces, namespace)
	}
}
