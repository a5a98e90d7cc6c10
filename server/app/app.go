package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/audit"
	"github.com/rightsizer/rightsizer/remediate/outbound"
	"github.com/rightsizer/rightsizer/remediate/policy/live"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/otlp"
	"github.com/rightsizer/rightsizer/server/presence"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/stream"
)

// Cluster is what the operator knows of the cluster, and who finds it out.
type Cluster interface {
	rpc.Source
	stream.Problems
	stream.Incidents
	// Run follows the cluster until ctx ends.
	Run(ctx context.Context) error
	// Health lists the parts of the watching in a fixed order.
	Health() []*rightsizerv1.ComponentHealth
	// Ready is nil when requests may be sent here, else why not.
	Ready() error
}

// Publisher takes what a Cluster finds; the bus is one.
type Publisher interface {
	Publish(*rightsizerv1.Event)
	PublishIncident(*rightsizerv1.Incident)
	Resync(*rightsizerv1.StreamResync)
	// Synced says that everything found at start was published, after the
	// Cluster's own Synced has become true.
	Synced()
}

// Options are what the command line does not say.
type Options struct {
	// Logger is where to log. Required.
	Logger *slog.Logger
	// Version of this program, for people.
	Version string
	// Source says where each setting comes from, for errors about its value.
	Source config.Source
	// File is that of the configuration. Where there is one it is followed, and its live
	// settings are taken as they change.
	File string
	// Input is what the configuration was loaded from, and File is again.
	Input config.Input
	// SetLogLevel changes the least level to log. Optional.
	SetLogLevel func(slog.Level)
	// NewCluster makes the Cluster; nil is the watcher of a real one, found by
	// the configuration.
	NewCluster func(Publisher, prometheus.Registerer) (Cluster, error)
	// Reviews are asked about callers; nil are the real cluster's, none where
	// NewCluster is set.
	Reviews auth.Reviews

	registry registry // nil is a new one; tests look into theirs
}

// registry takes metrics and gives them out.
type registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// App is the operator. Make it with New, run it once with Run.
type App struct {
	cfg      config.Config
	opts     Options
	logger   *slog.Logger
	registry registry
	started  time.Time
	// bodyTimeout is how long a client may take to send a request's body.
	bodyTimeout time.Duration

	bus     *bus.Bus
	cluster Cluster
	hub     *stream.Hub
	readers *presence.Presence
	health  *health
	metrics *httpMetrics
	traces  *otlp.Exporter // nil where none are sent
	// connections, owners and inflight bound what all listeners of the API have together.
	connections *auth.Slots
	owners      *owners
	inflight    *inflight
	audit       *audit.Log // nil beside a Cluster of a test's own

	policies *live.Store     // nil beside a Cluster of a test's own
	outbound *outbound.Guard // judges every address that somebody else names
	sinks    []outlet
	access   *access
	denials  *audit.Denials // nil where there is no audit chain

	leader      *leader      // nil beside a Cluster of a test's own
	remediation *remediation // nil beside a Cluster of a test's own
	settings    *settings    // nil where no file is followed

	stopping  atomic.Bool
	listening chan struct{}
	listeners map[string]*listener
	ownTLS    *tls.Config // self-signed, once it is needed
}

// New makes the operator's parts. It starts nothing and opens no socket; its
// errors are the configuration's.
func New(cfg config.Config, opts Options) (*App, error) {
	if opts.Logger == nil {
		return nil, errors.New("app: Logger must be set")
	}
	if opts.registry == nil {
		opts.registry = prometheus.NewRegistry()
	}
	a := &App{
		cfg: cfg, opts: opts, logger: opts.Logger, registry: opts.registry, started: time.Now(),
		bodyTimeout: bodyTimeout, listening: make(chan struct{}), listeners: map[string]*listener{},
	}
	var err error
	if err = ownMetrics(a.registry, opts.Version); err != nil {
		return nil, err
	}
	if a.metrics, err = newHTTPMetrics(a.registry); err != nil {
		return nil, err
	}
	a.connections, a.owners = auth.NewSlots(cfg.MaxConnections), newOwners(cfg.MaxConnections)
	a.inflight = newInflight(a.metrics.capped.WithLabelValues("requests"))
	if a.bus, err = bus.New(bus.Options{Entries: cfg.RingEntries, Bytes: cfg.RingBytes}); err != nil {
		return nil, fmt.Errorf("event ring: %w", err)
	}
	newCluster := opts.NewCluster
	if newCluster == nil {
		newCluster = a.watch
	}
	if err := a.registry.Register(a.bus); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if a.cluster, err = newCluster(a.bus, a.registry); err != nil {
		return nil, err
	}
	if err := a.newTraces(); err != nil {
		return nil, err
	}
	if a.access, err = a.newAccess(); err != nil {
		return nil, err
	}
	if a.readers, err = presence.New(presence.Options{
		Cluster: a.cluster.ClusterID, Replica: identity(), Publish: a.bus.PublishConfidential, Registerer: a.registry,
	}); err != nil {
		return nil, err //nolint:wrapcheck // it says what it is
	}
	a.hub, err = stream.NewHub(stream.Options{
		Bus: a.bus, Problems: a.cluster, Incidents: a.cluster,
		Cluster: a.cluster.ClusterID, Synced: a.cluster.Synced, Scope: a.scope, Recheck: a.recheck, Audience: a.readers, Opened: lasts,
		Heartbeat: cfg.StreamHeartbeat, WriteTimeout: cfg.StreamWriteTimeout, MaxSessions: cfg.MaxStreams,
		Registerer: a.registry, Logger: a.logger.With(slog.String("component", "stream")),
	})
	if err != nil {
		return nil, fmt.Errorf("event streams: %w", err)
	}
	if err := errors.Join(a.newAudit(), a.newPolicies(), a.newSinks(), a.newRemediation()); err != nil {
		return nil, err
	}
	if a.settings, err = a.newSettings(); err != nil {
		return nil, err
	}
	a.health = &health{cluster: a.cluster, parts: a.partsHealth, stopping: &a.stopping, started: a.started}
	if err := a.registry.Register(state{a}); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return a, nil
}

// wrong is the error about a setting's value, which only using it showed.
func (a *App) wrong(key, value string, err error) error {
	return config.SettingError{Key: key, Place: a.opts.Source.Place(key), Value: value, Want: "cannot be used: " + err.Error()}
}

// Listening is closed when every listener accepts connections.
func (a *App) Listening() <-chan struct{} { return a.listening }

// Addr is the address on which a listener really listens, nil where it is off:
// grpc-bind-address, events-bind-address, metrics-bind-address. It may be asked
// once Listening is closed.
func (a *App) Addr(key string) net.Addr {
	if l, ok := a.listeners[key]; ok {
		return l.Addr()
	}
	return nil
}

// Run serves until ctx ends or a part fails, then stops everything in order,
// within 20 s. It returns nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	servers, err := a.listen()
	if err != nil {
		return err
	}
	steps := append([]step{servers.ops}, a.tracesSteps()...)
	steps = append(steps,
		step{name: "bus", run: a.bus.Run, grace: time.Second},
		step{name: "presence", run: a.readers.Run, grace: time.Second},
		step{name: "watcher", run: a.cluster.Run, grace: 3 * time.Second},
	)
	steps = append(steps, slices.Concat(a.settingsSteps(), a.auditSteps(), a.policySteps(), a.remediationSteps(), a.sinkSteps())...)
	steps = append(steps, servers.rest...)
	close(a.listening)
	return runSteps(ctx, a.logger, steps, a.beforeStop)
}

// beforeStop makes the operator unready and ends the event streams, whose
// clients then know where to go on.
func (a *App) beforeStop(ctx context.Context) error {
	a.stopping.Store(true)
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	if err := a.hub.Shutdown(ctx); err != nil {
		return fmt.Errorf("end the event streams: %w", err)
	}
	return nil
}
