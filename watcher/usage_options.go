package watcher

import (
	"errors"
	"fmt"
	"time"

	"github.com/rightsizer/rightsizer/watcher/history"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/source"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// The names of usage sources.
const (
	SourceMetricsAPI = "metrics-api"
	SourceKubelet    = "kubelet"
	SourceThrottling = "kubelet-throttling"
	SourcePressure   = "kubelet-pressure"
	// SourcePrometheus tells of the past alone; see UsageOptions.Prometheus.
	SourcePrometheus = "prometheus"
)

// UsageOptions say what is measured, and what may be kept of it. The zero value
// measures nothing.
type UsageOptions struct {
	// Sources are names of usage sources. Default: none.
	Sources []string
	// Interval is how often each namespace or node is asked for CPU and memory,
	// DetailInterval for throttling and pressure; from 1 s to 10 min. Default 30 s
	// and 1 min.
	Interval, DetailInterval time.Duration
	// KubeletCAFile and KubeletInsecure: see source.KubeletOptions.
	KubeletCAFile   string
	KubeletInsecure bool
	// Prometheus is asked, once after the start, for what was measured before.
	// Default: nobody is.
	Prometheus *source.PrometheusOptions
	// SketchBytes bounds what recommendations are made from; at most 32 MiB with
	// CheckpointNamespace, for no more can be kept. Default 8 MiB.
	SketchBytes int64
	// HistoryBytes bounds the history that QueryMetrics answers from. Default 6 MiB.
	HistoryBytes int64
	// DaemonSetNodeLabel is a label of nodes by whose values the pods of a
	// DaemonSet are measured apart. Default: together.
	DaemonSetNodeLabel string
	// CheckpointNamespace is where what is measured is kept over a restart, in
	// ConfigMaps. Default: nowhere.
	CheckpointNamespace string
	// Price of a core and a GiB. Default: by the nodes' instance types, from
	// the built-in list of recommend.PriceOf.
	Price *recommend.Price
	// Leading says whether this replica polls, and tells what it finds; it is asked
	// at any time. Default: always.
	Leading func() bool
}

func (o UsageOptions) withDefaults() UsageOptions {
	setDefault(&o.Interval, 30*time.Second)
	setDefault(&o.DetailInterval, time.Minute)
	setDefault(&o.SketchBytes, 8<<20)
	setDefault(&o.HistoryBytes, 6<<20)
	if o.Leading == nil {
		o.Leading = func() bool { return true }
	}
	return o
}

func (o *UsageOptions) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	seen := make(map[string]bool)
	for _, name := range o.Sources {
		switch name {
		case SourceMetricsAPI, SourceKubelet, SourceThrottling, SourcePressure:
		default:
			check(false, "Sources has %q, must be %s, %s, %s or %s", name, SourceMetricsAPI, SourceKubelet, SourceThrottling, SourcePressure)
		}
		check(!seen[name], "Sources has %q twice", name)
		seen[name] = true
	}
	within := func(name string, d time.Duration) {
		check(d >= time.Second && d <= 10*time.Minute, "%s is %s, must be 1s to 10m", name, d)
	}
	within("Interval", o.Interval)
	within("DetailInterval", o.DetailInterval)
	check(o.SketchBytes >= usage.MinBookBytes, "SketchBytes is %d, must be at least %d", o.SketchBytes, usage.MinBookBytes)
	check(o.CheckpointNamespace == "" || o.SketchBytes <= checkpointSketches,
		"SketchBytes is %d, must be at most %d where what is measured is kept over a restart: checkpoints hold no more", o.SketchBytes, checkpointSketches)
	check(o.HistoryBytes >= history.MinBytes, "HistoryBytes is %d, must be at least %d", o.HistoryBytes, history.MinBytes)
	check(len(o.CheckpointNamespace) <= 63, "CheckpointNamespace has %d bytes, at most 63 are allowed", len(o.CheckpointNamespace))
	check(len(o.DaemonSetNodeLabel) <= 317, "DaemonSetNodeLabel has %d bytes, at most 317 are allowed", len(o.DaemonSetNodeLabel))
	return errors.Join(errs...)
}

// sources makes the sources by their names; close lets go of what they hold.
func (w *Watcher) newSources() ([]source.Source, error) {
	o := &w.opts.Usage
	if o.Prometheus != nil && len(o.Sources) > 0 {
		p, err := source.NewPrometheus(*o.Prometheus)
		if err != nil {
			return nil, err
		}
		w.usage.past.prometheus, w.usage.past.state.Name = p, SourcePrometheus
		w.usage.past.line = line{state: healthStarting, since: w.opts.Clock.Now(), reason: "not asked yet"}
		w.usage.closers = append(w.usage.closers, p.Close)
	}
	var out []source.Source
	var kubelets *source.Kubelets
	for _, name := range o.Sources {
		if name == SourceMetricsAPI {
			api, err := source.NewMetricsAPI(w.opts.Config)
			if err != nil {
				return nil, err
			}
			out = append(out, api)
			continue
		}
		if kubelets == nil {
			var err error
			if kubelets, err = source.NewKubelets(source.KubeletOptions{
				Config: w.opts.Config, CAFile: o.KubeletCAFile, Insecure: o.KubeletInsecure, Now: w.opts.Clock.Now,
			}); err != nil {
				return nil, err
			}
			w.usage.closers = append(w.usage.closers, kubelets.Close)
		}
		switch name {
		case SourceKubelet:
			out = append(out, source.KubeletResource{Kubelets: kubelets})
		case SourceThrottling:
			out = append(out, source.KubeletThrottling{Kubelets: kubelets})
		case SourcePressure:
			out = append(out, source.KubeletPressure{Kubelets: kubelets})
		}
	}
	return out, nil
}
