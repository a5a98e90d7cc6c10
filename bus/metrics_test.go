package bus_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
)

// TestMetrics gathers through a pedantic registry, which checks that what is
// collected is what was described.
func TestMetrics(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bus.Options{Entries: 4, Bytes: 1 << 20})
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(b))
	s := b.Subscribe(everything(), "")
	defer s.Close()
	source := bustest.NewSource(bustest.Options{})
	for range 10 {
		b.Publish(source.Event())
	}
	require.EqualValues(t, 6, s.Ready(make([]*bus.Entry, 0, 8)).Lost.GetCount())

	families, err := registry.Gather()
	require.NoError(t, err)
	counters, gauges := make(map[string]float64), make(map[string]float64)
	for _, f := range families {
		require.Len(t, f.GetMetric(), 1)
		assert.NotEmpty(t, f.GetHelp())
		switch m := f.GetMetric()[0]; {
		case m.GetCounter() != nil:
			counters[f.GetName()] = m.GetCounter().GetValue()
		case m.GetGauge() != nil:
			gauges[f.GetName()] = m.GetGauge().GetValue()
		}
	}
	assert.Equal(t, map[string]float64{
		"rightsizer_bus_published_total": 10,
		"rightsizer_bus_evicted_total":   6,
		"rightsizer_bus_lost_total":      6,
	}, counters)
	assert.Equal(t, map[string]float64{
		"rightsizer_bus_entries":        4,
		"rightsizer_bus_bytes":          float64(b.Stats().Bytes),
		"rightsizer_bus_capacity":       4,
		"rightsizer_bus_capacity_bytes": 1 << 20,
		"rightsizer_bus_subscriptions":  1,
	}, gauges)
}
