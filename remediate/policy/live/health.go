package live

import (
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// changes remembers since when health is what it is.
type changes struct {
	mu    sync.Mutex
	state rightsizerv1.HealthState
	since time.Time
}

func (c *changes) at(state rightsizerv1.HealthState) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state != c.state {
		c.state, c.since = state, time.Now()
	}
	return c.since
}

// Health is how following the policies goes.
func (s *Store) Health() *rightsizerv1.ComponentHealth {
	state, reason := rightsizerv1.HealthState_HEALTH_STATE_OK, ""
	_, err := s.Set()
	switch frozen := s.Frozen(); {
	case err != nil:
		state, reason = rightsizerv1.HealthState_HEALTH_STATE_DOWN, err.Error()
	case frozen != "":
		state, reason = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, "every effect is frozen: "+frozen
	case s.status.failing() != nil:
		state, reason = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, "conditions of policies cannot be written: "+s.status.failing().Error()
	case s.namespaced.isAbsent() || s.cluster.isAbsent():
		reason = "the CRDs are not installed, so there are no policies"
	}
	return &rightsizerv1.ComponentHealth{
		Component: "policies", State: state, Since: timestamppb.New(s.since.at(state)), Reason: shorten(reason, 1024),
	}
}

// shorten cuts a text to so many bytes, between characters.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

var policiesMetric = prometheus.NewDesc("rightsizer_policies", "Policies by kind and whether they are accepted.", []string{"kind", "accepted"}, nil)

var frozenMetric = prometheus.NewDesc("rightsizer_frozen", "1 while every effect is frozen, or it is not known whether it is.", nil, nil)

// collector counts policies as they are asked for.
type collector struct{ s *Store }

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- policiesMetric
	ch <- frozenMetric
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counts := map[[2]string]float64{}
	for _, kind := range []string{v1alpha1.KindPolicy, v1alpha1.KindClusterPolicy} {
		counts[[2]string{kind, "true"}], counts[[2]string{kind, "false"}] = 0, 0
	}
	for _, p := range c.s.set.Load().Policies() {
		accepted := "true"
		if p.Err != nil {
			accepted = "false"
		}
		counts[[2]string{p.Ref.Kind, accepted}]++
	}
	for labels, n := range counts {
		ch <- prometheus.MustNewConstMetric(policiesMetric, prometheus.GaugeValue, n, labels[0], labels[1])
	}
	frozen := 0.0
	if c.s.Frozen() != "" {
		frozen = 1
	}
	ch <- prometheus.MustNewConstMetric(frozenMetric, prometheus.GaugeValue, frozen)
}
