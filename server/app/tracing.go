package app

import (
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/rightsizer/rightsizer/remediate/tracing"
	"github.com/rightsizer/rightsizer/server/otlp"
	"github.com/rightsizer/rightsizer/server/tlsconf"
)

// newTraces makes what sends traces, where a collector is configured.
func (a *App) newTraces() error {
	c := &a.cfg.Tracing
	if c.Endpoint == "" {
		return nil
	}
	opts := otlp.Options{
		Endpoint: c.Endpoint, TokenFile: c.TokenFile, Ratio: c.Ratio, IDs: tracing.IDs{},
		Version: a.opts.Version, Instance: a.replica(), Cluster: a.cfg.ClusterName, Environment: a.cfg.Environment,
		Logger: a.logger.With(slog.String("component", "traces")), Registerer: a.registry,
	}
	if c.CAFile != "" {
		var err error
		if opts.RootCAs, err = tlsconf.Roots(c.CAFile); err != nil {
			return a.wrong("otlp-ca-file", c.CAFile, err)
		}
	}
	var err error
	if a.traces, err = otlp.New(opts); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

// replica names this process among the replicas.
func (a *App) replica() string {
	if a.leader != nil {
		return a.leader.me
	}
	return identity() // beside a Cluster of a test's own
}

// tracing is where spans go; nil, and no interface around it, where none are made.
func (a *App) tracing() trace.TracerProvider {
	if a.traces == nil {
		return nil
	}
	return a.traces.Provider()
}

// tracesSteps send traces. They are among the first steps, so that the last spans
// of the others are sent as well.
func (a *App) tracesSteps() []step {
	if a.traces == nil {
		return nil
	}
	return []step{{name: "traces", run: a.traces.Run, grace: 2 * time.Second}}
}
