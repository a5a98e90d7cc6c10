package watcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
)

func keeping(o *watcher.Options) {
	o.Usage = watcher.UsageOptions{Sources: []string{watcher.SourceMetricsAPI}, Interval: 10 * time.Second, CheckpointNamespace: "ops"}
}

// What was measured is there after a restart, kills included, each once.
func TestARestartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1", "web-2")
		r.stop()
		r = start(t, server, keeping)
		r.pass(time.Minute)
		killed := end(web("web-1"), "OOMKilled", 137, time.Minute)
		server.Put(killed)
		synctest.Wait()
		before, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		require.EqualValues(t, 1, before.GetOomKills())
		assert.Empty(t, server.ConfigMaps(), "not before 15 minutes")
		r.stop()
		kept := server.ConfigMaps()
		require.Len(t, kept, 1+emptyShards, "written at the end")

		r = start(t, server, keeping) // the kill is still visible in the status
		after, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.EqualValues(t, 1, after.GetOomKills())
		assert.Equal(t, before.GetTargetRequests(), after.GetTargetRequests())
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/checkpoints").GetState())
		r.stop()
	})
}

// emptyShards are written once, too: they say that there is nothing.
const emptyShards = 31

func TestADamagedShardIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		r.stop()
		r = start(t, server, keeping)
		r.pass(time.Minute)
		r.stop()
		damaged := 0
		for _, c := range server.ConfigMaps() {
			if raw := c.BinaryData["sketches"]; len(raw) > 100 {
				raw[50] ^= 0xff
				server.PutConfigMap(c)
				damaged++
			}
		}
		require.Equal(t, 1, damaged)
		r = start(t, server, keeping)
		defer r.stop()
		require.ErrorIs(t, r.SizingReady(), watcher.ErrNoUsageYet)
		health := r.component("usage/checkpoints")
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, health.GetState())
		assert.Contains(t, health.GetReason(), "1 of 32 shards cannot be read")
		r.pass(16 * time.Minute)
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/checkpoints").GetState(), "written anew")
	})
}

// What is read of a restore that fails is not merged again by the next: a second time
// it would weigh double.
func TestARestoreThatFailsGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		r.stop()
		r = start(t, server, keeping)
		r.pass(time.Minute)
		server.Put(end(web("web-1"), "OOMKilled", 137, time.Minute))
		synctest.Wait()
		before, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		r.stop()

		const last = "/api/v1/namespaces/ops/configmaps/rightsizer-usage-31"
		require.Less(t, len(server.ConfigMaps()["ops/rightsizer-usage-31"].BinaryData["sketches"]), 100, "the container is in a shard before")
		server.Forbid(last, true)
		server.Answer(metricsOfShop, nil) // nothing new is measured
		r = start(t, server, keeping)
		defer r.stop()
		r.pass(time.Second)
		assert.Contains(t, r.component("usage/checkpoints").GetReason(), "what was measured before cannot be read")
		server.Forbid(last, false)
		r.pass(time.Minute)
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, r.component("usage/checkpoints").GetState())
		after, ok := r.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.EqualValues(t, 1, after.GetOomKills())
		assert.Equal(t, before.GetTargetRequests(), after.GetTargetRequests())
	})
}

// A replica that does not lead neither polls nor writes.
func TestAFollowerWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		r.stop()
		r = start(t, server, keeping, func(o *watcher.Options) { o.Usage.Leading = func() bool { return false } })
		r.pass(20 * time.Minute)
		r.stop()
		assert.Empty(t, server.ConfigMaps())
	})
}
