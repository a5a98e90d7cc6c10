// Command conformance is a server for the suite of connectrpc.com/conformance whose
// server streams are written by server/stream/envelope, past connect's own Send, as
// the event streams are. Everything else of the service is unimplemented.
//
//	go test ./...
//
// runs the suite against it. The suite starts it as a child: a request on standard
// input says what to serve, the answer on standard output says where.
//
// Package gen is made of the suite's schema, which is not published on its own:
// copy proto/ of the module without client_compat.proto and suite.proto, and run
// buf generate with the template here.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/server/codec"
	conformancev1 "github.com/rightsizer/rightsizer/server/stream/conformance/gen"
	"github.com/rightsizer/rightsizer/server/stream/envelope"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, in io.Reader, out io.Writer) error {
	req := &conformancev1.ServerCompatRequest{}
	if err := receive(in, req); err != nil {
		return err
	}
	secure, err := tlsOf(req)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	opts := []connect.HandlerOption{connect.WithReadMaxBytes(int(req.GetMessageReceiveLimit()))}
	for _, c := range codec.Codecs() {
		opts = append(opts, connect.WithCodec(c))
	}
	path, handler := conformancev1.NewConformanceServiceHandler(service{}, opts...)
	mux := http.NewServeMux()
	mux.Handle(path, envelope.Expose(handler))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols, ReadHeaderTimeout: time.Minute, TLSConfig: secure}
	served := make(chan error, 1)
	go func() {
		if secure != nil {
			served <- server.ServeTLS(l, "", "")
		} else {
			served <- server.Serve(l)
		}
	}()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("%v is no TCP address", l.Addr())
	}
	if err := send(out, &conformancev1.ServerCompatResponse{Host: "127.0.0.1", Port: uint32(address.Port), PemCert: req.GetServerCreds().GetCert()}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	case err := <-served:
		return err
	}
}

// tlsOf is how the suite wants to be spoken to; nil is in clear text.
func tlsOf(req *conformancev1.ServerCompatRequest) (*tls.Config, error) {
	if !req.GetUseTls() {
		return nil, nil //nolint:nilnil // clear text, as said
	}
	own, err := tls.X509KeyPair(req.GetServerCreds().GetCert(), req.GetServerCreds().GetKey())
	if err != nil {
		return nil, fmt.Errorf("use the suite's certificate: %w", err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13}
	if trusted := req.GetClientTlsCert(); len(trusted) > 0 {
		out.ClientAuth, out.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !out.ClientCAs.AppendCertsFromPEM(trusted) {
			return nil, errors.New("the suite's client certificate is none")
		}
	}
	return out, nil
}

// The suite's messages stand behind their size in four bytes, big-endian.
func receive(r io.Reader, m proto.Message) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	raw := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, raw); err != nil {
		return err
	}
	return proto.Unmarshal(raw, m)
}

func send(w io.Writer, m proto.Message) error {
	raw, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...))
	return err
}

// writeTimeout is longer than any case waits.
const writeTimeout = 30 * time.Second

// contentType is the request's; connect answers in the same.
func contentType(header http.Header) string {
	return cmp.Or(header.Get("Content-Type"), "application/proto")
}
