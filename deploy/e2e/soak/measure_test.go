//go:build soak

package soak_test

import (
	"testing"
	"time"
)

// sample is the resident memory at a moment.
type sample struct{ minutes, bytes float64 }

func measure(t *testing.T, o *operator, window time.Duration) []sample {
	t.Helper()
	began := time.Now()
	var out []sample
	for time.Since(began) < window {
		bytes := o.gauges(t, "process_resident_memory_bytes")[0]
		out = append(out, sample{time.Since(began).Minutes(), bytes})
		if !wait(t.Context(), sampleEach) {
			break
		}
	}
	return out
}

// slope is the least-squares rise in bytes a minute.
func slope(samples []sample) float64 {
	n := float64(len(samples))
	var x, y, xy, xx float64
	for _, s := range samples {
		x, y, xy, xx = x+s.minutes, y+s.bytes, xy+s.minutes*s.bytes, xx+s.minutes*s.minutes
	}
	if below := n*xx - x*x; below > 0 {
		return (n*xy - x*y) / below
	}
	return 0
}

// quiet is the number of goroutines without clients: the least of what is seen
// over some seconds, for what ends late and what is in hand.
func quiet(t *testing.T, o *operator) float64 {
	t.Helper()
	least := 0.0
	for range 10 {
		if now := o.gauges(t, "go_goroutines")[0]; least == 0 || now < least {
			least = now
		}
		wait(t.Context(), 500*time.Millisecond)
	}
	return least
}

// settled is quiet, which may take until the last dead client is noticed; it
// returns as soon as the number is within the bound.
func settled(t *testing.T, o *operator, bound float64) float64 {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		now := quiet(t, o)
		if now <= bound || time.Now().After(end) {
			return now
		}
	}
}
