package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/bus"
)

// busMetrics shows what the bus counts; package bus knows no Prometheus.
type busMetrics struct{ bus *bus.Bus }

var (
	busPublished     = prometheus.NewDesc("rightsizer_bus_published_total", "Events and marks published to the ring.", nil, nil)
	busEvicted       = prometheus.NewDesc("rightsizer_bus_evicted_total", "Entries that the ring no longer holds.", nil, nil)
	busEntries       = prometheus.NewDesc("rightsizer_bus_entries", "Entries that the ring holds.", nil, nil)
	busBytes         = prometheus.NewDesc("rightsizer_bus_bytes", "Bytes that the held entries take, estimated, with their encodings.", nil, nil)
	busSubscriptions = prometheus.NewDesc("rightsizer_bus_subscriptions", "Readers of the ring.", nil, nil)
	busLost          = prometheus.NewDesc("rightsizer_bus_lost_total", "Entries that were overwritten before a reader took them, summed over readers.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m busMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{busPublished, busEvicted, busEntries, busBytes, busSubscriptions, busLost} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m busMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.bus.Stats()
	for _, v := range []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value float64
	}{
		{busPublished, prometheus.CounterValue, float64(s.Published)},
		{busEvicted, prometheus.CounterValue, float64(s.Evicted)},
		{busEntries, prometheus.GaugeValue, float64(s.Entries)},
		{busBytes, prometheus.GaugeValue, float64(s.Bytes)},
		{busSubscriptions, prometheus.GaugeValue, float64(s.Subscriptions)},
		{busLost, prometheus.CounterValue, float64(s.Lost)},
	} {
		out <- prometheus.MustNewConstMetric(v.desc, v.kind, v.value)
	}
}
