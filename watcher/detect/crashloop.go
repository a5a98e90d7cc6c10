package detect

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	reasonCrashLoopBackOff = "CrashLoopBackOff"
	typeCrashLoop          = "pod.crash_loop"
)

// CrashLoop finds containers that end again and again. One problem is one row
// of runs, each shorter than Thresholds.CrashLoopReset.
//
// The waiting reason CrashLoopBackOff alone would miss most of it: on a real
// node the state stays terminated during nearly all of the back-off. Restarts
// are counted instead; a back-off that the kubelet announces counts as the
// restart that will follow it.
type CrashLoop struct{}

// Docs implements Detector.
func (CrashLoop) Docs() []Doc {
	return []Doc{{
		Type: typeCrashLoop,
		Severity: "error; critical where the workload serves and has no ready pod left, or from 5 restarts in a row " +
			"(CrashLoopCriticalRestarts); warning where it exits with code 0; info as it resolves",
		Source: "`restartCount`, `state` and `lastState` of containers that are restarted; the Kubernetes Event BackOff " +
			"and the waiting reason CrashLoopBackOff announce a restart",
		Details: "CrashLoopDetails",
		Resolves: "a run of 10 min (CrashLoopReset), an end after which it is not restarted, the end or the deletion " +
			"of the pod",
	}}
}

// Detect implements Detector.
func (CrashLoop) Detect(in *PodInput, out []Finding) []Finding {
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		if c.RestartCount == 0 && c.State.Kind == object.Running || c.Restart == object.RestartNever && c.RestartCodes == nil {
			continue
		}
		out = formerRow(in, c, out)
		if f, ok := crashLoop(in, c); ok {
			out = append(out, f)
		}
	}
	return out
}

// formerRow ends the problem of the row before, where a long run has just begun
// a new one before the deadline of the old was looked at.
func formerRow(in *PodInput, c *object.Container, out []Finding) []Finding {
	if in.Prev == nil || in.Prev.UID != in.Cur.UID {
		return out
	}
	before := in.Prev.Container(c.Kind, c.Name)
	if before == nil || before.RowStart == c.RowStart {
		return out
	}
	l := loop{in: in, c: before, row: before.RowStart, announced: before.RestartCount, end: before.Last}
	if l.announced == l.row {
		return out
	}
	return append(out, l.finding("it ran for more than "+span(in.Thresholds.CrashLoopReset)))
}

// loop is a container's present row of short runs.
type loop struct {
	in *PodInput
	c  *object.Container
	// row is where the row begins: the number of ends before it.
	row int32
	// announced is the number of the restart that came last or is announced,
	// over the container's life.
	announced int32
	// end is the latest end; nil where none is visible.
	end *object.Terminated
}

func crashLoop(in *PodInput, c *object.Container) (Finding, bool) {
	l := loop{in: in, c: c, row: c.RowStart, announced: c.RestartCount, end: c.State.Terminated}
	if l.end == nil {
		l.end = c.Last
	}
	if heldBack(l.c) {
		l.announced++
	}
	how := l.over()
	if how == "" && !l.open() {
		return Finding{}, false
	}
	if how != "" && l.announced-l.row < 1 {
		return Finding{}, false // Never restarted in this row, so never open.
	}
	return l.finding(how), true
}

// heldBack says that the kubelet holds a container back before another start.
func heldBack(c *object.Container) bool {
	switch c.State.Kind {
	case object.Ended:
		return restartsAfter(c, c.State.Terminated)
	case object.Waiting:
		return c.State.Reason == reasonCrashLoopBackOff
	case object.Running:
	}
	return false
}

func restartsAfter(c *object.Container, t *object.Terminated) bool {
	return c.RestartCodes.Has(t.ExitCode) || c.Restart == object.RestartAlways ||
		c.Restart == object.RestartOnFailure && t.ExitCode != 0
}

// open says that the row is long enough. A restart that is merely due does not
// count; one that the kubelet announced by a back-off does.
func (l *loop) open() bool {
	need := l.in.Thresholds.CrashLoopRestarts
	return l.c.RestartCount-l.row >= need || l.announced-l.row >= need && l.backOffAnnounced()
}

func (l *loop) backOffAnnounced() bool {
	switch l.c.State.Kind {
	case object.Waiting:
		return l.c.State.Reason == reasonCrashLoopBackOff
	case object.Ended:
		// An Event that names no container stands for all of its pod.
		for _, part := range []string{l.c.Name, ""} {
			if n := l.in.Evidence.Find(topicBackOff, part); n != nil && n.Last >= l.c.State.Terminated.FinishedAt {
				return true
			}
		}
	case object.Running:
	}
	return false
}

// over says how the row ended; empty while it goes on.
func (l *loop) over() string {
	in, c := l.in, l.c
	switch {
	case in.Gone:
		return "the pod was deleted"
	case in.Cur.Ended():
		return "the pod ended in phase " + in.Cur.Phase
	case c.State.Kind == object.Ended && !restartsAfter(c, c.State.Terminated):
		if code := c.State.Terminated.ExitCode; code != 0 {
			return fmt.Sprintf("it ended with exit code %d and is not restarted", code)
		}
		return "it completed"
	case c.State.Kind == object.Running && c.State.StartedAt > 0 &&
		in.Now.Unix() >= c.State.StartedAt+l.reset():
		return "it has run for " + span(in.Thresholds.CrashLoopReset)
	}
	return ""
}

// reset in seconds, rounded up: the API's times have no finer resolution.
func (l *loop) reset() int64 {
	return int64((l.in.Thresholds.CrashLoopReset + time.Second - 1) / time.Second)
}

func (l *loop) finding(how string) Finding {
	c := l.c
	details := l.details(how)
	f := Finding{
		Problem: Identify(typeCrashLoop, l.in.Cluster, l.in.Cur.UID, c.Name, strconv.FormatInt(int64(l.row), 10)),
		Type:    typeCrashLoop,
		Over:    how != "",
		// The number of the restart, known as soon as its cause is: an end tells
		// it up to 5 min before the restart does.
		Ordinal:   l.announced,
		Severity:  l.severity(how),
		Container: c.Name,
		Kind:      c.Kind,
		Reason:    reasonCrashLoopBackOff,
		Details:   details,
	}
	if l.end != nil {
		f.Occurred = l.end.FinishedAt
	}
	if how != "" {
		f.Occurred = 0 // The end of a problem is told by the observation.
		f.Reason = "Recovered"
		if l.in.Gone || l.in.Cur.Ended() {
			f.Reason = "PodEnded"
		}
		f.Message = fmt.Sprintf("%s no longer crash-loops: %s (%s)", subject(c, l.in.Cur), how, l.count())
		return f
	}
	if c.State.Kind == object.Running && c.State.StartedAt > 0 {
		f.Wake = c.State.StartedAt + l.reset()
	}
	f.Message = l.message(details)
	return f
}

func (l *loop) severity(how string) rightsizerv1.Severity {
	switch {
	case how != "":
		return rightsizerv1.Severity_SEVERITY_INFO
	case l.in.Workload.down(),
		l.announced-l.row >= l.in.Thresholds.CrashLoopCriticalRestarts && !l.clean():
		return rightsizerv1.Severity_SEVERITY_CRITICAL
	case l.clean():
		return rightsizerv1.Severity_SEVERITY_WARNING
	}
	return rightsizerv1.Severity_SEVERITY_ERROR
}

// clean says that the latest end was a success: a program that has nothing to
// do under a policy that wants it to run forever.
func (l *loop) clean() bool {
	return l.end != nil && l.end.ExitCode == 0
}

func (l *loop) details(how string) *rightsizerv1.CrashLoopDetails {
	d := &rightsizerv1.CrashLoopDetails{ContainerKind: l.c.Kind, RestartCount: l.c.RestartCount}
	if l.end != nil {
		d.LastExitCode = l.end.ExitCode
		d.LastReason = l.end.Reason
		if l.end.FinishedAt > 0 {
			d.LastFinishedTime = timestamppb.New(time.Unix(l.end.FinishedAt, 0))
		}
	}
	if how == "" && heldBack(l.c) {
		d.Backoff = durationpb.New(backoff(l.announced - l.row))
	}
	return d
}

// backoff is the kubelet's pause before the given restart of a row: none before
// the first, then 10 s doubled up to 5 min.
//
// Source: kubelet doBackOff, with flowcontrol.Backoff from 10 s to 5 min. A
// kubelet that is configured otherwise (crashLoopBackOff.maxContainerRestartPeriod)
// pauses less.
func backoff(restart int32) time.Duration {
	const first, most = 10 * time.Second, 5 * time.Minute
	if restart < 2 {
		return 0
	}
	if restart > 6 {
		return most
	}
	return first << (restart - 2)
}

func (l *loop) message(d *rightsizerv1.CrashLoopDetails) string {
	msg := subject(l.c, l.in.Cur) + " crash-loops: " + l.count()
	if l.end != nil {
		msg += fmt.Sprintf(", last end with exit code %d", l.end.ExitCode)
		if l.end.Reason != "" {
			msg += " (" + l.end.Reason + ")"
		}
		if lived, ok := l.end.Lifetime(); ok && l.end.FinishedAt > 0 {
			msg += " after " + span(lived)
		}
	}
	if d.Backoff != nil {
		msg += ", next start in about " + span(d.Backoff.AsDuration())
	}
	return msg
}

func (l *loop) count() string {
	if l.c.RestartCount == 0 {
		return "not restarted yet"
	}
	return "restarted " + times(l.c.RestartCount)
}
