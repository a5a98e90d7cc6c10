package sink

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Ledger is what became of the events of one sink since it was made.
type Ledger struct {
	// Sent were taken by the endpoint; Failed were refused or given up; Dropped were
	// lost before they could be tried, or when the operator stopped.
	Sent, Failed, Dropped int64
	// Retries are attempts that failed and are made again.
	Retries int64
	// Waiting are taken and not settled.
	Waiting int64
	// LastError is the last attempt's that failed, for a person.
	LastError     string
	LastErrorTime time.Time
	LastSent      time.Time

	failing bool // the last attempt failed
	since   time.Time
}

func (s *Sink) count(change func(*Ledger)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.ledger)
}

// Ledger returns the counts of now.
func (s *Sink) Ledger() Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger
}

// Health says how the sink is: OK, or DEGRADED while its last attempt failed, with
// the error and what waits. What is not all delivered is said in either state.
func (s *Sink) Health() *rightsizerv1.ComponentHealth {
	l := s.Ledger()
	h := &rightsizerv1.ComponentHealth{
		Component: s.String(), State: rightsizerv1.HealthState_HEALTH_STATE_OK, Since: timestamppb.New(s.began),
	}
	if l.failing {
		h.State, h.Since = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, timestamppb.New(l.since)
		h.Reason = fmt.Sprintf("%d events wait; the last attempt failed: %.700s; ", l.Waiting, l.LastError)
	}
	if l.failing || l.Failed > 0 || l.Dropped > 0 {
		h.Reason += fmt.Sprintf("%d sent, %d failed, %d dropped since the start", l.Sent, l.Failed, l.Dropped)
	}
	return h
}

// Metrics are rightsizer_sink_* of all sinks; register them once. The label sink
// is a name of the configuration, so that there are few.
type Metrics struct {
	seconds prometheus.Histogram

	mu    sync.Mutex
	sinks []*Sink
}

// NewMetrics makes and registers them.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	if err := registerer.Register(m); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	return m, nil
}

func newMetrics() *Metrics {
	return &Metrics{seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "rightsizer_sink_attempt_seconds", Help: "How long an attempt to deliver took, whatever came of it.",
		Buckets: []float64{.01, .05, .1, .5, 1, 5, 10, 60},
	})}
}

func (m *Metrics) watch(s *Sink) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sinks = append(m.sinks, s)
}

var (
	descEvents = prometheus.NewDesc("rightsizer_sink_events_total",
		"Events by what became of them: sent, failed (refused or given up), dropped (overwritten before they were taken, or left at the end).", []string{"sink", "result"}, nil)
	descRetries = prometheus.NewDesc("rightsizer_sink_retries_total", "Attempts that failed and were to be made again.", []string{"sink"}, nil)
	descWaiting = prometheus.NewDesc("rightsizer_sink_waiting", "Events that are taken and not settled.", []string{"sink"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.seconds.Describe(ch)
	ch <- descEvents
	ch <- descRetries
	ch <- descWaiting
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.seconds.Collect(ch)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sinks {
		l, name := s.Ledger(), s.opts.Name
		for result, n := range map[string]int64{"sent": l.Sent, "failed": l.Failed, "dropped": l.Dropped} {
			ch <- prometheus.MustNewConstMetric(descEvents, prometheus.CounterValue, float64(n), name, result)
		}
		ch <- prometheus.MustNewConstMetric(descRetries, prometheus.CounterValue, float64(l.Retries), name)
		ch <- prometheus.MustNewConstMetric(descWaiting, prometheus.GaugeValue, float64(l.Waiting), name)
	}
}
