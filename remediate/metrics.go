package remediate

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	transitions *prometheus.CounterVec
	refused     *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	effects     *prometheus.CounterVec
	panics      prometheus.Counter
	seconds     prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_remediation_transitions_total", Help: "Changes of state of Remediations, by action and state.",
		}, []string{"action", "state"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_remediation_refused_total", Help: "Causes for which no Remediation was made, by why.",
		}, []string{"why"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_remediation_dropped_total", Help: "What was dropped at a bound, by what.",
		}, []string{"what"}),
		effects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_remediation_effects_total", Help: "Writes to workloads, by action and result.",
		}, []string{"action", "result"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rightsizer_remediation_panics_total", Help: "Panics that ended at one workload.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rightsizer_remediation_effect_seconds",
			Help:    "Time from the observation of a cause to the first accepted write of a Remediation that nobody had to approve.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.transitions, m.refused, m.dropped, m.effects, m.panics, m.seconds} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
