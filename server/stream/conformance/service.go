package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/anypb"

	conformancev1 "github.com/rightsizer/rightsizer/server/stream/conformance/gen"
	"github.com/rightsizer/rightsizer/server/stream/envelope"
)

// service answers with what the request asks for.
type service struct {
	conformancev1.UnimplementedConformanceServiceHandler
}

// ServerStream implements ConformanceServiceHandler.
func (service) ServerStream(ctx context.Context, req *conformancev1.ServerStreamRequest, out *connect.ServerStream[conformancev1.ServerStreamResponse]) error {
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return errors.New("no call")
	}
	said, err := requestInfo(ctx, info.RequestHeader(), req)
	if err != nil {
		return err
	}
	wanted := req.GetResponseDefinition()
	add(out.ResponseHeader(), wanted.GetResponseHeaders())
	add(out.ResponseTrailer(), wanted.GetResponseTrailers())
	if len(wanted.GetResponseData()) > 0 {
		if err := respond(ctx, info, wanted, said, out); err != nil {
			return err
		}
	}
	if wanted.GetError() == nil {
		return nil
	}
	return failure(wanted, said)
}

// respond writes the responses as a session of events does: the headers by connect,
// what follows by the Writer.
func respond(ctx context.Context, info connect.CallInfo, wanted *conformancev1.StreamResponseDefinition, said *conformancev1.ConformancePayload_RequestInfo, out *connect.ServerStream[conformancev1.ServerStreamResponse]) error {
	w, err := envelope.NewWriter(ctx, contentType(info.RequestHeader()))
	if err != nil {
		return err
	}
	if err := w.Within(writeTimeout, func() error { return out.Send(nil) }); err != nil {
		return err
	}
	var batch []byte
	for i, data := range wanted.GetResponseData() {
		payload := &conformancev1.ConformancePayload{Data: data}
		if i == 0 {
			payload.RequestInfo = said
		}
		frame, err := w.Encode(&conformancev1.ServerStreamResponse{Payload: payload})
		if err != nil {
			return err
		}
		batch = append(batch, frame...)
		last := i == len(wanted.GetResponseData())-1
		if delay := wanted.GetResponseDelayMs(); delay > 0 {
			select {
			case <-time.After(time.Duration(delay) * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		} else if !last {
			continue // without a delay they go out together
		}
		if err := w.Write(batch, writeTimeout); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return nil
}

func failure(wanted *conformancev1.StreamResponseDefinition, said *conformancev1.ConformancePayload_RequestInfo) error {
	err := connect.NewError(connect.Code(wanted.GetError().GetCode()), errors.New(wanted.GetError().GetMessage()))
	details := wanted.GetError().GetDetails()
	if len(wanted.GetResponseData()) == 0 { // no response carries what was asked
		packed, packErr := anypb.New(said)
		if packErr != nil {
			return packErr
		}
		details = append(details, packed)
	}
	for _, detail := range details {
		d, detailErr := connect.NewErrorDetail(detail)
		if detailErr != nil {
			return detailErr
		}
		err.AddDetail(d)
	}
	return err
}

func requestInfo(ctx context.Context, header http.Header, req *conformancev1.ServerStreamRequest) (*conformancev1.ConformancePayload_RequestInfo, error) {
	packed, err := anypb.New(req)
	if err != nil {
		return nil, err
	}
	said := &conformancev1.ConformancePayload_RequestInfo{Requests: []*anypb.Any{packed}}
	for name, values := range header {
		said.RequestHeaders = append(said.RequestHeaders, &conformancev1.Header{Name: strings.ToLower(name), Value: values})
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline).Milliseconds()
		said.TimeoutMs = &left
	}
	return said, nil
}

func add(to http.Header, headers []*conformancev1.Header) {
	for _, h := range headers {
		for _, v := range h.GetValue() {
			to.Add(h.GetName(), v)
		}
	}
}
