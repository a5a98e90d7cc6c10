// Package envelope writes framed messages to the response of a streaming RPC, many
// at a time, past connect's own Send, which marshals, writes and flushes one by
// one.
//
// Connect, gRPC and gRPC-Web put the same header before each message of a stream,
// so that one encoding serves all three. Connect goes on to do everything else: it
// negotiates codec and compression before the handler runs, sends the headers, and
// ends the stream. A handler that is wrapped by [Expose] asks for a [Writer] once
// it has sent the headers:
//
//	err := out.Send(nil)
//	w, err := envelope.NewWriter(ctx, contentType)
//	frame, err := w.Encode(msg)
//	err = w.Write(frame, timeout)
//
// A Writer belongs to one goroutine. Interceptors do not see what goes through it.
package envelope
