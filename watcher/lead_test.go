package watcher_test

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
)

// replica leads when it is told so.
func replica(leads *atomic.Bool) func(*watcher.Options) {
	return func(o *watcher.Options) { o.Usage.Leading = leads.Load }
}

// Of two replicas the leader alone measures, and tells what it finds; the other takes
// over what it kept, with the kills that it had no time to keep.
func TestTheLeaderAloneMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "63Mi"} // of 64 MiB
		r, server := measuring(t, g, "web-1", "web-2")
		r.stop()
		var firstLeads, secondLeads atomic.Bool
		firstLeads.Store(true)
		first, second := start(t, server, keeping, replica(&firstLeads)), start(t, server, keeping, replica(&secondLeads))
		defer second.stop()
		first.pass(20 * time.Minute) // checkpoints are written after 15
		exhausted := []string{"OPENED resource.exhaustion SEVERITY_ERROR", "OPENED resource.exhaustion SEVERITY_ERROR"}
		assert.Equal(t, exhausted, first.out.types("resource."))
		require.NoError(t, first.SizingReady())
		assert.EqualValues(t, 80, first.Cluster().GetUsed().GetCpuMillis())
		assert.Empty(t, second.out.types("resource."))
		require.ErrorIs(t, second.SizingReady(), watcher.ErrNotLeading)
		require.ErrorIs(t, second.MetricsReady(), watcher.ErrNotLeading)
		assert.Nil(t, second.Cluster().GetUsed())
		for _, part := range []string{"usage/metrics-api", "usage/checkpoints"} {
			idle := second.component(part)
			assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, idle.GetState(), part)
			assert.Equal(t, "another replica leads, and measures", idle.GetReason(), part)
		}

		// A kill that both see, too late for a checkpoint.
		server.Put(end(web("web-2"), "OOMKilled", 137, time.Minute))
		synctest.Wait()
		first.out.types("")
		firstLeads.Store(false) // as after a crash, it writes nothing more
		secondLeads.Store(true)
		second.pass(2 * time.Second)
		assert.Equal(t, []string{"RESOLVED resource.exhaustion SEVERITY_INFO"}, first.out.types("resource."), "nobody here knows any more")
		require.ErrorIs(t, first.SizingReady(), watcher.ErrNotLeading)
		assert.Nil(t, first.Cluster().GetUsed())
		require.ErrorIs(t, second.SizingReady(), watcher.ErrNoUsageYet)
		second.pass(30 * time.Second)
		require.NoError(t, second.SizingReady())
		got, ok := second.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.EqualValues(t, 1, got.GetOomKills())
		assert.Greater(t, got.GetDataSpan().AsDuration(), 15*time.Minute, "what the other kept")
		assert.Equal(t, exhausted[:1], second.out.types("resource."))
		assert.Empty(t, first.out.types("resource."))
		first.stop()
		written := len(server.ConfigMaps())
		assert.Equal(t, 1+emptyShards, written)
	})
}

// A leader that ends writes what it has, and who follows waits for that.
func TestTheNextLeaderHasTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		r.stop()
		var firstLeads, secondLeads atomic.Bool
		firstLeads.Store(true)
		first, second := start(t, server, keeping, replica(&firstLeads)), start(t, server, keeping, replica(&secondLeads))
		defer second.stop()
		first.pass(10 * time.Minute)
		require.Empty(t, server.ConfigMaps())
		secondLeads.Store(true) // the lease is free before the first has ended
		second.pass(2 * time.Second)
		first.stop()
		second.pass(10 * time.Second)
		got, ok := second.Recommendation("shop", "Deployment", "web", "app")
		require.True(t, ok)
		assert.Greater(t, got.GetDataSpan().AsDuration(), 9*time.Minute)
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, second.component("usage/checkpoints").GetState())
		assert.Empty(t, second.component("usage/metrics-api").GetReason())
	})
}

// A source that is down is no longer told by whoever does not ask it any more.
func TestASourceThatIsDownEndsWithTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		r.stop()
		server.Answer(metricsOfShop, nil)
		server.Answer("/apis/metrics.k8s.io/v1beta1/nodes", nil)
		var leads atomic.Bool
		leads.Store(true)
		r = start(t, server, keeping, replica(&leads))
		defer r.stop()
		r.pass(time.Minute)
		require.Equal(t, []string{"OPENED system.usage_source_down SEVERITY_WARNING"}, r.out.types("system."))
		leads.Store(false)
		r.pass(time.Minute)
		assert.Equal(t, []string{"RESOLVED system.usage_source_down SEVERITY_INFO"}, r.out.types("system."))
	})
}

// clockAt is a clock on whose answer a caller by this name waits, once.
type clockAt struct {
	clock.RealClock

	caller string
	wait   func()
	once   sync.Once
}

func (c *clockAt) Now() time.Time {
	if pc, _, _, ok := runtime.Caller(1); ok && strings.HasSuffix(runtime.FuncForPC(pc).Name(), c.caller) {
		c.once.Do(c.wait)
	}
	return c.RealClock.Now()
}

// A round that ends while the lead is lost says nothing of its source any more: nobody
// would take that back.
func TestARoundThatEndsWithTheLeadTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{cpu: "40m", memory: "20Mi"}
		r, server := measuring(t, g, "web-1")
		r.stop()
		server.Answer(metricsOfShop, nil)
		server.Answer("/apis/metrics.k8s.io/v1beta1/nodes", nil)
		var leads atomic.Bool
		leads.Store(true)
		r = start(t, server, keeping, replica(&leads), func(o *watcher.Options) {
			o.Clock = &clockAt{caller: ").roundOver", wait: func() {
				leads.Store(false)
				time.Sleep(3 * time.Second) // and whoever looks after the lead sees it
			}}
		})
		defer r.stop()
		r.pass(time.Minute)
		assert.Empty(t, r.out.types("system."))
		health := r.component("usage/metrics-api")
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, health.GetState())
		assert.Equal(t, "another replica leads, and measures", health.GetReason())
	})
}
