package main

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/ws"
)

// variant is one server and the way its clients read it.
type variant struct {
	name string
	wire wire
	skip int // messages ahead of the events
	// start serves on loopback.
	start func() (*running, error)
}

// running is a server that serves.
type running struct {
	addr       string
	publish    func(*rightsizerv1.Event)
	subscribed func() int
	lost       func() uint64 // entries that its readers did not get, whatever they read instead
	stop       func()
}

const (
	floorName    = "raw TCP, batched: the floor"
	floorJSON    = "raw TCP, batched, as JSON: the floor of WebSocket"
	oursConnect  = "ours: Connect, HTTP/1.1"
	oursConnect2 = "ours: Connect, HTTP/2"
	oursGRPC     = "ours: gRPC"
	oursGRPCWeb  = "ours: gRPC-Web, HTTP/1.1"
	oursSocket   = "ours: WebSocket"
	grpcGo       = "grpc-go"
	asItComes    = "connect-go as it comes: Connect, HTTP/1.1"
	asItComes2   = "connect-go as it comes: gRPC"
	natsTCP      = "NATS over TCP"
	centrifugeWS = "Centrifuge"
	gorillaWS    = "gorilla WebSocket, a write per event"
	coderWS      = "coder WebSocket, a write per event"
)

var variants = []variant{
	{floorName, wireTCP, 0, func() (*running, error) { return startRaw(prefixed) }},
	{oursConnect, wireConnect1, 2, startOurs},
	{oursConnect2, wireConnect2, 2, startOurs},
	{oursGRPC, wireGRPC, 2, startOurs},
	{oursGRPCWeb, wireGRPCWeb, 2, startOurs},
	{floorJSON, wireTCP, 0, func() (*running, error) { return startRaw(prefixedJSON) }},
	{oursSocket, wireSocket, 2, startOurs},
	{natsTCP, wireNATS, 0, startNATS},
	{centrifugeWS, wireCentrifuge, 1, startCentrifuge},
	{gorillaWS, wireSocket, 0, startGorilla},
	{coderWS, wireSocket, 0, startCoder},
	{grpcGo, wireGRPC, 0, startGRPC},
	{asItComes, wireConnect1, 0, startConnect},
	{asItComes2, wireGRPC, 0, startConnect},
}

func variantOf(name string) variant {
	for _, v := range variants {
		if v.name == name {
			return v
		}
	}
	panic(name)
}

// ring is a bus of its own for one server.
type ring struct {
	*bus.Bus

	cancel context.CancelFunc
	all    sync.WaitGroup
	ctx    context.Context //nolint:containedctx // the ring's life
}

func newRing() (*ring, error) {
	b, err := bus.New(bus.Options{Bytes: 64 << 20}) // the count bounds it, with every encoding cached
	if err != nil {
		return nil, err
	}
	r := &ring{Bus: b}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.all.Go(func() { _ = b.Run(r.ctx) })
	return r, nil
}

func (r *ring) running(addr net.Addr, stop func()) *running {
	return &running{
		addr: addr.String(), publish: r.Publish,
		subscribed: func() int { return int(r.Stats().Subscriptions) },
		lost:       func() uint64 { return r.Stats().Lost },
		stop: func() {
			r.cancel()
			stop()
			r.all.Wait()
		},
	}
}

// entries calls send with each batch until the ring or ctx ends, or send fails.
func (r *ring) entries(ctx context.Context, send func([]*bus.Entry) error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	s := r.Subscribe(bus.Compile(nil, bus.AllNamespaces()), "")
	defer s.Close()
	room := make([]*bus.Entry, 0, 128)
	for {
		batch, err := s.Next(ctx, time.Hour, room)
		if err != nil || batch.Lost != nil || send(batch.Entries) != nil {
			return
		}
		s.Ack(batch)
	}
}

// Problems implements stream.Problems.
func (*ring) Problems() []*rightsizerv1.Event { return nil }

func listen() (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// startRaw writes what is there, length-prefixed, in one write of at most as much
// as ours.
func startRaw(encode func(*rightsizerv1.StreamEventsResponse) ([]byte, error)) (*running, error) {
	r, err := newRing()
	if err != nil {
		return nil, err
	}
	l, err := listen()
	if err != nil {
		return nil, err
	}
	r.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.all.Go(func() {
				defer conn.Close() //nolint:errcheck // its client is gone
				buf := make([]byte, 0, 64<<10)
				r.entries(r.ctx, func(entries []*bus.Entry) error {
					buf = buf[:0]
					for _, e := range entries {
						frame, err := e.Encoded(bus.FormatProto, encode)
						if err != nil {
							return err
						}
						buf = append(buf, frame...)
					}
					_, err := conn.Write(buf)
					return err
				})
			})
		}
	})
	return r.running(l.Addr(), func() { _ = l.Close() }), nil
}

func prefixed(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	n := proto.Size(msg)
	return proto.MarshalOptions{}.MarshalAppend(binary.BigEndian.AppendUint32(make([]byte, 0, 4+n), uint32(n)), msg)
}

func prefixedJSON(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	text, err := codec.MarshalJSON(msg)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...), err
}

// boundedListener is how the operator's listeners treat their connections.
type boundedListener struct{ net.Listener }

func (l boundedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		stream.Bound(c)
	}
	return c, err
}

func startOurs() (*running, error) {
	r, err := newRing()
	if err != nil {
		return nil, err
	}
	hub, err := stream.NewHub(stream.Options{
		Bus: r.Bus, Problems: r, Cluster: func() string { return "" }, Heartbeat: time.Hour,
		MaxSessions: 1 << 20, MaxPerIdentity: -1, MaxPerPeer: -1,
	})
	if err != nil {
		return nil, err
	}
	bridge, err := ws.NewHandler(ws.Options{Hub: hub, FilterWait: time.Millisecond})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(stream.Handler(hub))
	mux.Handle("/events", bridge)
	l, err := listen()
	if err != nil {
		return nil, err
	}
	return r.running(l.Addr(), r.serve(boundedListener{l}, mux, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = hub.Shutdown(ctx)
	})), nil
}

// serve runs an HTTP server and returns what stops it.
func (r *ring) serve(l net.Listener, h http.Handler, first func()) func() {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler: h, Protocols: protocols, ReadHeaderTimeout: time.Minute,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
	}
	r.all.Go(func() { _ = srv.Serve(l) })
	return func() {
		first()
		_ = srv.Close()
	}
}
