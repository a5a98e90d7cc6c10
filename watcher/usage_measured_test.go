package watcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What repairs rest on: how recent it is, the most that is used and was, and the last
// kill; nothing of a container that was never measured, nor what is not fresh.
func TestWhatIsMeasuredOfAContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "90Mi"}
		r, server := measuring(t, g, "web-1", "web-2")
		defer r.stop()
		r.pass(time.Minute)
		g.set("40m", "20Mi")
		r.pass(time.Minute)
		m, ok := r.Measured("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.WithinDuration(t, time.Now(), m.Time, 11*time.Second)
		assert.EqualValues(t, 20<<20, m.MemoryBytes)
		assert.InEpsilon(t, 90<<20, m.MemoryPeakBytes, 0.06, "as a sketch remembers it")
		assert.GreaterOrEqual(t, m.MemorySamples, int64(20), "of both pods")
		assert.True(t, m.LastOOM.IsZero())
		assert.True(t, m.ThrottledTime.IsZero(), "the metrics API does not tell")

		killed := time.Now()
		server.Put(end(web("web-1"), "OOMKilled", 137, time.Minute))
		g.mu.Lock()
		g.silent = true
		g.mu.Unlock()
		r.pass(10 * time.Minute)
		m, ok = r.Measured("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.WithinDuration(t, killed, m.LastOOM, time.Second)
		assert.True(t, m.Time.IsZero(), "nothing is fresh")
		assert.Zero(t, m.MemoryBytes)
		assert.NotZero(t, m.MemoryPeakBytes)

		_, ok = r.Measured("shop", "Deployment", "web", "other")
		assert.False(t, ok)
	})
}
