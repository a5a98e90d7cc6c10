package watcher

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// metrics are the watcher's own numbers. No label holds the name of a pod.
type metrics struct {
	events      *prometheus.CounterVec
	quarantined *prometheus.CounterVec
	relists     *prometheus.CounterVec
	resyncs     *prometheus.CounterVec
	kubeEvents  *prometheus.CounterVec
}

func newMetrics() *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "rightsizer", Subsystem: "watcher", Name: name, Help: help,
		}, labels)
	}
	return &metrics{
		events:      vec("events_published_total", "Events published, by type and phase.", "type", "phase"),
		quarantined: vec("quarantined_total", "Objects that could not be converted or looked at, by resource.", "resource"),
		relists:     vec("relists_total", "Lists read again after a watch that could not be continued, by resource.", "resource"),
		resyncs:     vec("resyncs_total", "Resync markers sent, by scope.", "scope"),
		kubeEvents:  vec("kubernetes_events_total", "Kubernetes Events seen, by reason; `other` is any reason not known here.", "reason"),
	}
}

// register puts the metrics and a collector of w's sizes into r.
func (m *metrics) register(r prometheus.Registerer, w *Watcher) error {
	for _, c := range []prometheus.Collector{
		m.events, m.quarantined, m.relists, m.resyncs, m.kubeEvents, newSizes(w), newIncidentSizes(w), newUsageSizes(w),
	} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

// knownReasons are the reasons of Kubernetes Events that are counted by name. A
// reason is free text of whoever writes the Event, so that the rest is one.
var knownReasons = map[string]bool{
	"BackOff": true, "Created": true, "DeadlineExceeded": true, "Evicted": true, "Failed": true,
	"FailedCreate": true, "FailedMount": true, "FailedScheduling": true, "Killing": true,
	"NodeNotReady": true, "NodeReady": true, "OOMKilling": true, "Preempted": true, "Pulled": true,
	"Pulling": true, "ResizeCompleted": true, "ResizeDeferred": true, "ResizeError": true,
	"ResizeInfeasible": true, "ResizeStarted": true, "ScalingReplicaSet": true, "Scheduled": true,
	"Started": true, "SuccessfulCreate": true, "SuccessfulDelete": true, "SystemOOM": true, "Unhealthy": true,
}

func (m *metrics) kubeEvent(reason string) {
	if !knownReasons[reason] {
		reason = "other"
	}
	m.kubeEvents.WithLabelValues(reason).Inc()
}

func phaseLabel(p rightsizerv1.Phase) string {
	switch p {
	case rightsizerv1.Phase_PHASE_OPENED:
		return "opened"
	case rightsizerv1.Phase_PHASE_UPDATED:
		return "updated"
	case rightsizerv1.Phase_PHASE_RESOLVED:
		return "resolved"
	case rightsizerv1.Phase_PHASE_POINT:
		return "point"
	default:
		return "unspecified"
	}
}

// sizes collects what is held at the moment of a scrape.
type sizes struct {
	w                                           *Watcher
	objects, problems, unlisted, notes, dropped *prometheus.Desc
}

func newSizes(w *Watcher) *sizes {
	return &sizes{
		w: w,
		objects: prometheus.NewDesc("rightsizer_watcher_objects",
			"Objects held, by resource.", []string{"resource"}, nil),
		problems: prometheus.NewDesc("rightsizer_watcher_problems",
			"Causes visible now, those without a life included.", nil, nil),
		unlisted: prometheus.NewDesc("rightsizer_watcher_problems_unlisted",
			"Causes visible now that the bound keeps out of the list.", nil, nil),
		notes: prometheus.NewDesc("rightsizer_watcher_notes",
			"Notes held of what Kubernetes Events said.", nil, nil),
		dropped: prometheus.NewDesc("rightsizer_watcher_notes_dropped_total",
			"Notes that left for want of room, by the bound: of all, or of one object.", []string{"bound"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (s *sizes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.objects, s.problems, s.unlisted, s.notes, s.dropped} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *sizes) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	pods, nodes, controllers := s.w.store.Counts()
	gauge(s.objects, pods, podsResource)
	gauge(s.objects, nodes, "nodes")
	for _, r := range resources() {
		if r.kind != "" {
			gauge(s.objects, controllers[r.kind], r.name)
		}
	}
	s.w.mu.Lock()
	visible, unlisted := s.w.tracker.Len(), s.w.tracker.Unlisted()
	notes, dropped := s.w.notes.Len(), s.w.notes.Dropped()
	s.w.mu.Unlock()
	gauge(s.problems, visible)
	gauge(s.unlisted, unlisted)
	gauge(s.notes, notes)
	for bound, n := range map[string]uint64{"all": dropped.All, "object": dropped.Object} {
		ch <- prometheus.MustNewConstMetric(s.dropped, prometheus.CounterValue, float64(n), bound)
	}
}
