// Package rpcerr makes every error that leaves the API: a Connect code, a
// message for a person, and google.rpc details for a program. Domain errors stay
// inside the packages that know them; their callers translate them here, at the
// one border.
//
// Every error carries an ErrorInfo with domain rightsizer.dev and a reason in
// UPPER_SNAKE that is stable across versions, unlike the message.
package rpcerr

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rightsizer/rightsizer/server/codec"
)

// Domain is the domain of every ErrorInfo.
const Domain = "rightsizer.dev"

// Reasons that more than one package gives. A package with a reason of its own
// keeps it next to the code that gives it.
const (
	// ReasonInvalidArgument says: fields of the request break their rules.
	ReasonInvalidArgument = "INVALID_ARGUMENT"
	// ReasonMalformedRequest says: the body is not the JSON of the request.
	ReasonMalformedRequest = "MALFORMED_REQUEST"
	// ReasonUnknownField says: the request has a field that does not exist.
	ReasonUnknownField = "UNKNOWN_FIELD"
	// ReasonPageToken says: the token is not one of ours, or the request changed.
	ReasonPageToken = "PAGE_TOKEN_INVALID"
	// ReasonClusterNotFound says: the request names a cluster that is not served here.
	ReasonClusterNotFound = "CLUSTER_NOT_FOUND"
	// ReasonTooLarge says: the request, or one message in it, is beyond its bound.
	ReasonTooLarge = "REQUEST_TOO_LARGE"
	// ReasonTooSlow says: the request's body did not arrive in time.
	ReasonTooSlow = "REQUEST_TOO_SLOW"
	// ReasonNotFound says: what the request names does not exist.
	ReasonNotFound = "NOT_FOUND"
	// ReasonNotSynced says: the first full picture of the cluster is not there yet.
	ReasonNotSynced = "NOT_SYNCED"
	// ReasonUnimplemented says: this version does not have the method.
	ReasonUnimplemented = "UNIMPLEMENTED"
	// ReasonInternal says: a bug, logged under the same moment.
	ReasonInternal = "INTERNAL"
	// ReasonShuttingDown says: the operator is stopping.
	ReasonShuttingDown = "SHUTTING_DOWN"
	// ReasonUnauthenticated says: nobody may call without saying who he is.
	ReasonUnauthenticated = "UNAUTHENTICATED"
	// ReasonPermissionDenied says: the caller may not do that.
	ReasonPermissionDenied = "PERMISSION_DENIED"
)

// maxViolations bounds the list of an error; a request of 256 bad namespaces
// need not be answered with 256 explanations.
const maxViolations = 32

// New makes an error with an ErrorInfo. pairs are the ErrorInfo's metadata: key,
// value, key, value; a key without value is dropped.
func New(code connect.Code, reason, message string, pairs ...string) *connect.Error {
	err := connect.NewError(code, errors.New(message))
	info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain}
	for i := 0; i+1 < len(pairs); i += 2 {
		if info.Metadata == nil {
			info.Metadata = make(map[string]string, len(pairs)/2)
		}
		info.Metadata[pairs[i]] = pairs[i+1]
	}
	return with(err, info)
}

// Violation says what is wrong with one field.
type Violation struct {
	// Field is its path in the request, such as filter.severities[1].
	Field string
	// Description is what would be right.
	Description string
}

// BadRequest is invalid_argument with the fields that are wrong, at least one.
func BadRequest(reason string, violations ...Violation) *connect.Error {
	if len(violations) > maxViolations {
		violations = violations[:maxViolations]
	}
	detail := &errdetails.BadRequest{}
	text := make([]string, 0, len(violations))
	for _, v := range violations {
		detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: v.Field, Description: v.Description, Reason: reason,
		})
		if v.Field == "" {
			text = append(text, v.Description)
		} else {
			text = append(text, v.Field+": "+v.Description)
		}
	}
	var pairs []string
	if len(violations) > 0 && violations[0].Field != "" {
		pairs = []string{"field", violations[0].Field}
	}
	return with(New(connect.CodeInvalidArgument, reason, strings.Join(text, "; "), pairs...), detail)
}

// FromJSON translates what the strict JSON codec found.
func FromJSON(field *codec.FieldError) *connect.Error {
	reason := ReasonMalformedRequest
	if field.Unknown {
		reason = ReasonUnknownField
	}
	return BadRequest(reason, Violation{Field: field.Path, Description: field.Reason})
}

// FromValidation translates protovalidate's answer. Anything but a violation is
// a rule that does not compile: a bug of ours.
func FromValidation(err error) *connect.Error {
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return Internal("the request's rules cannot be applied")
	}
	broken := invalid.Violations[:min(len(invalid.Violations), maxViolations)]
	violations := make([]Violation, 0, len(broken))
	for _, v := range broken {
		field := protovalidate.FieldPathString(v.Proto.GetField())
		violations = append(violations, Violation{Field: field, Description: v.Proto.GetMessage()})
	}
	return BadRequest(ReasonInvalidArgument, violations...)
}

// NotFound says that the thing of this kind and name does not exist. pairs go
// into the metadata beside kind and name.
func NotFound(reason, kind, name string, pairs ...string) *connect.Error {
	return New(connect.CodeNotFound, reason, kind+" "+codec.Quote(name)+" not found",
		append([]string{"kind", kind, "name", codec.Cut(name)}, pairs...)...)
}

// FailedPrecondition says that it cannot be done as things are. subject is what is
// in the way.
func FailedPrecondition(reason, subject, message string, pairs ...string) *connect.Error {
	return with(New(connect.CodeFailedPrecondition, reason, message, pairs...), &errdetails.PreconditionFailure{
		Violations: []*errdetails.PreconditionFailure_Violation{{Type: reason, Subject: subject, Description: message}},
	})
}

// Unavailable says that a later try may succeed, and when to make it.
func Unavailable(reason, message string, retry time.Duration, pairs ...string) *connect.Error {
	return Retry(connect.CodeUnavailable, reason, message, retry, pairs...)
}

// Retry is an error of any code after which a later try may succeed, and when to
// make it.
func Retry(code connect.Code, reason, message string, retry time.Duration, pairs ...string) *connect.Error {
	return with(New(code, reason, message, pairs...), &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
}

// Unimplemented says that this version does not have the method.
func Unimplemented(procedure string) *connect.Error {
	return New(connect.CodeUnimplemented, ReasonUnimplemented,
		strings.TrimPrefix(procedure, "/")+" is not implemented in this version", "method", strings.TrimPrefix(procedure, "/"))
}

// Internal says that there is a bug, and no more: what happened is in the log.
func Internal(message string) *connect.Error {
	return New(connect.CodeInternal, ReasonInternal, message)
}

// Ensure gives an error that left a handler without an ErrorInfo one, so that
// the promise holds for foreign errors too. An error without a code is a bug of
// ours; its text stays inside, as do addresses of connections.
func Ensure(err error) error {
	if err == nil {
		return nil
	}
	var coded *connect.Error
	if !errors.As(err, &coded) {
		switch {
		case errors.Is(err, context.Canceled):
			return New(connect.CodeCanceled, foreignReason(connect.CodeCanceled), "the call was cancelled")
		case errors.Is(err, context.DeadlineExceeded):
			return New(connect.CodeDeadlineExceeded, foreignReason(connect.CodeDeadlineExceeded), "the time that the client gave the call is over")
		default:
			return Internal("internal error")
		}
	}
	for _, detail := range coded.Details() {
		if detail.Type() == "google.rpc.ErrorInfo" {
			return err
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return New(coded.Code(), foreignReason(coded.Code()), "the connection failed")
	}
	return with(coded, ForeignInfo(coded.Code()))
}

// ForeignInfo is the ErrorInfo of an error that connect made by itself.
func ForeignInfo(code connect.Code) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: foreignReason(code), Domain: Domain}
}

// foreignReason knows what connect means: its invalid_argument is about bytes that
// cannot be decoded, its resource_exhausted about their number.
func foreignReason(code connect.Code) string {
	switch code {
	case connect.CodeInvalidArgument:
		return ReasonMalformedRequest
	case connect.CodeResourceExhausted:
		return ReasonTooLarge
	default:
		return strings.ToUpper(code.String())
	}
}

// Reason returns the reason of an error's ErrorInfo, empty where it has none.
func Reason(err error) string {
	if info := Info(err); info != nil {
		return info.GetReason()
	}
	return ""
}

// Info returns an error's ErrorInfo, nil where it has none.
func Info(err error) *errdetails.ErrorInfo {
	var coded *connect.Error
	if !errors.As(err, &coded) {
		return nil
	}
	for _, detail := range coded.Details() {
		value, err := detail.Value()
		if err != nil {
			continue
		}
		if info, ok := value.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

func with(err *connect.Error, message proto.Message) *connect.Error {
	if detail, detailErr := connect.NewErrorDetail(message); detailErr == nil {
		err.AddDetail(detail) // packing a message of three strings cannot fail
	}
	return err
}
