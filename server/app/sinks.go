package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"buf.build/go/protovalidate"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/outbound"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/presence"
	"github.com/rightsizer/rightsizer/server/sink"
	"github.com/rightsizer/rightsizer/server/tlsconf"
)

// outlet is a sink with what it holds open.
type outlet struct {
	*sink.Sink

	endpoint *outbound.Endpoint
}

// newSinks makes the sinks of the configuration. They read the bus from now on.
func (a *App) newSinks() error {
	var err error
	if a.outbound, err = outbound.NewGuard(a.cfg.OutboundNetworks...); err != nil {
		return fmt.Errorf("outbound networks: %w", err)
	}
	if len(a.cfg.Sinks) == 0 {
		return nil
	}
	metrics, err := sink.NewMetrics(a.registry)
	if err != nil {
		return err
	}
	for i := range a.cfg.Sinks {
		made, err := a.newSink(i, metrics)
		if err != nil {
			return err
		}
		a.sinks = append(a.sinks, made)
	}
	return nil
}

func (a *App) newSink(i int, metrics *sink.Metrics) (outlet, error) {
	c := &a.cfg.Sinks[i]
	filter, err := sinkFilter(c.Filter)
	if err != nil {
		return outlet{}, a.sinkError(i, "filter", "", err)
	}
	opts := outbound.Options{
		URL: c.URL, Guard: a.outbound, Timeout: c.Timeout, Plaintext: c.InsecurePlaintext, UserAgent: "rightsizer/" + a.opts.Version,
	}
	if c.Mode == "binary" {
		opts.Mode = outbound.Binary
	}
	if c.SecretFile != "" {
		secrets, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return outlet{}, a.sinkError(i, "secret-file", c.SecretFile, err)
		}
		if len(secrets) == 0 {
			return outlet{}, a.sinkError(i, "secret-file", c.SecretFile, errors.New("the file is empty"))
		}
		opts.Secrets = string(secrets)
	}
	if c.CAFile != "" {
		var err error
		if opts.RootCAs, err = tlsconf.Roots(c.CAFile); err != nil {
			return outlet{}, a.sinkError(i, "ca-file", c.CAFile, err)
		}
	}
	endpoint, err := outbound.NewEndpoint(opts)
	if err != nil {
		return outlet{}, a.sinkError(i, "", c.Name, err)
	}
	made, err := sink.New(sink.Options{
		Name: c.Name, Bus: a.bus, Filter: bus.Compile(filter, sinkScope(filter)), Endpoint: deliverer{endpoint}, Cluster: a.cluster.ClusterID,
		Queue: c.Queue, GiveUpAfter: c.GiveUpAfter, Metrics: metrics,
		Logger: a.logger.With(slog.String("component", "sink"), slog.String("sink", c.Name), slog.String("host", endpoint.Host())),
	})
	if err != nil {
		return outlet{}, fmt.Errorf("sink %s: %w", c.Name, err)
	}
	return outlet{made, endpoint}, nil
}

// sinkFilter reads a filter as strictly as a request's; none selects everything.
func sinkFilter(text []byte) (*rightsizerv1.EventFilter, error) {
	filter := &rightsizerv1.EventFilter{}
	if len(text) == 0 {
		return filter, nil
	}
	if err := codec.UnmarshalJSON(text, filter); err != nil {
		return nil, err
	}
	if filter.GetAfter() != "" || filter.GetAllowedOnly() {
		return nil, errors.New("after and allowedOnly are for streams, not for a sink")
	}
	return filter, protovalidate.Validate(filter) //nolint:wrapcheck // names the field
}

// sinkScope is what a sink may be sent: all, and who reads only where the filter names
// that. Whoever asks for everything means the cluster, and a sink's receivers need not
// be those who may list connections.
func sinkScope(filter *rightsizerv1.EventFilter) bus.Scope {
	if presence.Named(filter.GetEventTypes()) {
		return bus.AllNamespaces().WithConfidential()
	}
	return bus.AllNamespaces()
}

// sinkError is a mistake in a sink that only using it showed.
func (a *App) sinkError(i int, field, value string, err error) error {
	key := config.SinkKey(i, field)
	place, ok := a.opts.Source[key]
	if !ok {
		place = a.opts.Source.Place(config.SinksKey)
	}
	return config.SettingError{Key: key, Place: place, Value: value, Want: "cannot be used: " + err.Error()}
}

// sinkSteps run the sinks.
func (a *App) sinkSteps() []step {
	steps := make([]step, 0, len(a.sinks))
	for _, s := range a.sinks {
		steps = append(steps, step{name: s.String(), grace: time.Second, run: func(ctx context.Context) error {
			defer s.endpoint.Close()
			return s.Run(ctx)
		}})
	}
	return steps
}

// sinkHealth is what the sinks say of themselves.
func (a *App) sinkHealth() []*rightsizerv1.ComponentHealth {
	all := make([]*rightsizerv1.ComponentHealth, 0, len(a.sinks))
	for _, s := range a.sinks {
		all = append(all, s.Health())
	}
	return all
}

// deliverer is an endpoint as package sink wants it.
type deliverer struct{ endpoint *outbound.Endpoint }

// Deliver implements sink.Endpoint. The error says by itself whether to try again.
func (d deliverer) Deliver(ctx context.Context, e sink.Event) error {
	_, err := d.endpoint.Send(ctx, outbound.Event{ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Time: e.Time, Data: e.Data})
	return err //nolint:wrapcheck // names the host
}
