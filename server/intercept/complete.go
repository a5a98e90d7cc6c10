package intercept

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Complete stands before a connect handler and gives an ErrorInfo to the errors
// that connect writes by itself before any interceptor runs: a message that is too
// large once it is unpacked, bytes that are not protobuf, an unknown compression,
// a malformed timeout, a method or content type that is not served.
//
// A unary error of Connect is one JSON object and is held back to be completed; of
// gRPC nothing but trailers was written by then, of gRPC-Web nothing but headers.
// What a stream of Connect would be refused for is refused here. What succeeds
// passes untouched.
func Complete(next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		switch {
		case strings.HasPrefix(kind, "application/grpc-web"):
			late := &lateHeaders{ResponseWriter: w}
			next.ServeHTTP(late, r)
			late.settle()
		case strings.HasPrefix(kind, "application/grpc"):
			next.ServeHTTP(w, r)
			completeTrailers(w.Header())
		case strings.HasPrefix(kind, "application/connect+"):
			if err := refusedStream(r.Header); err != nil {
				_ = writer.Write(w, r, err) // the client may be gone
				return
			}
			next.ServeHTTP(w, r)
		default:
			held := &heldError{ResponseWriter: w}
			next.ServeHTTP(held, r)
			held.release()
		}
	})
}

// refusedStream is what connect would refuse a stream of its own protocol for.
func refusedStream(h http.Header) error {
	switch encoding := h.Get("Connect-Content-Encoding"); encoding {
	case "", "identity", "gzip":
	default:
		return rpcerr.New(connect.CodeUnimplemented, rpcerr.ReasonUnimplemented, "unknown compression: gzip and identity are known")
	}
	// https://connectrpc.com/docs/protocol#streaming-request: at most 10 digits.
	if timeout := h.Get("Connect-Timeout-Ms"); timeout != "" {
		if _, err := strconv.ParseUint(timeout, 10, 64); err != nil || len(timeout) > 10 {
			return rpcerr.New(connect.CodeInvalidArgument, rpcerr.ReasonMalformedRequest, "Connect-Timeout-Ms wants at most 10 digits")
		}
	}
	return nil
}

// completeTrailers completes an error in what will be sent as trailers, or as
// headers where gRPC-Web sent nothing else.
func completeTrailers(h http.Header) {
	for _, prefix := range []string{http.TrailerPrefix, ""} {
		code, err := strconv.ParseInt(first(h, prefix+"Grpc-Status"), 10, 32)
		if err != nil || code == 0 || first(h, prefix+"Grpc-Status-Details-Bin") != "" {
			continue
		}
		detail, err := anypb.New(rpcerr.ForeignInfo(connect.Code(code)))
		if err != nil {
			return // packing three strings cannot fail
		}
		full := &status.Status{Code: int32(code), Message: unescape(first(h, prefix+"Grpc-Message")), Details: []*anypb.Any{detail}}
		if raw, err := proto.Marshal(full); err == nil {
			h[prefix+"Grpc-Status-Details-Bin"] = []string{base64.RawStdEncoding.EncodeToString(raw)}
		}
	}
}

// lateHeaders completes an error in gRPC-Web's headers before they are sent.
type lateHeaders struct {
	http.ResponseWriter

	settled bool
}

func (w *lateHeaders) settle() {
	if !w.settled {
		w.settled = true
		completeTrailers(w.Header())
	}
}

// Unwrap is for http.ResponseController.
func (w *lateHeaders) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *lateHeaders) WriteHeader(code int) {
	w.settle()
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *lateHeaders) Write(p []byte) (int, error) {
	w.settle()
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // a transparent wrapper
}

// Flush implements http.Flusher.
func (w *lateHeaders) Flush() { _ = w.FlushError() } // it has nobody to tell

// FlushError is for http.ResponseController.
func (w *lateHeaders) FlushError() error {
	w.settle()
	return http.NewResponseController(w.ResponseWriter).Flush() //nolint:wrapcheck // a transparent wrapper
}

// first looks a key up as it is written: a prefixed one is not canonical.
func first(h http.Header, key string) string {
	if values := h[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// unescape undoes gRPC's percent-encoding of messages; what is not of it stays.
func unescape(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if b, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(b))
				i += 2
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return strings.ToValidUTF8(out.String(), "\uFFFD")
}

// heldError holds an error back until it is whole; an answer that is none passes.
type heldError struct {
	http.ResponseWriter

	status int // of the error that is held; 0 while there is none
	body   []byte
}

// Unwrap is for http.ResponseController.
func (w *heldError) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *heldError) WriteHeader(code int) {
	if code >= http.StatusBadRequest {
		w.status = code
		return
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *heldError) Write(p []byte) (int, error) {
	if w.status != 0 {
		w.body = append(w.body, p...)
		return len(p), nil
	}
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // a transparent wrapper
}

// Flush implements http.Flusher.
func (w *heldError) Flush() {
	if w.status == 0 {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // like net/http's own, it has nobody to tell
	}
}

func (w *heldError) release() {
	if w.status == 0 {
		return
	}
	body := w.body
	if len(body) == 0 {
		body = bare(w.status)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(w.status)
	_, _ = w.ResponseWriter.Write(completeJSON(body)) // the client may be gone
}

// wireError is an error in Connect's JSON.
type wireError struct {
	Code    string       `json:"code"`
	Message string       `json:"message,omitempty"`
	Details []wireDetail `json:"details,omitempty"`
}

type wireDetail struct {
	Type  string          `json:"type"`
	Value string          `json:"value"`
	Debug json.RawMessage `json:"debug,omitempty"`
}

// bare is the error for a status with which connect says no more.
func bare(status int) []byte {
	out := wireError{Code: connect.CodeUnknown.String(), Message: http.StatusText(status)}
	switch status {
	case http.StatusUnsupportedMediaType:
		out.Code, out.Message = connect.CodeInvalidArgument.String(), "no such content type: application/json and application/proto are known"
	case http.StatusMethodNotAllowed:
		out.Code, out.Message = connect.CodeUnimplemented.String(), "no such HTTP method here: POST always is, GET for reads"
	}
	raw, _ := json.Marshal(out) // two strings cannot fail
	return raw
}

// completeJSON adds an ErrorInfo where there is none. What is no error of Connect
// is left as it is.
func completeJSON(body []byte) []byte {
	var out wireError
	var code connect.Code
	if json.Unmarshal(body, &out) != nil || code.UnmarshalText([]byte(out.Code)) != nil {
		return body
	}
	info := rpcerr.ForeignInfo(code)
	for _, d := range out.Details {
		if d.Type == string(info.ProtoReflect().Descriptor().FullName()) {
			return body
		}
	}
	raw, err := proto.Marshal(info)
	if err != nil {
		return body
	}
	debug, _ := json.Marshal(map[string]string{"reason": info.GetReason(), "domain": info.GetDomain()})
	out.Details = append(out.Details, wireDetail{
		Type: string(info.ProtoReflect().Descriptor().FullName()), Value: base64.RawStdEncoding.EncodeToString(raw), Debug: debug,
	})
	if whole, err := json.Marshal(out); err == nil {
		return whole
	}
	return body
}
