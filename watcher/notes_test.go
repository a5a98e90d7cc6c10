package watcher_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/track"
)

// fed is a watcher that is handed what it sees, from a list of pods on.
func fed(t *testing.T, clock *clocktesting.FakeClock, pods ...runtime.Object) (*watcher.Feeder, *recorder, prometheus.Gatherer) {
	t.Helper()
	out, registry := &recorder{t: t}, prometheus.NewRegistry()
	w, err := watcher.New(watcher.Options{Config: watcherConfig, Publisher: out, ClusterID: "c", Clock: clock, Registerer: registry})
	require.NoError(t, err)
	f, err := w.Feed()
	require.NoError(t, err)
	require.NoError(t, f.List("pods", pods))
	return f, out, registry
}

// What goes on is not over since much else was said meanwhile, be it of pods that
// are gone or were never there.
func TestWhatGoesOnOutlastsWhatElseIsSaid(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	clock := clocktesting.NewFakeClock(began)
	f, out, metrics := fed(t, clock, unready("web-a"))
	say := func(pod string, count int32) {
		now := clock.Now()
		require.NoError(t, f.Change("events", watch.Modified,
			warned("probe", pod, "Unhealthy", "Readiness probe failed: refused", count, began, now)))
	}
	say("web-a", 3)
	require.Len(t, out.told("pod.probe_failed"), 1)
	for i := range track.MaxNotes {
		name := fmt.Sprint("brief-", i)
		require.NoError(t, f.Change("pods", watch.Added, unready(name)))
		say(name, 1)
		require.NoError(t, f.Change("pods", watch.Deleted, unready(name)))
	}
	for i := range track.MaxNotes {
		say(fmt.Sprint("never-", i), 1)
	}
	clock.Step(9 * time.Minute)
	require.NoError(t, f.Change("pods", watch.Modified, unready("web-a")))
	say("web-a", 4)
	told := out.told("pod.probe_failed")
	require.Len(t, told, 1, "the end was not seen: %v", told)
	got := gather(t, metrics)
	assert.InDelta(t, track.MaxNotes, got["rightsizer_watcher_notes{}"], 0)
	assert.InDelta(t, 1, got["rightsizer_watcher_notes_dropped_total{all}"], 0)
	assert.Contains(t, got, "rightsizer_watcher_notes_dropped_total{object}")
}
