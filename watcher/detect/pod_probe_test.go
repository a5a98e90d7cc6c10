package detect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Kubelets say 25 things of one pod, then one in 5 min: that is no recovery of a
// probe that goes on failing.
func TestAProbeThatGoesOnFailingIsOneProblem(t *testing.T) {
	const words = "Liveness probe errored and resulted in unknown state: no such file"
	clock := func(after int) string {
		return time.Date(2026, 11, 23, 12, 0, after, 0, time.UTC).Format(time.TimeOnly)
	}
	steps := []step{{
		at: clock(250), pod: runningPod(clock(1), true), events: []string{said("Unhealthy", words, clock(10), clock(250), 25)},
		want: []string{"OPENED pod.probe_errored"},
	}}
	last := 250
	for n := range 5 {
		last += 310
		steps = append(steps,
			step{at: clock(last - 1)},
			step{at: clock(last), events: []string{said("Unhealthy", words, clock(10), clock(last), 26+n)}})
	}
	steps = append(steps, step{at: clock(last + 359)}, step{at: clock(last + 360), want: []string{"RESOLVED pod.probe_errored"}})
	newScript(t).play(steps...)
}

// What was over is no evidence of what comes later: most programs fail their
// readiness probe while they start, and are not ready once more as they end.
func TestAnOldFailureIsNotToldAgain(t *testing.T) {
	const words = "Readiness probe failed: dial tcp 10.1.0.7:8080: connect: connection refused"
	newScript(t).play(
		step{at: "12:00:31", pod: runningPod("12:00:01", false), events: []string{said("Unhealthy", words, "12:00:11", "12:00:31", 3)}, want: []string{"OPENED pod.probe_failed.readiness"}},
		step{at: "12:00:41", pod: runningPod("12:00:01", true)},
		step{at: "12:06:31", want: []string{"RESOLVED pod.probe_failed.readiness"}},
		step{at: "12:07:00", pod: runningPod("12:06:59", false)},
		step{at: "12:07:10", events: []string{said("Unhealthy", words, "12:00:11", "12:07:10", 4)}},
		step{at: "12:07:20", events: []string{said("Unhealthy", words, "12:00:11", "12:07:20", 5)}},
		step{at: "12:07:30", events: []string{said("Unhealthy", words, "12:00:11", "12:07:30", 6)}, want: []string{"OPENED pod.probe_failed.readiness"}},
	)
}

// Silence says something of a probe only while it is carried out.
func TestSilenceOfAProbe(t *testing.T) {
	const last = 10_000 // when the probe was told to fail
	end := &object.Terminated{ExitCode: 137}
	for name, tt := range map[string]struct {
		object.Container
		after int64 // last
		goes  bool
		wake  int64
	}{
		"runs and is ready":      {object.Container{Ready: true, State: object.State{Kind: object.Running, StartedAt: 1}}, 359, true, last + 360},
		"for long":               {object.Container{Ready: true, State: object.State{Kind: object.Running, StartedAt: 1}}, 360, false, 0},
		"is not ready":           {object.Container{State: object.State{Kind: object.Running, StartedAt: 1}}, 3600, true, 0},
		"was restarted just now": {object.Container{Ready: true, State: object.State{Kind: object.Running, StartedAt: last + 300}}, 400, true, last + 660},
		"runs again for long":    {object.Container{Ready: true, State: object.State{Kind: object.Running, StartedAt: last + 300}}, 660, false, 0},
		"is held back":           {object.Container{State: object.State{Kind: object.Ended, Terminated: end}}, 3600, true, 0},
		"waits in back-off":      {object.Container{State: object.State{Kind: object.Waiting, Reason: "CrashLoopBackOff"}}, 3600, true, 0},
		"ended for good": {
			object.Container{Restart: object.RestartNever, State: object.State{Kind: object.Ended, Terminated: end}}, 360, false, 0,
		},
		"waits for its image": {object.Container{State: object.State{Kind: object.Waiting, Reason: "ImagePullBackOff"}}, 360, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tt.Name = "app"
			found := detect.Probe{}.Detect(&detect.PodInput{
				Cluster: "c", Cur: &object.Pod{UID: "p", Phase: object.PhaseRunning, Containers: []object.Container{tt.Container}},
				Evidence:   detect.Evidence{{Topic: "probe.liveness", Part: "app", Last: last, Row: 3}},
				Thresholds: detect.DefaultThresholds(), Now: time.Unix(last+tt.after, 0),
			}, nil)
			require.Len(t, found, 1)
			assert.Equal(t, tt.goes, found[0].Ends == nil)
			assert.Equal(t, tt.goes, !found[0].Silent())
			assert.Equal(t, tt.wake, found[0].Wake)
		})
	}
}
