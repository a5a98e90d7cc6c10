package detect_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// looped is a pod whose only container has a status, as steps want it.
func looped(restarts int, state, last string) string {
	return fmt.Sprintf(`
spec: {nodeName: n1, containers: [{name: app, image: i}]}
status:
  phase: Running
  containerStatuses: [{name: app, restartCount: %d, state: %s, lastState: {%s}}]
`, restarts, state, last)
}

// Once a crash loop is over, the end of the long run makes the loop's last end
// show beside it for a back-off: it was counted, and is no news.
func TestTheLastEndOfALoopIsNotToldAgain(t *testing.T) {
	ends := []string{
		ended("12:00:01", "12:00:02", 1), ended("12:00:03", "12:00:04", 1), ended("12:00:15", "12:00:16", 1), ended("12:00:37", "12:22:00", 1),
	}
	last := step{at: "12:22:00", pod: looped(3, "{"+ends[3]+"}", ends[2])}
	s := newScript(t)
	s.play(
		step{at: "12:00:03", pod: looped(1, run("12:00:03"), ends[0]), want: []string{"POINT pod.restarted"}},
		step{at: "12:00:15", pod: looped(2, run("12:00:15"), ends[1]), want: []string{"OPENED pod.crash_loop"}},
		step{at: "12:00:37", pod: looped(3, run("12:00:37"), ends[2]), want: []string{"UPDATED pod.crash_loop"}},
		step{at: "12:10:37", want: []string{"RESOLVED pod.crash_loop"}},
		last,
		step{at: "12:22:01", pod: looped(4, run("12:22:01"), ends[3]), want: []string{"POINT pod.restarted"}},
	)
	newScript(t).play(last) // A process that starts in that moment.
}

// What cannot have been part of a loop is told also by who meets it beside the
// end of a later run.
func TestARestartBeforeALongRunIsToldFromTheStart(t *testing.T) {
	for name, pod := range map[string]string{
		"the first end":       looped(1, "{"+ended("12:00:03", "12:22:00", 1)+"}", ended("12:00:01", "12:00:02", 1)),
		"the end of a day":    looped(7, "{"+ended("12:00:03", "12:22:00", 1)+"}", ended("06:00:01", "12:00:02", 1)),
		"a row that goes on":  looped(1, run("12:00:03"), ended("12:00:01", "12:00:02", 1)),
		"a long run, restart": looped(8, run("12:22:01"), ended("12:00:03", "12:22:00", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.play(step{at: "12:22:02", pod: pod, want: []string{"POINT pod.restarted"}})
			assert.Len(t, s.events, 1)
		})
	}
}
