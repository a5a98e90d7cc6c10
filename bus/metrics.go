package bus

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats is what a Bus counts.
type Stats struct {
	// Published and Evicted count entries since the start.
	Published, Evicted uint64
	// Entries and Bytes are held now; Bytes is estimated.
	Entries, Bytes int64
	// Subscriptions are open now; Lost counts entries that they lost, summed.
	Subscriptions int64
	Lost          uint64
}

type counters struct {
	lost          atomic.Uint64
	subscriptions atomic.Int64
}

// Stats returns the counters.
func (b *Bus) Stats() Stats {
	tail := b.tail.Load() // before head, so that the difference is never negative
	head := b.head.Load()
	return Stats{
		Published: head, Evicted: tail - 1,
		Entries: int64(min(head+1-tail, uint64(len(b.slots)))), Bytes: b.bytes.Load(),
		Subscriptions: b.counters.subscriptions.Load(), Lost: b.counters.lost.Load(),
	}
}

// What Prometheus is told of a Bus.
var (
	publishedDesc     = describe("published_total", "Entries published since the start.")
	evictedDesc       = describe("evicted_total", "Entries that the ring gave up for newer ones.")
	lostDesc          = describe("lost_total", "Entries that subscriptions lost by falling behind, summed over them.")
	entriesDesc       = describe("entries", "Entries held now.")
	bytesDesc         = describe("bytes", "Bytes that they hold with their cached encodings, estimated.")
	capacityDesc      = describe("capacity", "Entries that the ring holds at most.")
	capacityBytesDesc = describe("capacity_bytes", "Bytes that they may hold.")
	subscriptionsDesc = describe("subscriptions", "Subscriptions open now.")
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("rightsizer_bus_"+name, help, nil, nil)
}

// Describe implements prometheus.Collector.
func (b *Bus) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(b, ch) }

// Collect implements prometheus.Collector over Stats.
func (b *Bus) Collect(ch chan<- prometheus.Metric) {
	s := b.Stats()
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter(publishedDesc, s.Published)
	counter(evictedDesc, s.Evicted)
	counter(lostDesc, s.Lost)
	gauge(entriesDesc, s.Entries)
	gauge(bytesDesc, s.Bytes)
	gauge(capacityDesc, int64(len(b.slots)))
	gauge(capacityBytesDesc, b.budget)
	gauge(subscriptionsDesc, s.Subscriptions)
}
