package app

import (
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
)

// KeyPprof names the address of the profiler.
const KeyPprof = "pprof-bind-address"

// profileConnections bounds those who look at a time: a person or two.
const profileConnections = 8

// listenPprof serves Go's profiler where it was asked for; the configuration
// has refused any address but loopback ones, since a profile shows what is in
// memory. Nor may a page in somebody's browser, be it one that has a name for the
// loopback address.
func (a *App) listenPprof(out *servers) error {
	if a.cfg.PprofAddress == config.Off {
		return nil
	}
	l, err := a.listenOn(KeyPprof, a.cfg.PprofAddress, auth.NewSlots(profileConnections))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	out.rest = append(out.rest, step{name: "pprof listener", run: serve(newServer(sameMachine(sameOrigin(mux, nil)), a.logger), l, time.Second), grace: time.Second})
	a.logger.Info("listening", slog.String("flag", "--"+KeyPprof), slog.String("address", l.Addr().String()))
	return nil
}
