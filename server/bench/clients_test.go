package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket" //nolint:depguard // the peer that we are set beside
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/ws"
)

// follower is what one client has: the events carry their numbers.
type follower struct {
	read atomic.Int64
	err  error
}

// got takes the next event's number.
func (f *follower) got(number int64) error {
	if want := f.read.Load(); number != want {
		return fmt.Errorf("event %d, want %d", number, want)
	}
	f.read.Add(1)
	return nil
}

// message takes a decoded message and says whether it is one of the many.
func (f *follower) message(m *rightsizerv1.StreamEventsResponse) error {
	switch {
	case m.GetLost() != nil:
		return fmt.Errorf("lost %v", m.GetLost())
	case m.GetEvent() != nil:
		return f.got(int64(m.GetEvent().GetOomKilled().GetAttempt()))
	}
	return nil
}

// text takes a message in JSON.
func (f *follower) text(raw []byte) error {
	var m struct {
		Lost  json.RawMessage
		Event *struct{ OomKilled struct{ Attempt int64 } }
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("%s: %w", raw, err)
	}
	switch {
	case m.Lost != nil:
		return fmt.Errorf("lost: %s", raw)
	case m.Event != nil:
		return f.got(m.Event.OomKilled.Attempt)
	}
	return nil
}

// realClients read a stream to its end by libraries and tools that others use.
var realClients = map[string]func(ctx context.Context, addr string, f *follower) error{
	"grpc-go": func(ctx context.Context, addr string, f *follower) error { return followGRPC(ctx, addr, f) },
	"grpc-go gzip": func(ctx context.Context, addr string, f *follower) error {
		return followGRPC(ctx, addr, f, grpc.UseCompressor(gzip.Name))
	},
	"connect-go": func(ctx context.Context, addr string, f *follower) error { return followConnect(ctx, addr, f) },
	"connect-go gRPC-Web": func(ctx context.Context, addr string, f *follower) error {
		return followConnect(ctx, addr, f, connect.WithGRPCWeb())
	},
	"connect-go JSON, nothing compressed": func(ctx context.Context, addr string, f *follower) error {
		return followConnect(ctx, addr, f, connect.WithProtoJSON(), connect.WithAcceptCompression("gzip", nil, nil))
	},
	"grpcurl":           followGrpcurl,
	"coder WebSocket":   followCoder,
	"gorilla WebSocket": followGorilla,
}

func followGRPC(ctx context.Context, addr string, f *follower, opts ...grpc.CallOption) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // its streams are over
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, streamPath, opts...)
	if err != nil {
		return err
	}
	if err := s.SendMsg(&rightsizerv1.StreamEventsRequest{}); err != nil {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	for {
		m := &rightsizerv1.StreamEventsResponse{}
		if err := s.RecvMsg(m); err != nil {
			return err
		}
		if err := f.message(m); err != nil {
			return err
		}
	}
}

func followConnect(ctx context.Context, addr string, f *follower, opts ...connect.ClientOption) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s, err := rightsizerv1connect.NewEventServiceClient(&http.Client{Transport: transport}, "http://"+addr, opts...).
		StreamEvents(ctx, &rightsizerv1.StreamEventsRequest{})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // over
	for s.Receive() {
		if err := f.message(s.Msg()); err != nil {
			return err
		}
	}
	if s.Err() == nil {
		return io.EOF
	}
	return s.Err()
}

// followGrpcurl learns the schema by reflection and prints JSON.
func followGrpcurl(ctx context.Context, addr string, f *follower) error {
	cmd := exec.CommandContext(ctx, grpcurl(), "-plaintext", "-d", "{}", addr, rightsizerv1connect.EventServiceName+"/"+procedure)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait() //nolint:errcheck // killed
	for dec := json.NewDecoder(out); ; {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		if err := f.text(raw); err != nil {
			return err
		}
	}
}

// grpcurl is where `make .build/tools.stamp` puts it, unless GRPCURL says otherwise.
func grpcurl() string {
	if path := os.Getenv("GRPCURL"); path != "" {
		return path
	}
	return filepath.Join("..", "..", ".tools", "bin", "grpcurl")
}

func followCoder(ctx context.Context, addr string, f *follower) error {
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+"/events", nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow() //nolint:errcheck // over
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{}`)); err != nil {
		return err
	}
	for {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if err := f.text(raw); err != nil {
			return err
		}
	}
}

func followGorilla(ctx context.Context, addr string, f *follower) error {
	conn, _, err := gorilla.DefaultDialer.DialContext(ctx, "ws://"+addr+"/events", nil)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.WriteMessage(gorilla.TextMessage, []byte(`{}`)); err != nil {
		return err
	}
	for {
		_, raw, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if err := f.text(raw); err != nil {
			return err
		}
	}
}

// Clients that others wrote read 100,000 events without a gap and without an error.
func TestRealClientsReadEveryEvent(t *testing.T) {
	if _, err := os.Stat(grpcurl()); err != nil {
		t.Fatalf("grpcurl is missing, make .build/tools.stamp installs it: %v", err)
	}
	r, addr := startReflecting(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	followers := make(map[string]*follower)
	ended := make(chan string, len(realClients))
	for name, follow := range realClients {
		f := &follower{}
		followers[name] = f
		go func() {
			f.err = follow(ctx, addr, f)
			ended <- name
		}()
	}
	feed(t, r, followers, ended)
	cancel()
	for range followers {
		<-ended
	}
}

// feed publishes what all followers have to read once they are there, and waits until
// they have. It stays within the ring of the slowest.
func feed(t *testing.T, r *ring, followers map[string]*follower, ended <-chan string) {
	t.Helper()
	total := 100_000
	if testing.Short() {
		total = 5_000
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	wait := func() {
		select {
		case <-tick.C:
		case name := <-ended:
			t.Fatalf("%s ended after %d events: %v", name, followers[name].read.Load(), followers[name].err)
		}
	}
	for int(r.Stats().Subscriptions) < len(followers) {
		wait()
	}
	slowest := func() int {
		least := int64(total)
		for _, f := range followers {
			least = min(least, f.read.Load())
		}
		return int(least)
	}
	source := bustest.NewSource(bustest.Options{})
	for n := 0; slowest() < total; wait() {
		for ; n < total && n < slowest()+3000; n++ {
			r.Publish(source.Event())
		}
	}
	for name, f := range followers {
		assert.EqualValues(t, total, f.read.Load(), name)
	}
}

// startReflecting is ours, with the reflection that grpcurl asks and a page that a
// browser can be on.
func startReflecting(t *testing.T) (*ring, string) {
	t.Helper()
	r, err := newRing()
	require.NoError(t, err)
	hub, err := stream.NewHub(stream.Options{Bus: r.Bus, Problems: r, Cluster: func() string { return "" }})
	require.NoError(t, err)
	bridge, err := ws.NewHandler(ws.Options{Hub: hub})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(stream.Handler(hub))
	mux.Handle("/events", bridge)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><title>streams</title><link rel="icon" href="data:,">`)
	})
	mux.Handle(grpcreflect.NewHandlerV1(grpcreflect.NewStaticReflector(rightsizerv1connect.EventServiceName)))
	l, err := listen()
	require.NoError(t, err)
	running := r.running(l.Addr(), r.serve(boundedListener{l}, mux, func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		assert.NoError(t, hub.Shutdown(ctx))
	}))
	t.Cleanup(running.stop)
	return r, running.addr
}
