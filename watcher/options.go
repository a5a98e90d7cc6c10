package watcher

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/correlate"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

// Publisher takes what the watcher has to say. Its methods must return at once
// and must not call the watcher: they run on the goroutine that reads the watch.
type Publisher interface {
	// Publish takes an event, which nobody changes afterwards.
	Publish(*rightsizerv1.Event)
	// PublishIncident takes an incident that began, changed or ended, after the
	// event that did it. Nobody changes it afterwards.
	PublishIncident(*rightsizerv1.Incident)
	// Resync takes the marker of a time in which the watcher was blind.
	Resync(*rightsizerv1.StreamResync)
}

// Options configure a Watcher. Config and Publisher are required; every other
// zero value means its default.
type Options struct {
	// Config reaches the API server. Its Timeout is ignored: watches last.
	Config *rest.Config
	// Publisher takes events and resync markers.
	Publisher Publisher
	// ClusterID identifies the cluster, at most 128 bytes. Default: the UID of
	// namespace kube-system.
	ClusterID string
	// ClusterName and Environment are for people; at most 128 and 64 bytes.
	ClusterName string
	Environment string
	// Logger is where to log. Default: nowhere.
	Logger *slog.Logger
	// Thresholds of the detectors. Default: detect.DefaultThresholds.
	Thresholds detect.Thresholds
	// Detectors of each kind of object. Default: those of package detect.
	Detectors detect.Detectors
	// Clock tells the time. Default: the real one.
	Clock clock.WithTicker
	// Registerer takes the metrics. Default: none are registered.
	Registerer prometheus.Registerer
	// MaxProblems bounds the problems that Problems lists, from 1 to 100,000.
	// Default 4,096, about 5 MiB at the most. Events beyond it are published
	// all the same.
	MaxProblems int
	// Usage says what is measured. Default: nothing.
	Usage UsageOptions
	// Incidents configure how events are joined; see package correlate.
	Incidents correlate.Options
	// RetryMax bounds the pause between two attempts to reach the API server,
	// from 10 ms to 1 min. Default 1 s: one operator knocking once a second and
	// watch is no load, and the time that it takes to notice is the time in
	// which events wait.
	RetryMax time.Duration
	// ReadyGrace is how long Ready forgives a lost watch, from 1 s. Default 60 s.
	ReadyGrace time.Duration
	// OwnerWait is how long the first lists of pods and disruption budgets wait for
	// the controllers and for what Kubernetes Events said before, so that they are
	// told under their workload's name and for their cause, from 0. Default 30 s
	// after the API server answered; it is not waited for what may not be read.
	OwnerWait time.Duration
	// OnSynced is called once, when Synced has become true and everything found
	// at start is published. It must not block. Default: nobody is told.
	OnSynced func()
	// DisableWatchList reads the first state by pages instead of a stream.
	DisableWatchList bool
}

// withDefaults fills in defaults and validates.
func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Logger, slog.New(slog.DiscardHandler))
	setDefault(&o.Thresholds, detect.DefaultThresholds())
	setDefault(&o.MaxProblems, 4096)
	setDefault(&o.RetryMax, time.Second)
	setDefault(&o.ReadyGrace, time.Minute)
	setDefault(&o.OwnerWait, 30*time.Second)
	o.Detectors = o.Detectors.WithDefaults()
	o.Usage = o.Usage.withDefaults()
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(o.Config != nil, "Config is required")
	check(o.Publisher != nil, "Publisher is required")
	check(len(o.ClusterID) <= 128, "ClusterID has %d bytes, at most 128 are allowed", len(o.ClusterID))
	check(len(o.ClusterName) <= 128, "ClusterName has %d bytes, at most 128 are allowed", len(o.ClusterName))
	check(len(o.Environment) <= 64, "Environment has %d bytes, at most 64 are allowed", len(o.Environment))
	check(o.MaxProblems >= 1 && o.MaxProblems <= 100_000, "MaxProblems is %d, must be 1 to 100,000", o.MaxProblems)
	check(o.RetryMax >= 10*time.Millisecond && o.RetryMax <= time.Minute, "RetryMax is %s, must be 10ms to 1m", o.RetryMax)
	check(o.ReadyGrace >= time.Second, "ReadyGrace is %s, must be at least 1s", o.ReadyGrace)
	check(o.OwnerWait >= 0, "OwnerWait is %s, must not be negative", o.OwnerWait)
	if err := o.Thresholds.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("Thresholds: %w", err))
	}
	if err := o.Usage.validate(); err != nil {
		errs = append(errs, fmt.Errorf("Usage: %w", err))
	}
	if err := o.Incidents.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("Incidents: %w", err))
	}
	if len(errs) > 0 {
		return o, fmt.Errorf("watcher options: %w", errors.Join(errs...))
	}
	return o, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
