package watcher

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

// usageSizes collects the numbers of the usage at the moment of a scrape.
type usageSizes struct {
	w                                                       *Watcher
	samples, skipped, rounds, failed, measured, held, bytes *prometheus.Desc
	restored, corrupt, written, unwritten                   *prometheus.Desc
	pastFailed, pastSamples                                 *prometheus.Desc
	forgotten, turnedAway, renewed                          *prometheus.Desc
	series, seriesBytes, refused, reach, rewound            *prometheus.Desc
}

func newUsageSizes(w *Watcher) *usageSizes {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("rightsizer_usage_"+name, help, labels, nil)
	}
	return &usageSizes{
		w:           w,
		samples:     desc("samples_total", "Measurements by source and what became of them.", "source", "verdict"),
		skipped:     desc("samples_skipped_total", "Samples about what is not known or does not count, by source.", "source"),
		rounds:      desc("rounds_total", "Rounds of polls, by source.", "source"),
		failed:      desc("requests_failed_total", "Requests without an answer that could be read, by source.", "source"),
		measured:    desc("pods", "Pods of which something was measured."),
		held:        desc("sketches", "Containers of workloads of which sketches are held."),
		bytes:       desc("sketch_bytes", "Memory that the sketches take."),
		forgotten:   desc("sketches_forgotten_total", "Sketches forgotten for want of room."),
		turnedAway:  desc("sketches_turned_away_total", "Samples and kills of containers of workloads for which there was no room."),
		renewed:     desc("sketches_renewed_total", "Sketches that began anew because they were of a time to come: a clock had been ahead."),
		restored:    desc("checkpoint_restored", "Containers of workloads that were restored at the start."),
		corrupt:     desc("checkpoint_corrupt_total", "Shards that could not be restored."),
		written:     desc("checkpoint_writes_total", "Shards written."),
		unwritten:   desc("checkpoint_failures_total", "Shards not written: refused, or too long."),
		pastFailed:  desc("past_requests_failed_total", "Questions about the past that Prometheus did not answer."),
		pastSamples: desc("past_samples_total", "Samples of the past that Prometheus gave."),
		series:      desc("history_series", "Series in the history."),
		seriesBytes: desc("history_bytes", "Memory that the history takes."),
		refused:     desc("history_series_refused_total", "Series and minutes not recorded for want of room."),
		rewound:     desc("history_rewound_total", "Times that minutes of the time to come were dropped from the history, because a clock that had been ahead was set back."),
		reach:       desc("history_reach_seconds", "How far back the history goes."),
	}
}

// Describe implements prometheus.Collector.
func (s *usageSizes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.samples, s.skipped, s.rounds, s.failed, s.measured, s.held, s.bytes, s.forgotten, s.turnedAway, s.renewed, s.restored, s.corrupt, s.written, s.unwritten, s.pastFailed, s.pastSamples, s.series, s.seriesBytes, s.refused, s.rewound, s.reach} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *usageSizes) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n)
	}
	for _, p := range s.w.usage.sources {
		p.mu.Lock()
		tally, skipped, rounds, failed := p.tally, p.skipped, p.rounds, p.failed
		p.mu.Unlock()
		for v, n := range tally {
			counter(s.samples, n, p.Name(), meter.Verdict(v).String())
		}
		counter(s.skipped, skipped, p.Name())
		counter(s.rounds, rounds, p.Name())
		counter(s.failed, failed, p.Name())
	}
	s.w.usage.mu.Lock()
	pods := len(s.w.usage.pods)
	s.w.usage.mu.Unlock()
	gauge(s.measured, float64(pods))
	stats := s.w.usage.book.Stats()
	gauge(s.held, float64(stats.Entries))
	gauge(s.bytes, float64(stats.Bytes))
	counter(s.forgotten, stats.Forgotten)
	counter(s.turnedAway, stats.TurnedAway)
	counter(s.renewed, stats.Renewed)
	c := &s.w.usage.checkpoints
	c.mu.Lock()
	entries, corrupt, writes, failed := c.entries, c.corrupt, c.writes, c.failed+c.tooLong
	c.mu.Unlock()
	gauge(s.restored, float64(entries))
	counter(s.corrupt, corrupt)
	counter(s.written, writes)
	counter(s.unwritten, failed)
	if p := &s.w.usage.past; p.prometheus != nil {
		p.mu.Lock()
		failed, points := p.failed, p.points
		p.mu.Unlock()
		counter(s.pastFailed, failed)
		counter(s.pastSamples, points)
	}
	past := s.w.usage.history.Stats()
	gauge(s.series, float64(past.Series))
	gauge(s.seriesBytes, float64(past.Bytes))
	counter(s.refused, past.Refused)
	counter(s.rewound, past.Rewound)
	gauge(s.reach, past.Reach.Seconds())
}
