package audit

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are rightsizer_audit_*.
type metrics struct {
	records   prometheus.Counter
	conflicts prometheus.Counter
	tampered  prometheus.Counter
	retired   prometheus.Counter
	failures  *prometheus.CounterVec
	seconds   prometheus.Histogram
	up        prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "rightsizer_audit_" + name, Help: help})
	}
	m := &metrics{
		records:   counter("records_total", "Records that this process kept in every copy."),
		conflicts: counter("conflicts_total", "Appends that another replica's append was ahead of; they were made again."),
		tampered:  counter("tampered_total", "Times that the chain in the cluster was not what this process had written."),
		retired:   counter("retired_segments_total", "Segments deleted because of their age, after their head was recorded."),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_audit_failures_total", Help: "Records that were refused or attempts that failed, by the copy that could not be written.",
		}, []string{"part"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rightsizer_audit_append_seconds", Help: "How long a record took until every copy had it.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .25, 1, 5},
		}),
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rightsizer_audit_up", Help: "1 while records can be kept, 0 while they cannot and remediation stops.",
		}),
	}
	m.up.Set(1)
	for _, part := range []string{PartCluster, PartDirectory} {
		m.failures.WithLabelValues(part)
	}
	if registerer == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.records, m.conflicts, m.tampered, m.retired, m.failures, m.seconds, m.up} {
		errs = append(errs, registerer.Register(c))
	}
	return m, errors.Join(errs...)
}
