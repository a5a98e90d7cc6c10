package detect

import (
	"fmt"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typeRestarted = "pod.restarted"

// Restarted finds restarts that are neither an OOM kill nor part of a crash
// loop, whose events tell of them.
type Restarted struct{}

// Docs implements Detector.
func (Restarted) Docs() []Doc {
	return []Doc{{
		Type:     typeRestarted,
		Severity: "warning; info where it exited with code 0",
		Source: "`lastState.terminated` with another reason than OOMKilled, as long as the row of restarts is shorter than " +
			"a crash loop (CrashLoopRestarts)",
		Details:  "RestartDetails",
		Resolves: point,
	}}
}

// Detect implements Detector.
func (Restarted) Detect(in *PodInput, out []Finding) []Finding {
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		if c.Last == nil || c.RestartCount == 0 || c.Last.Reason == reasonOOMKilled ||
			c.LastAttempt()+1-rowOfLast(c, in.Thresholds.CrashLoopReset) >= in.Thresholds.CrashLoopRestarts {
			continue
		}
		out = append(out, restarted(in, c))
	}
	return out
}

// rowOfLast is where the row of short runs begins that the end in Last belongs to.
// That is the row before where a long run has just ended: nobody knows its
// beginning any more, and what may have been counted in a crash loop is no news.
func rowOfLast(c *object.Container, reset time.Duration) int32 {
	switch {
	case c.LastAttempt() >= c.RowStart:
		return c.RowStart
	case long(c.Last, reset):
		return c.LastAttempt()
	}
	return 0
}

func restarted(in *PodInput, c *object.Container) Finding {
	end := c.Last
	f := Finding{
		Problem:   endOfContainer(typeRestarted, in, c, end, c.LastAttempt()),
		Type:      typeRestarted,
		Point:     true,
		Severity:  warning,
		Occurred:  end.FinishedAt,
		Container: c.Name,
		Kind:      c.Kind,
		Reason:    end.Reason,
		Message:   fmt.Sprintf("%s was restarted after it ended with exit code %d", subject(c, in.Cur), end.ExitCode),
		Details: &rightsizerv1.RestartDetails{
			ContainerKind: c.Kind, RestartCount: c.RestartCount, ExitCode: end.ExitCode, LastReason: end.Reason,
			StartedTime: moment(end.StartedAt), FinishedTime: moment(end.FinishedAt),
		},
	}
	if end.ExitCode == 0 {
		f.Severity = info
	}
	if f.Reason == "" {
		f.Reason = "Restarted"
	} else {
		f.Message += " (" + end.Reason + ")"
	}
	if lived, ok := end.Lifetime(); ok && end.FinishedAt > 0 {
		f.Message += ", having run for " + span(lived)
	}
	return f
}
