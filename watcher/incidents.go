package watcher

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/correlate"
)

// kindIncidents names the deadline of the incidents, which belong to no object.
const kindIncidents = "incidents"

// incidents joins what is published; the watcher's lock guards it.
type incidents struct {
	*correlate.Correlator
	opts correlate.Options
	// failed counts the times that it had to begin anew.
	failed int
	line   line // of its health
}

func newIncidents(opts correlate.Options, now time.Time) (incidents, error) {
	c, err := correlate.New(opts)
	return incidents{Correlator: c, opts: opts, line: line{state: healthOK, since: now}}, err
}

// correlate takes an event that is about to be published to the incidents, marks
// it with the one that its problem is in, and returns those that it changed, to
// be told after it; under the lock.
func (w *Watcher) correlate(e *rightsizerv1.Event) []*rightsizerv1.Incident {
	defer w.correlationFailed()
	changed := w.incidents.Observe(e, w.opts.Clock.Now())
	e.IncidentId = w.incidents.IncidentOf(e.GetProblemId())
	return changed
}

// passIncidents lets time pass for the incidents; under the lock.
func (w *Watcher) passIncidents() {
	defer w.correlationFailed()
	w.tell(w.incidents.Expire(w.opts.Clock.Now()))
}

// tell publishes changed incidents and waits for what time changes next.
func (w *Watcher) tell(changed []*rightsizerv1.Incident) {
	defer w.correlationFailed()
	for _, in := range changed {
		w.opts.Publisher.PublishIncident(in)
	}
	r := ref{kind: kindIncidents, uid: kindIncidents}
	if next := w.incidents.Next(); next.IsZero() {
		w.deadlines.remove(r.uid)
	} else {
		w.deadlines.set(r, next)
	}
}

// correlationFailed ends a panic: the event that caused it is published all the
// same, and the next ones are not to find the incidents half changed.
func (w *Watcher) correlationFailed() {
	p := recover()
	if p == nil {
		return
	}
	w.incidents.failed++
	w.opts.Logger.Error("correlation failed, the incidents begin anew", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	if c, err := correlate.New(w.incidents.opts); err == nil {
		w.incidents.Correlator = c
	}
	w.deadlines.remove(kindIncidents)
}

// Incidents lists the problems joined by their probable cause: those that go on
// and those resolved within the last hour, the latest changed first. At most
// Options.Incidents.MaxIncidents; Health tells when there are more.
func (w *Watcher) Incidents() []*rightsizerv1.Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.incidents.Incidents()
}

// IncidentOf is the id of the incident that a problem is in now, listed among its
// members or not, and the namespace of the problem; empty for none.
func (w *Watcher) IncidentOf(problem string) (id, namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.incidents.Find(problem)
}

func (w *Watcher) incidentsHealth() *rightsizerv1.ComponentHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	state, reason := healthOK, ""
	stats := w.incidents.Stats()
	switch {
	case w.incidents.failed > 0:
		state, reason = healthDegraded, fmt.Sprintf("began anew %d times after a failure, which is logged; what went on before is joined no more", w.incidents.failed)
	case stats.Unlisted > 0:
		state, reason = healthDegraded, fmt.Sprintf("%d incidents wait for room in the list, see MaxIncidents", stats.Unlisted)
	case stats.Full && stats.Refused > 0:
		state, reason = healthDegraded, fmt.Sprintf("%d events were not joined to incidents, there was no room for their problems", stats.Refused)
	}
	w.incidents.line.set(w.opts.Clock.Now(), state, reason)
	return w.incidents.line.message("incidents")
}

// incidentSizes collects the numbers of the incidents at the moment of a scrape.
type incidentSizes struct {
	w                                             *Watcher
	incidents, problems, dropped, refused, failed *prometheus.Desc
}

func newIncidentSizes(w *Watcher) *incidentSizes {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("rightsizer_incidents"+name, help, labels, nil)
	}
	return &incidentSizes{
		w:         w,
		incidents: desc("", "Incidents held, by state: open, resolved, or unlisted for want of room.", "state"),
		problems:  desc("_problems", "Problems remembered to join others with."),
		dropped:   desc("_dropped_total", "Resolved incidents that left the list early for want of room."),
		refused:   desc("_refused_total", "Events not joined to incidents for want of room."),
		failed:    desc("_failed_total", "Times that the incidents began anew after a failure."),
	}
}

// Describe implements prometheus.Collector.
func (s *incidentSizes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.incidents, s.problems, s.dropped, s.refused, s.failed} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *incidentSizes) Collect(ch chan<- prometheus.Metric) {
	s.w.mu.Lock()
	stats, failed := s.w.incidents.Stats(), s.w.incidents.failed
	s.w.mu.Unlock()
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	counter := func(d *prometheus.Desc, n uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
	}
	gauge(s.incidents, stats.Open, "open")
	gauge(s.incidents, stats.Resolved, "resolved")
	gauge(s.incidents, stats.Unlisted, "unlisted")
	gauge(s.problems, stats.Problems)
	counter(s.dropped, stats.Dropped)
	counter(s.refused, stats.Refused)
	counter(s.failed, uint64(failed))
}
