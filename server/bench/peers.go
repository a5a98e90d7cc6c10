package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/centrifugal/centrifuge"
	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket" //nolint:depguard // the peer that we are set beside
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/codec"
)

const procedure = "StreamEvents"

// startGRPC is grpc-go with a Send per event. The schema's stubs are Connect's, so
// the service is described by hand.
func startGRPC() (*running, error) {
	r, err := newRing()
	if err != nil {
		return nil, err
	}
	l, err := listen()
	if err != nil {
		return nil, err
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: rightsizerv1connect.EventServiceName, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: procedure, ServerStreams: true, Handler: func(_ any, out grpc.ServerStream) error {
			if err := out.RecvMsg(&rightsizerv1.StreamEventsRequest{}); err != nil {
				return err
			}
			if err := out.SendHeader(nil); err != nil {
				return err
			}
			r.entries(out.Context(), func(entries []*bus.Entry) error {
				for _, e := range entries {
					if err := out.SendMsg(e.Message()); err != nil {
						return err
					}
				}
				return nil
			})
			return nil
		}}},
	}, struct{}{})
	r.all.Go(func() { _ = s.Serve(l) })
	return r.running(l.Addr(), s.Stop), nil
}

// plainService is connect-go with a Send per event.
type plainService struct {
	rightsizerv1connect.UnimplementedEventServiceHandler

	ring *ring
}

// StreamEvents implements EventServiceHandler.
func (s plainService) StreamEvents(ctx context.Context, _ *rightsizerv1.StreamEventsRequest, out *connect.ServerStream[rightsizerv1.StreamEventsResponse]) error {
	if err := out.Send(nil); err != nil {
		return err
	}
	s.ring.entries(ctx, func(entries []*bus.Entry) error {
		for _, e := range entries {
			if err := out.Send(e.Message()); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

func startConnect() (*running, error) {
	r, err := newRing()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(rightsizerv1connect.NewEventServiceHandler(plainService{ring: r}))
	return startHTTP(r, mux)
}

func startHTTP(r *ring, h http.Handler) (*running, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	return r.running(l.Addr(), r.serve(l, h, func() {})), nil
}

// encoded is the message in JSON: the WebSocket peers send what our bridge sends,
// and encode it once too, or they would be measured for a fault that they need not
// have.
func encoded(e *bus.Entry) ([]byte, error) {
	return e.Encoded(bus.FormatJSON, func(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) { return codec.MarshalJSON(msg) })
}

func startGorilla() (*running, error) {
	r, err := newRing()
	if err != nil {
		return nil, err
	}
	upgrader := gorilla.Upgrader{}
	return startHTTP(r, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conn, err := upgrader.Upgrade(w, req, nil)
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		r.all.Go(func() {
			defer cancel()
			_, _, _ = conn.ReadMessage()
		})
		r.entries(ctx, func(entries []*bus.Entry) error {
			for _, e := range entries {
				frame, err := encoded(e)
				if err == nil {
					err = conn.WriteMessage(gorilla.TextMessage, frame)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		_ = conn.Close()
	}))
}

func startCoder() (*running, error) {
	r, err := newRing()
	if err != nil {
		return nil, err
	}
	return startHTTP(r, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conn, err := websocket.Accept(w, req, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow() //nolint:errcheck // its client is gone
		ctx := conn.CloseRead(context.Background())
		r.entries(ctx, func(entries []*bus.Entry) error {
			for _, e := range entries {
				frame, err := encoded(e)
				if err == nil {
					err = conn.Write(ctx, websocket.MessageText, frame)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}))
}

const subject = "events"

func startNATS() (*running, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPending: 1 << 30})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("not ready")
	}
	c, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return nil, err
	}
	return &running{
		addr: s.Addr().String(),
		publish: func(ev *rightsizerv1.Event) {
			if raw, err := proto.Marshal(ev); err == nil {
				_ = c.Publish(subject, raw)
			}
		},
		subscribed: func() int { return int(s.NumSubscriptions()) },
		lost:       func() uint64 { return 0 }, // it drops whole clients
		stop: func() {
			c.Close()
			s.Shutdown()
			s.WaitForShutdown()
		},
	}, nil
}

func startCentrifuge() (*running, error) {
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: 64 << 20})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials: &centrifuge.Credentials{}, Subscriptions: map[string]centrifuge.SubscribeOptions{subject: {}},
		}, nil
	})
	if err := node.Run(); err != nil {
		return nil, err
	}
	r, err := newRing()
	if err != nil {
		return nil, err
	}
	running, err := startHTTP(r, centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	if err != nil {
		return nil, err
	}
	running.publish = func(ev *rightsizerv1.Event) {
		if raw, err := proto.Marshal(ev); err == nil {
			_, _ = node.Publish(subject, raw)
		}
	}
	running.subscribed = func() int { return node.Hub().NumSubscriptions() }
	stop := running.stop
	running.stop = func() {
		_ = node.Shutdown(context.Background())
		stop()
	}
	return running, nil
}
