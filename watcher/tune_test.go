package watcher_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

// Thresholds that change hold from an object's next change on, and bad ones not at all.
func TestThresholdsChangeWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		r := start(t, shop(pod))
		defer r.stop()

		tuned := detect.DefaultThresholds()
		tuned.CrashLoopRestarts = 0
		require.ErrorContains(t, r.Tune(watcher.Tuning{Thresholds: tuned}), "CrashLoopRestarts")
		tuned.CrashLoopRestarts, tuned.CrashLoopCriticalRestarts = 100, 100
		require.NoError(t, r.Tune(watcher.Tuning{Thresholds: tuned}))
		pod = crash(r, pod)
		assert.Empty(t, r.out.take(), "two restarts are no crash loop any more")

		require.NoError(t, r.Tune(watcher.Tuning{Thresholds: detect.DefaultThresholds()}))
		assert.Empty(t, r.out.take(), "nothing happened to the pod")
		r.server.Put(end(pod, "Error", 1, 0))
		synctest.Wait()
		events := r.out.take()
		require.Len(t, events, 1)
		assert.Equal(t, rightsizerv1.Phase_PHASE_OPENED, events[0].GetPhase())
	})
}
