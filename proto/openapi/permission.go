package openapi

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// group is that of the resources on which rights are granted.
const group = "rightsizer.dev"

// permissionOf is the option that says which right an RPC needs, nil where the file does
// not declare it. It comes from the protos that are described: the Go that is made of
// them may not be there yet.
func permissionOf(file protoreflect.FileDescriptor) protoreflect.ExtensionType {
	extension := file.Extensions().ByName("permission")
	if extension == nil {
		return nil
	}
	return dynamicpb.NewExtensionType(extension)
}

// right is the right that an RPC needs.
func (g *generator) right(method protoreflect.MethodDescriptor) (permission, error) {
	if g.permission == nil {
		return permission{}, errors.New("no file declares the option permission")
	}
	raw, err := proto.Marshal(method.Options())
	if err != nil {
		return permission{}, fmt.Errorf("options: %w", err)
	}
	// Of the descriptor that the option extends, which is not the one that is linked here.
	options := dynamicpb.NewMessage(g.permission.TypeDescriptor().ContainingMessage())
	if err := (proto.UnmarshalOptions{Resolver: only{g.permission}}).Unmarshal(raw, options); err != nil {
		return permission{}, fmt.Errorf("options: %w", err)
	}
	if !options.Has(g.permission.TypeDescriptor()) {
		return permission{}, errors.New("it declares no permission")
	}
	value := options.Get(g.permission.TypeDescriptor()).Message()
	field := func(name protoreflect.Name) protoreflect.Value {
		return value.Get(value.Descriptor().Fields().ByName(name))
	}
	return permission{
		Group: group, Resource: field("resource").String(), Verb: field("verb").String(), ClusterScoped: field("cluster_scoped").Bool(),
	}, nil
}

// String says it for a person.
func (p permission) String() string {
	where := "in each namespace that is asked for"
	if p.ClusterScoped {
		where = "in the whole cluster"
	}
	return fmt.Sprintf("Needs `%s` on `%s` of group `%s` %s.", p.Verb, p.Resource, p.Group, where)
}

// only resolves one extension.
type only struct{ protoreflect.ExtensionType }

// FindExtensionByName implements proto.UnmarshalOptions.Resolver.
func (o only) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if name == o.TypeDescriptor().FullName() {
		return o.ExtensionType, nil
	}
	return nil, protoregistry.NotFound
}

// FindExtensionByNumber implements proto.UnmarshalOptions.Resolver.
func (o only) FindExtensionByNumber(message protoreflect.FullName, number protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	if d := o.TypeDescriptor(); message == d.ContainingMessage().FullName() && number == d.Number() {
		return o.ExtensionType, nil
	}
	return nil, protoregistry.NotFound
}
