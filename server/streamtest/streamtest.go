// Package streamtest reads event streams in each protocol through one interface,
// so that one suite of tests runs unchanged over all four: against a bus in
// process, and against the binary on a real cluster.
package streamtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/codec"
)

// Client opens streams in one protocol.
type Client interface {
	// Name is the protocol as the server spells it.
	Name() string
	// Open starts a stream; filter may be nil.
	Open(ctx context.Context, filter *rightsizerv1.EventFilter, after string) (Stream, error)
}

// Stream is one open stream. It ends with the context of Open.
type Stream interface {
	// Next waits for the next message. After the server's end it returns an error.
	Next() (*rightsizerv1.StreamEventsResponse, error)
	// Close gives up reading.
	Close() error
}

// Clients are one client a protocol, and one more for JSON, for a server at
// baseURL (http://… or https://…). Connect and gRPC-Web go over HTTP/1.1, gRPC
// over HTTP/2, in clear text or TLS as the URL says. roots, which may be nil, is
// how a TLS server is verified.
func Clients(baseURL string, roots *tls.Config) []Client {
	return clients(baseURL, transport(roots, false, nil), transport(roots, true, nil))
}

// FrozenClients are Clients whose reading a Freezer stops.
func FrozenClients(baseURL string, f *Freezer) []Client {
	return clients(baseURL, transport(nil, false, f), transport(nil, true, f))
}

func clients(baseURL string, h1, h2 *http.Client) []Client {
	return []Client{
		rpcClient{"connect", rightsizerv1connect.NewEventServiceClient(h1, baseURL)},
		rpcClient{"connect", rightsizerv1connect.NewEventServiceClient(h2, baseURL, jsonOptions()...)},
		rpcClient{"grpc", rightsizerv1connect.NewEventServiceClient(h2, baseURL, connect.WithGRPC())},
		rpcClient{"grpc-web", rightsizerv1connect.NewEventServiceClient(h1, baseURL, connect.WithGRPCWeb())},
		socketClient{url: "ws" + strings.TrimPrefix(baseURL, "http") + "/events", http: h1},
	}
}

func jsonOptions() []connect.ClientOption {
	var opts []connect.ClientOption
	for _, c := range codec.Codecs() {
		if c.Name() == "json" {
			opts = append(opts, connect.WithCodec(c))
		}
	}
	return opts
}

// idle is how long a connection without streams is kept: so shortly that tests
// which look for what is left over find nothing.
const idle = 100 * time.Millisecond

func transport(roots *tls.Config, http2 bool, f *Freezer) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	protocols.SetUnencryptedHTTP2(http2)
	t := &http.Transport{Protocols: protocols, TLSClientConfig: roots, IdleConnTimeout: idle}
	if f != nil {
		t.DialContext = f.DialContext
	}
	return &http.Client{Transport: t}
}

type rpcClient struct {
	name   string
	events rightsizerv1connect.EventServiceClient
}

func (c rpcClient) Name() string { return c.name }

func (c rpcClient) Open(ctx context.Context, filter *rightsizerv1.EventFilter, after string) (Stream, error) {
	s, err := c.events.StreamEvents(ctx, &rightsizerv1.StreamEventsRequest{Filter: filter, After: after})
	if err != nil {
		return nil, err
	}
	return rpcStream{s}, nil
}

type rpcStream struct {
	*connect.ServerStreamForClient[rightsizerv1.StreamEventsResponse]
}

func (s rpcStream) Next() (*rightsizerv1.StreamEventsResponse, error) {
	if s.Receive() {
		return s.Msg(), nil
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("the server ended the stream")
}

type socketClient struct {
	url  string
	http *http.Client
}

func (socketClient) Name() string { return "websocket" }

// maxMessage bounds what a client takes; an event is a few kilobytes at most.
const maxMessage = 1 << 20

func (c socketClient) Open(ctx context.Context, filter *rightsizerv1.EventFilter, after string) (Stream, error) {
	conn, resp, err := websocket.Dial(ctx, c.url, &websocket.DialOptions{HTTPClient: c.http})
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close() //nolint:errcheck // nothing is in it
	}
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxMessage)
	first := &rightsizerv1.EventFilter{}
	if filter != nil {
		first = proto.CloneOf(filter) // the caller's own
	}
	first.After = after
	body, err := codec.MarshalJSON(first)
	if err != nil {
		return nil, err
	}
	if err := conn.Write(ctx, websocket.MessageText, body); err != nil {
		return nil, err
	}
	return socketStream{ctx, conn}, nil
}

type socketStream struct {
	ctx  context.Context //nolint:containedctx // the stream's life, as in the other protocols
	conn *websocket.Conn
}

func (s socketStream) Next() (*rightsizerv1.StreamEventsResponse, error) {
	_, data, err := s.conn.Read(s.ctx)
	if err != nil {
		return nil, err
	}
	msg := &rightsizerv1.StreamEventsResponse{}
	if err := codec.UnmarshalJSON(data, msg); err != nil {
		return nil, fmt.Errorf("decode %s: %w", data, err)
	}
	return msg, nil
}

func (s socketStream) Close() error { return s.conn.CloseNow() }
