package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/intercept"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
	"github.com/rightsizer/rightsizer/server/stream"
	"github.com/rightsizer/rightsizer/server/ws"
	"github.com/rightsizer/rightsizer/web"
)

// services are mounted, listed by reflection and known to the health check.
var services = []string{
	rightsizerv1connect.ClusterServiceName, rightsizerv1connect.EventServiceName, rightsizerv1connect.WorkloadServiceName,
	rightsizerv1connect.MetricsServiceName, rightsizerv1connect.RemediationServiceName, rightsizerv1connect.PolicyServiceName,
	rightsizerv1connect.AuditServiceName, rightsizerv1connect.FleetServiceName,
}

// apiHandler is everything of the API listener: RPCs, health, reflection, the
// WebSocket and the dashboard. stopping ends with the operator's life and ends
// the streams that are not events.
func (a *App) apiHandler(stopping context.Context, e exposure, p *probe) (http.Handler, error) {
	metrics, err := intercept.NewMetrics(a.registry)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	chain := intercept.Options{Logger: a.logger.With(slog.String("component", "rpc")), Metrics: metrics, Authorizer: a.access.rights, Tracing: a.tracing()}
	own, err := chain.HandlerOption()
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	foreign, err := chain.ForeignHandlerOption()
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	guarded := func(h http.Handler) http.Handler {
		return a.identified(e, boundedBody(intercept.Complete(h), maxBodyBytes, a.bodyTimeout))
	}
	mux := http.NewServeMux()
	a.mountOwn(mux, own, rpcHealth{health: a.health, open: e.open}, guarded)
	a.mountReflection(mux, foreign, func(h http.Handler) http.Handler { return guarded(endWith(stopping, h)) })
	a.mountHealth(mux, p, foreign, func(h http.Handler) http.Handler { return endWith(stopping, h) })

	events, err := a.eventsHandler(e)
	if err != nil {
		return nil, err
	}
	mux.Handle("/events", events)
	mux.Handle("/auth/", auth.Login(auth.LoginOptions{
		Open: e.open, OIDC: a.access.oidc, LogOut: a.hub.LogOut,
		Guarded: func(h http.Handler) http.Handler { return a.identified(e, h) },
	}))
	mux.Handle("/", web.Handler())
	return a.outer(e, mux), nil
}

// mountOwn mounts the services of our schema. Those that this version does not
// have answer unimplemented, so that a client learns it from the API and not
// from a page that is not found.
func (a *App) mountOwn(mux *http.ServeMux, chain connect.HandlerOption, h rpc.Health, guarded func(http.Handler) http.Handler) {
	for _, mount := range []func() (string, http.Handler){
		func() (string, http.Handler) {
			return rightsizerv1connect.NewClusterServiceHandler(rpc.NewClusterService(a.cluster, h), chain)
		},
		func() (string, http.Handler) {
			return rightsizerv1connect.NewWorkloadServiceHandler(rpc.NewWorkloadService(a.cluster, h, sizing(a.cluster)), chain)
		},
		func() (string, http.Handler) {
			return rightsizerv1connect.NewFleetServiceHandler(rpc.NewFleetService(a.cluster, h), chain)
		},
		func() (string, http.Handler) { return stream.Handler(a.hub, chain) },
		func() (string, http.Handler) {
			return rightsizerv1connect.NewMetricsServiceHandler(rpc.NewMetricsService(a.cluster, h, metrics(a.cluster)), chain)
		},
		func() (string, http.Handler) { return a.remediationHandler(chain) },
		func() (string, http.Handler) { return a.policyHandler(chain) },
		func() (string, http.Handler) { return a.auditHandler(chain) },
	} {
		path, handler := mount()
		mux.Handle(path, guarded(handler))
	}
}

// mountReflection mounts both versions, with one bound for their streams.
func (a *App) mountReflection(mux *http.ServeMux, chain connect.HandlerOption, wrap func(http.Handler) http.Handler) {
	reflector := grpcreflect.NewStaticReflector(append([]string{grpchealth.HealthV1ServiceName}, services...)...)
	both := http.NewServeMux()
	v1, handler := grpcreflect.NewHandlerV1(reflector, chain)
	both.Handle(v1, handler)
	v1alpha, handler := grpcreflect.NewHandlerV1Alpha(reflector, chain)
	both.Handle(v1alpha, handler)
	bounded := wrap(capped(lasting(both), reflectionStreams, "reflection streams", a.metrics.capped.WithLabelValues("reflection")))
	mux.Handle(v1, bounded)
	mux.Handle(v1alpha, bounded)
}

// mountHealth mounts grpc.health.v1 for everybody, bounded in every way: nobody
// is asked who he is. Watches have a bound of their own, so that they never take
// a check's place.
func (a *App) mountHealth(mux *http.ServeMux, p *probe, chain connect.HandlerOption, wrap func(http.Handler) http.Handler) {
	path, handler := grpchealth.NewHandler(p, chain)
	handler = wrap(boundedBody(intercept.Complete(handler), healthBodyBytes, min(healthBodyTimeout, a.bodyTimeout)))
	mux.Handle(path, capped(handler, healthChecks, "checks of the health", a.metrics.capped.WithLabelValues("health_check")))
	mux.Handle(path+"Watch", capped(lasting(handler), healthWatches, "watches of the health", a.metrics.capped.WithLabelValues("health_watch")))
}

// eventsHandler is the WebSocket.
func (a *App) eventsHandler(e exposure) (http.Handler, error) {
	bridge, err := ws.NewHandler(ws.Options{
		Hub: a.hub, WriteTimeout: a.cfg.StreamWriteTimeout, Origins: a.cfg.AllowedOrigins, Logger: a.logger.With(slog.String("component", "ws")),
	})
	if err != nil {
		return nil, fmt.Errorf("websocket: %w", err)
	}
	return a.identified(e, bridge), nil
}

// outer is what stands before every route of an API listener.
func (a *App) outer(e exposure, h http.Handler) http.Handler {
	h = sameOrigin(h, a.cfg.AllowedOrigins)
	if e.open && e.loopback && !a.cfg.InsecureNoAuth {
		h = sameMachine(h)
	}
	return isolate(a.inflight.bound(h), a.logger, a.metrics.panics)
}

func (a *App) refused(_ *http.Request, err error) {
	a.metrics.unidentified.WithLabelValues(rpcerr.Reason(err)).Inc()
}

// endWith ends a request's context when another ends.
func endWith(other context.Context, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(other, cancel)()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}
