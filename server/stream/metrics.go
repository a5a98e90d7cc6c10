package stream

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// totals sums the sessions of one protocol that are gone; open ones are added
// when somebody looks.
type totals struct{ sent, bytes, lost int64 }

// Why a session ended; the values of the label reason.
const (
	endClient = "client" // the client went, or answers nothing
	endSlow   = "slow"   // the client took no data
	endServer = "server" // told `closing`
	endFailed = "failed" // a message could not be encoded
)

// metrics are rightsizer_stream_*. Labels are the four protocols and a few
// reasons, so their number is bounded.
type metrics struct {
	hub     *Hub
	refused *prometheus.CounterVec
	ended   *prometheus.CounterVec
	gone    map[string]totals // guarded by hub.mu
}

func newMetrics(h *Hub) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rightsizer_stream_" + name, Help: help}, labels)
	}
	m := &metrics{
		hub:     h,
		refused: counter("refused_total", "Streams refused because too many were open: in all (full), of one identity, or from one peer.", "reason"),
		ended:   counter("ended_total", "Streams that ended, by who ended them: client (it went, or answers no pings), slow (it took no data), server (told closing), failed (a message could not be encoded).", "protocol", "reason"),
		gone:    make(map[string]totals),
	}
	for _, reason := range []string{"full", "identity", "peer"} {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// add counts a session that ends. The caller holds hub.mu.
func (m *metrics) add(s *Session) {
	m.gone[s.reader.Protocol] = m.gone[s.reader.Protocol].plus(s)
	m.ended.WithLabelValues(s.reader.Protocol, s.ended).Inc()
}

func (t totals) plus(s *Session) totals {
	lost, _ := s.progress()
	return totals{t.sent + s.sent.Load(), t.bytes + s.bytes.Load(), t.lost + lost}
}

var (
	openDesc  = streamDesc("connections", "Open streams.")
	sentDesc  = streamDesc("sent_messages_total", "Messages written to streams.")
	bytesDesc = streamDesc("sent_bytes_total", "Bytes written to streams.")
	lostDesc  = streamDesc("lost_events_total", "Events that streams lost because they fell behind the ring.")
	lagDesc   = streamDesc("lag_entries_max", "Entries that the slowest stream has not considered yet.")
)

func streamDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("rightsizer_stream_"+name, help, []string{"protocol"}, nil)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{openDesc, sentDesc, bytesDesc, lostDesc, lagDesc} {
		ch <- d
	}
	m.ended.Describe(ch)
	m.refused.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.ended.Collect(ch)
	m.refused.Collect(ch)
	sums, open, lag := m.sums()
	for protocol, t := range sums {
		emit := func(d *prometheus.Desc, kind prometheus.ValueType, v int64) {
			ch <- prometheus.MustNewConstMetric(d, kind, float64(v), protocol)
		}
		emit(openDesc, prometheus.GaugeValue, open[protocol])
		emit(lagDesc, prometheus.GaugeValue, lag[protocol])
		emit(sentDesc, prometheus.CounterValue, t.sent)
		emit(bytesDesc, prometheus.CounterValue, t.bytes)
		emit(lostDesc, prometheus.CounterValue, t.lost)
	}
}

// sums are the totals by protocol, open sessions included, how many are open, and
// the largest lag.
func (m *metrics) sums() (sums map[string]totals, open, lag map[string]int64) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	sums, open, lag = maps.Clone(m.gone), make(map[string]int64), make(map[string]int64)
	for _, s := range m.hub.sessions {
		p := s.reader.Protocol
		sums[p] = sums[p].plus(s)
		open[p]++
		_, behind := s.progress()
		lag[p] = max(lag[p], behind)
	}
	return sums, open, lag
}

// progress is the subscription's, safe beside a change of it.
func (s *Session) progress() (lost, lag int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost, lag = s.sub.Progress()
	return lost + s.lostBefore, lag
}

// connection describes the session.
func (s *Session) connection() *rightsizerv1.Connection {
	lost, lag := s.progress()
	conn := &rightsizerv1.Connection{
		Id: s.name(), Protocol: s.reader.Protocol, Peer: s.reader.Peer, Identity: s.reader.Identity,
		OpenedTime: timestamppb.New(s.opened),
		Sent:       s.sent.Load(), Lost: lost, Bytes: s.bytes.Load(), Lag: lag,
	}
	if age := s.lagTime(time.Now()); lag > 0 && age > 0 {
		conn.LagTime = durationpb.New(age)
	}
	return conn
}

// lagTime is the age of the oldest entry that the session has not written, by the
// time at which it was observed; 0 where there is none, or it is no longer held:
// then a loss will say so.
func (s *Session) lagTime(now time.Time) time.Duration {
	s.mu.Lock()
	unread := s.sub.Unread()
	s.mu.Unlock()
	if unread == nil {
		return 0
	}
	var at *timestamppb.Timestamp
	switch m := unread.Message().GetMessage().(type) {
	case *rightsizerv1.StreamEventsResponse_Event:
		at = m.Event.GetObservedTime()
	case *rightsizerv1.StreamEventsResponse_Incident:
		at = m.Incident.GetUpdatedTime()
	}
	if at == nil {
		return 0
	}
	return now.Sub(at.AsTime())
}
