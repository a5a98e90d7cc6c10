package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// explained checks that an error is one of the API's.
func explained(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, code, connect.CodeOf(err), "%v", err)
	assert.Equal(t, reason, rpcerr.Reason(err), "%v", err)
	assert.Equal(t, rpcerr.Domain, rpcerr.Info(err).GetDomain())
	assert.NotContains(t, err.Error(), "127.0.0.1")
}

func TestMessagesBeyondTheirBoundAreExplained(t *testing.T) {
	o := start(t, loopback())
	large := &rightsizerv1.EventFilter{Namespaces: []string{strings.Repeat("a", 2<<20)}} // a bomb, once it is packed
	for name, options := range protocols {
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s gzip=%v", name, packed), func(t *testing.T) {
				if name == "connect get" {
					t.Skip("a URL has its own bound: 431")
				}
				if packed {
					options = append([]connect.ClientOption{connect.WithSendGzip()}, options...)
				}
				events := rightsizerv1connect.NewEventServiceClient(client(t, 2), o.url("http", KeyAPI), options...)
				_, err := events.ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: large})
				explained(t, err, connect.CodeResourceExhausted, rpcerr.ReasonTooLarge)
				stream, err := events.StreamEvents(t.Context(), &rightsizerv1.StreamEventsRequest{Filter: large})
				require.NoError(t, err)
				assert.False(t, stream.Receive())
				explained(t, stream.Err(), connect.CodeResourceExhausted, rpcerr.ReasonTooLarge)
				_ = stream.Close()
			})
		}
	}
}

// reply sends raw bytes and returns what came: the status and the ErrorInfo with
// the text around it, in whatever protocol.
func reply(t *testing.T, req *http.Request) (status int, info *errdetails.ErrorInfo, text string) {
	t.Helper()
	res, err := client(t, 2).Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if body, ok := bytes.CutPrefix(raw, []byte{2}); ok { // the end of a stream of Connect
		raw = body[4:]
	}
	for _, h := range []http.Header{res.Trailer, res.Header} {
		if packed := h.Get("Grpc-Status-Details-Bin"); packed != "" {
			text, info = unpackStatus(t, packed)
			return res.StatusCode, info, text
		}
	}
	var wire struct {
		Error   json.RawMessage
		Details []struct{ Type, Value string }
	}
	require.NoError(t, json.Unmarshal(raw, &wire), "%s", raw)
	if wire.Error != nil {
		require.NoError(t, json.Unmarshal(wire.Error, &wire))
	}
	for _, d := range wire.Details {
		if d.Type == "google.rpc.ErrorInfo" {
			packed, err := base64.RawStdEncoding.DecodeString(d.Value)
			require.NoError(t, err)
			info = &errdetails.ErrorInfo{}
			require.NoError(t, proto.Unmarshal(packed, info))
		}
	}
	return res.StatusCode, info, string(raw)
}

func unpackStatus(t *testing.T, packed string) (string, *errdetails.ErrorInfo) {
	t.Helper()
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(packed, "="))
	require.NoError(t, err)
	var whole status.Status
	require.NoError(t, proto.Unmarshal(raw, &whole))
	for _, d := range whole.GetDetails() {
		info := &errdetails.ErrorInfo{}
		if d.UnmarshalTo(info) == nil {
			return whole.GetMessage(), info
		}
	}
	return whole.GetMessage(), nil
}

func TestWhatConnectRefusesItselfIsExplained(t *testing.T) {
	o := start(t, loopback())
	const unary, stream, health = "/rightsizer.v1.ClusterService/GetHealth", "/rightsizer.v1.EventService/StreamEvents", "/grpc.health.v1.Health/Check"
	const garbage, framed = "\xff\xff\xff", "\x00\x00\x00\x00\x03\xff\xff\xff"
	for name, c := range map[string]struct {
		path, contentType, header, body string
		status                          int
		reason                          string
	}{
		"connect, no protobuf":           {unary, "application/proto", "", garbage, 400, rpcerr.ReasonMalformedRequest},
		"grpc, no protobuf":              {unary, "application/grpc", "", framed, 200, rpcerr.ReasonMalformedRequest},
		"grpc-web, no protobuf":          {unary, "application/grpc-web", "", framed, 200, rpcerr.ReasonMalformedRequest},
		"connect stream, no protobuf":    {stream, "application/connect+proto", "", framed, 200, rpcerr.ReasonMalformedRequest},
		"health, no protobuf":            {health, "application/grpc", "", framed, 200, rpcerr.ReasonMalformedRequest},
		"connect, no such zip":           {unary, "application/json", "Content-Encoding: br", "{}", 501, rpcerr.ReasonUnimplemented},
		"grpc, no such zip":              {unary, "application/grpc", "Grpc-Encoding: br", framed, 200, rpcerr.ReasonUnimplemented},
		"grpc-web, no such zip":          {unary, "application/grpc-web", "Grpc-Encoding: br", framed, 200, rpcerr.ReasonUnimplemented},
		"grpc stream, no such zip":       {stream, "application/grpc", "Grpc-Encoding: br", framed, 200, rpcerr.ReasonUnimplemented},
		"connect stream, no such zip":    {stream, "application/connect+json", "Connect-Content-Encoding: br", framed, 200, rpcerr.ReasonUnimplemented},
		"connect, no gzip":               {unary, "application/json", "Content-Encoding: gzip", "{}", 400, rpcerr.ReasonMalformedRequest},
		"connect, no timeout":            {unary, "application/json", "Connect-Timeout-Ms: soon", "{}", 400, rpcerr.ReasonMalformedRequest},
		"connect stream, no timeout":     {stream, "application/connect+json", "Connect-Timeout-Ms: soon", framed, 200, rpcerr.ReasonMalformedRequest},
		"connect, the time is over":      {unary, "application/json", "Connect-Timeout-Ms: 0", "{}", 504, "DEADLINE_EXCEEDED"},
		"no content type of the API":     {unary, "text/plain", "", "{}", 415, rpcerr.ReasonMalformedRequest},
		"a stream as if it were a call":  {stream, "application/json", "", "{}", 415, rpcerr.ReasonMalformedRequest},
		"a health question without end":  {health, "application/json", "", `{"service":"` + strings.Repeat("x", 5000) + `"}`, 429, rpcerr.ReasonTooLarge},
		"a service nobody knows, health": {health, "application/json", "", `{"service":"x"}`, 404, rpcerr.ReasonNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url("http", KeyAPI)+c.path, strings.NewReader(c.body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", c.contentType)
			if key, value, ok := strings.Cut(c.header, ": "); ok {
				req.Header.Set(key, value)
			}
			status, info, text := reply(t, req)
			assert.Equal(t, c.status, status, text)
			assert.Equal(t, c.reason, info.GetReason(), text)
			assert.Equal(t, rpcerr.Domain, info.GetDomain(), text)
			assert.NotContains(t, text, "127.0.0.1")
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, o.url("http", KeyAPI)+unary, http.NoBody)
	require.NoError(t, err)
	code, info, _ := reply(t, req)
	assert.Equal(t, http.StatusMethodNotAllowed, code)
	assert.Equal(t, rpcerr.ReasonUnimplemented, info.GetReason())
}

// apiOf is an open API whose bounds are set.
func apiOf(t *testing.T, set func(*App)) string {
	t.Helper()
	a := newApp(t, loopback())
	set(a)
	handler, err := a.apiHandler(t.Context(), exposure{loopback: true, open: true}, &probe{ready: a.health.Ready, services: services})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := newServer(handler, a.logger)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return "http://" + l.Addr().String()
}

func TestATrickledBodyIsAnswered(t *testing.T) {
	url := apiOf(t, func(a *App) { a.bodyTimeout = 50 * time.Millisecond })
	const unary, stream, health = "/rightsizer.v1.ClusterService/GetHealth", "/rightsizer.v1.EventService/StreamEvents", "/grpc.health.v1.Health/Check"
	for name, c := range map[string]struct {
		version           int
		path, contentType string
	}{
		"connect HTTP/1.1":   {1, unary, "application/json"},
		"connect":            {2, unary, "application/json"},
		"grpc":               {2, unary, "application/grpc"},
		"grpc-web HTTP/1.1":  {1, unary, "application/grpc-web+proto"},
		"connect stream":     {2, stream, "application/connect+json"},
		"grpc stream":        {2, stream, "application/grpc"},
		"health":             {2, health, "application/grpc"},
		"health in HTTP/1.1": {1, health, "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			body, writer := io.Pipe()
			defer func() { _ = writer.Close() }()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+c.path, body)
			require.NoError(t, err)
			req.Header.Set("Content-Type", c.contentType)
			var info *errdetails.ErrorInfo
			var text string
			if c.version == 1 {
				res, err := client(t, 1).Do(req)
				require.NoError(t, err)
				raw, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				text = string(raw)
				if packed := res.Header.Get("Grpc-Status-Details-Bin"); packed != "" {
					text, info = unpackStatus(t, packed)
					assert.Equal(t, rpcerr.ReasonTooSlow, info.GetReason())
				} else {
					assert.Equal(t, http.StatusBadRequest, res.StatusCode)
					assert.Contains(t, text, rpcerr.ReasonTooSlow)
				}
			} else {
				_, info, text = reply(t, req)
				assert.Equal(t, rpcerr.ReasonTooSlow, info.GetReason())
			}
			assert.Contains(t, text, "did not arrive in time")
			assert.NotContains(t, text, "127.0.0.1")
		})
	}
}

// Nobody is asked who he is before he may watch the health, so a closed API bounds
// it all the same.
func TestWatchesOfTheHealthAreBounded(t *testing.T) {
	cfg := loopback()
	cfg.GRPCAddress, cfg.InsecurePlaintext, cfg.EventsAddress = "0.0.0.0:0", true, config.Off
	o := start(t, cfg)
	url := o.url("http", KeyAPI)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := func(http2 *http.Client) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/grpc.health.v1.Health/Watch", strings.NewReader("\x00\x00\x00\x00\x00"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/grpc")
		return http2.Do(req)
	}
	first, second := client(t, 2), client(t, 2) // connections have a bound of their own
	for i := range healthWatches / 2 {
		res, err := watch([]*http.Client{first, second}[i%2])
		require.NoError(t, err)
		frame := make([]byte, 5)
		_, err = io.ReadFull(res.Body, frame)
		require.NoError(t, err, "watch %d is told the health", i)
	}
	res, err := watch(second)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, res.Body)
	assert.Equal(t, "8", res.Trailer.Get("Grpc-Status"), "resource_exhausted")
	text, info := unpackStatus(t, res.Trailer.Get("Grpc-Status-Details-Bin"))
	assert.Equal(t, reasonTooMany, info.GetReason(), text)
	assert.Contains(t, probeOf(t, url, ""), "SERVING", "a check is answered all the same")
	_, metrics := get(t, o.url("http", KeyOps)+"/metrics")
	assert.Contains(t, metrics, `rightsizer_http_calls_refused_total{of="health_watch"} 1`)

	cancel()
	require.Eventually(t, func() bool { // the slots are given back
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		res, err := watch(first)
		require.NoError(t, err)
		frame := make([]byte, 5)
		_, err = io.ReadFull(res.Body, frame)
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
}

func TestReflectionIsBoundedAndGuarded(t *testing.T) {
	cfg := loopback()
	cfg.GRPCAddress, cfg.InsecurePlaintext, cfg.EventsAddress = "0.0.0.0:0", true, config.Off
	closed := start(t, cfg)
	open := start(t, loopback())
	ask := func(http2 *http.Client, url string) *http.Response {
		body, writer := io.Pipe()
		t.Cleanup(func() { _ = writer.Close() })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", body)
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/grpc")
		go func() { _, _ = writer.Write([]byte("\x00\x00\x00\x00\x02\x3a\x00")) }() // list_services: ""
		res, err := http2.Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	res := ask(client(t, 2), closed.url("http", KeyAPI))
	_, _ = io.Copy(io.Discard, res.Body)
	_, info := unpackStatus(t, res.Trailer.Get("Grpc-Status-Details-Bin"))
	assert.Equal(t, auth.ReasonClosed, info.GetReason())

	http2 := client(t, 2)
	for range reflectionStreams / 2 {
		_, err := io.ReadFull(ask(http2, open.url("http", KeyAPI)).Body, make([]byte, 5))
		require.NoError(t, err)
	}
	res = ask(http2, open.url("http", KeyAPI))
	_, _ = io.Copy(io.Discard, res.Body)
	_, info = unpackStatus(t, res.Trailer.Get("Grpc-Status-Details-Bin"))
	assert.Equal(t, reasonTooMany, info.GetReason())
}
