package app

import (
	"github.com/prometheus/client_golang/prometheus"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// state tells metrics what /readyz and GetHealth say.
type state struct{ app *App }

var (
	readyMetric = prometheus.NewDesc("rightsizer_ready", "1 while requests may be sent here, as /readyz says.", nil, nil)
	leadsMetric = prometheus.NewDesc("rightsizer_leader", "1 while this replica leads: it alone measures and changes workloads.", nil, nil)
	partMetric  = prometheus.NewDesc("rightsizer_component_ok", "1 while a component is well or starting, 0 while it is degraded or down, as GetHealth says.", []string{"component"}, nil)
)

// Describe implements prometheus.Collector.
func (s state) Describe(ch chan<- *prometheus.Desc) {
	ch <- readyMetric
	ch <- leadsMetric
	ch <- partMetric
}

// Collect implements prometheus.Collector.
func (s state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, yes bool, labels ...string) {
		value := 0.0
		if yes {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(readyMetric, s.app.health.Ready() == nil)
	gauge(leadsMetric, s.app.leader == nil || s.app.leader.Leading())
	seen := map[string]bool{}
	for _, part := range s.app.health.Components() {
		if !seen[part.GetComponent()] { // one name, one figure
			seen[part.GetComponent()] = true
			well := part.GetState() == rightsizerv1.HealthState_HEALTH_STATE_OK || part.GetState() == rightsizerv1.HealthState_HEALTH_STATE_STARTING
			gauge(partMetric, well, part.GetComponent())
		}
	}
}
