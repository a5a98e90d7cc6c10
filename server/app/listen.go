package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/stream/envelope"
	"github.com/rightsizer/rightsizer/server/tlsconf"
)

// The keys of the three addresses.
const (
	KeyAPI    = "grpc-bind-address"
	KeyEvents = "events-bind-address"
	KeyOps    = "metrics-bind-address"
)

// opsConnections bounds probes and scrapers, apart from the API's bound, so that
// health answers while the API is full. An address has few of them, and each ends with
// its request: whose probe finds no place has the kubelet restart the operator.
const (
	opsConnections      = 256
	opsConnectionsOfOne = 16
)

// Graces of the listeners; with the streams' 4 s and the other steps' they stay
// under 20 s.
const (
	apiGrace    = 4 * time.Second
	eventsGrace = 2 * time.Second
	opsGrace    = time.Second
)

// servers are the steps that listen serves with.
type servers struct {
	ops  step
	rest []step
}

// listen binds all addresses, or none: its error names the flag. The order of
// rest is that of the start.
func (a *App) listen() (_ *servers, err error) {
	defer func() {
		if err != nil {
			for _, l := range a.listeners {
				_ = l.Close()
			}
		}
	}()
	out := &servers{ops: idle("ops listener")}
	if a.cfg.MetricsAddress != config.Off {
		l, err := a.listenOn(KeyOps, a.cfg.MetricsAddress, auth.NewSlotsEach(opsConnections, opsConnectionsOfOne))
		if err != nil {
			return nil, err
		}
		handler := isolate(opsHandler(a.registry, a.health.Ready), a.logger, a.metrics.panics)
		out.ops = step{name: "ops listener", run: serve(newOpsServer(handler, a.logger), l, opsGrace), grace: opsGrace}
		a.logger.Info("listening", slog.String("flag", "--"+KeyOps), slog.String("address", l.Addr().String()),
			slog.String("transport", string(clearText)))
	}
	if err := a.listenPprof(out); err != nil {
		return nil, err
	}
	files, err := a.certificates(out)
	if err != nil {
		return nil, err
	}
	out.rest = append(out.rest, a.access.steps...)
	out.rest = append(out.rest, step{name: "callers of open streams", run: a.hub.Recheck, grace: time.Second})
	if a.cfg.EnableGRPC {
		if err := a.listenAPI(out, files); err != nil {
			return nil, err
		}
	}
	if a.cfg.EventsAddress != config.Off {
		if err := a.listenEvents(out, files); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// certificates reads the files, where there are any, and follows them.
func (a *App) certificates(out *servers) (*tls.Config, error) {
	if a.cfg.TLSCertFile == "" {
		return nil, nil //nolint:nilnil // no files, no TLS from files
	}
	files, err := tlsconf.FromFiles(a.cfg.TLSCertFile, a.cfg.TLSKeyFile, a.logger.With(slog.String("component", "tls")), a.registry)
	if err != nil {
		return nil, a.wrong("tls-cert-file", a.cfg.TLSCertFile, fmt.Errorf("%w; tls-key-file (%s) is %q", err, a.opts.Source.Place("tls-key-file"), a.cfg.TLSKeyFile))
	}
	out.rest = append(out.rest, step{name: "certificates", run: files.Run, grace: time.Second})
	return tlsconf.Config(files.Certificate), nil
}

func (a *App) listenAPI(out *servers, files *tls.Config) error {
	e := expose(&a.cfg, a.cfg.GRPCAddress)
	p := &probe{ready: a.health.Ready, services: services}
	stopping, stop := context.WithCancel(context.Background())
	handler, err := a.apiHandler(stopping, e, p)
	if err != nil {
		stop()
		return err
	}
	l, err := a.secured(KeyAPI, a.cfg.GRPCAddress, e, files)
	if err != nil {
		stop()
		return err
	}
	server := a.newAPIServer(handler)
	run := serve(server, l, apiGrace)
	out.rest = append(out.rest,
		step{name: "grpc health", run: p.run, grace: time.Second},
		step{name: "API listener", grace: apiGrace, run: func(ctx context.Context) error {
			defer context.AfterFunc(ctx, stop)()
			defer stop()
			return run(ctx)
		}})
	return nil
}

func (a *App) listenEvents(out *servers, files *tls.Config) error {
	e := expose(&a.cfg, a.cfg.EventsAddress)
	events, err := a.eventsHandler(e)
	if err != nil {
		return err
	}
	l, err := a.secured(KeyEvents, a.cfg.EventsAddress, e, files)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/events", events)
	server := a.newAPIServer(a.outer(e, mux))
	out.rest = append(out.rest, step{name: "events listener", run: serve(server, l, eventsGrace), grace: eventsGrace})
	return nil
}

// newAPIServer makes the server of a listener that has streams.
func (a *App) newAPIServer(handler http.Handler) *http.Server {
	server := newServer(handler, a.logger)
	// A stream's own deadline comes first, says why, and closes the connection where its
	// socket takes nothing at all; this is for what is no stream.
	server.HTTP2.WriteByteTimeout = 2 * a.cfg.StreamWriteTimeout
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return withOwnership(envelope.WithConnection(ctx, conn), conn)
	}
	return server
}

// secured binds an address with the transport that its exposure asks for.
func (a *App) secured(key, address string, e exposure, files *tls.Config) (net.Listener, error) {
	l, err := a.listenOn(key, address, a.connections)
	if err != nil {
		return nil, err
	}
	e.announce(context.Background(), a.logger, key, l.Addr(), a.access.known)
	switch e.transport {
	case fromFiles:
		return withTLS(l, a.access.withClients(files)), nil
	case selfSigned:
		if a.ownTLS == nil { // one for all listeners: one fingerprint to compare
			if a.ownTLS, err = selfSignedConfig(context.Background(), a.logger, a.cfg.GRPCAddress, a.cfg.EventsAddress); err != nil {
				return nil, err
			}
		}
		return withTLS(l, a.access.withClients(a.ownTLS)), nil
	default:
		return l, nil
	}
}

// idle is a step that has nothing to do.
func idle(name string) step {
	return step{name: name, grace: time.Second, run: func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}}
}
