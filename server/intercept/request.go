package intercept

import (
	"context"
	"fmt"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

func decode(_ context.Context, _ connect.Spec, m proto.Message) error {
	if field := codec.TakeDeferred(m); field != nil {
		return rpcerr.FromJSON(field)
	}
	return nil
}

func validate(validator protovalidate.Validator) func(context.Context, connect.Spec, proto.Message) error {
	return func(_ context.Context, _ connect.Spec, m proto.Message) error {
		if err := validator.Validate(m); err != nil {
			return rpcerr.FromValidation(err)
		}
		return nil
	}
}

// Authorizer decides whether a caller may do what a method declares, and on what
// he may see, which the handler finds by auth.GrantOf. It is asked once for a unary
// call and once for each message that a stream's client sends, which for our
// server streams is once. Its errors are made by package rpcerr.
type Authorizer interface {
	Authorize(ctx context.Context, id *auth.Identity, permission *rightsizerv1.Permission, request proto.Message) (auth.Grant, error)
}

// AllowAll is the Authorizer of an API that asks nobody who he is.
type AllowAll struct{}

// Authorize implements Authorizer.
func (AllowAll) Authorize(context.Context, *auth.Identity, *rightsizerv1.Permission, proto.Message) (auth.Grant, error) {
	return auth.Everything(), nil
}

func authorize(a Authorizer) func(context.Context, connect.Spec, proto.Message) error {
	return func(ctx context.Context, spec connect.Spec, m proto.Message) error {
		permission, err := PermissionOf(spec)
		if err != nil {
			return rpcerr.New(connect.CodePermissionDenied, rpcerr.ReasonPermissionDenied, "the method declares no permission")
		}
		id, ok := auth.FromContext(ctx)
		if !ok {
			return rpcerr.New(connect.CodeUnauthenticated, rpcerr.ReasonUnauthenticated, "the caller is not known")
		}
		grant, err := a.Authorize(ctx, id, permission, m)
		if err != nil {
			return err
		}
		auth.Granted(ctx, grant)
		return nil
	}
}

// PermissionOf returns the permission that a method declares in the schema; an
// error where it declares none, which a test keeps from happening.
func PermissionOf(spec connect.Spec) (*rightsizerv1.Permission, error) {
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s has no descriptor", spec.Procedure)
	}
	permission, ok := proto.GetExtension(method.Options(), rightsizerv1.E_Permission).(*rightsizerv1.Permission)
	if !ok || permission.GetResource() == "" || permission.GetVerb() == "" {
		return nil, fmt.Errorf("%s declares no permission", spec.Procedure)
	}
	return permission, nil
}
