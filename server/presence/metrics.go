package presence

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why nothing was told of somebody who came; values of the label reason.
const (
	tooMuchOfOne   = "identity"
	tooMuchOfAll   = "all"
	full           = "full"
	unknownCluster = "cluster"
)

// metrics are rightsizer_presence_*.
type metrics struct {
	told, untold *prometheus.CounterVec
	forgotten    prometheus.Counter
	known        prometheus.GaugeFunc
}

func newMetrics(p *Presence) metrics {
	m := metrics{
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_presence_events_total", Help: "Events that told who reads events, by type.",
		}, []string{"type"}),
		untold: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_presence_untold_total",
			Help: "Times that somebody came and no event told so: too much of one identity, of all together, as many known as may be and all there (full), or the cluster not known yet.",
		}, []string{"reason"}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rightsizer_presence_forgotten_total", Help: "Identities without a stream forgotten to make room for others.",
		}),
		known: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rightsizer_presence_identities", Help: "Identities that are remembered, with a stream or without.",
		}, func() float64 {
			p.mu.Lock()
			defer p.mu.Unlock()
			return float64(len(p.known))
		}),
	}
	for _, t := range []string{Connected, Disconnected} {
		m.told.WithLabelValues(t)
	}
	for _, reason := range []string{tooMuchOfOne, tooMuchOfAll, full, unknownCluster} {
		m.untold.WithLabelValues(reason)
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.told), r.Register(m.untold), r.Register(m.forgotten), r.Register(m.known))
}
