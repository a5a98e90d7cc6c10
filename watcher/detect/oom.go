package detect

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	reasonOOMKilled = "OOMKilled"
	typeOOMKilled   = "pod.oom_killed"
)

// OOMKilled finds containers that the kernel's OOM killer ended. A kill shows
// in state.terminated at first and in lastState.terminated after the restart;
// where the first was never seen, the second alone tells. Exit code 137 alone
// is any SIGKILL and no OOM.
type OOMKilled struct{}

// Docs implements Detector.
func (OOMKilled) Docs() []Doc {
	return []Doc{{
		Type: typeOOMKilled,
		Severity: "error; critical where the workload serves and has no ready pod left, or from the third end in a row " +
			"(OOMCriticalKills); warning for an ephemeral container",
		Source: "`state.terminated` and `lastState.terminated` with reason OOMKilled, of app, init, sidecar and " +
			"ephemeral containers; the last status of a deleted pod",
		Details:  "OomKilledDetails",
		Resolves: point,
	}}
}

// Detect implements Detector.
func (OOMKilled) Detect(in *PodInput, out []Finding) []Finding {
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		// The older end first: in order per object.
		if c.Last != nil && c.Last.Reason == reasonOOMKilled {
			out = append(out, oomFinding(in, c, c.Last, c.LastAttempt()))
		}
		if t := c.State.Terminated; t != nil && t.Reason == reasonOOMKilled {
			out = append(out, oomFinding(in, c, t, c.RestartCount))
		}
	}
	return out
}

func oomFinding(in *PodInput, c *object.Container, t *object.Terminated, attempt int32) Finding {
	force := inForceAt(in, c, attempt)
	details := &rightsizerv1.OomKilledDetails{
		ContainerKind:      c.Kind,
		ExitCode:           t.ExitCode,
		Attempt:            attempt,
		MemoryLimitBytes:   force.Limits.MemoryBytes,
		MemoryRequestBytes: force.Requests.MemoryBytes,
	}
	if t.StartedAt > 0 {
		details.StartedTime = timestamppb.New(time.Unix(t.StartedAt, 0))
	}
	lived, known := t.Lifetime()
	if known && t.FinishedAt > 0 {
		details.Lifetime = durationpb.New(lived)
	}
	return Finding{
		Problem:   endOfContainer(typeOOMKilled, in, c, t, attempt),
		Type:      typeOOMKilled,
		Point:     true,
		Severity:  oomSeverity(in, c, attempt),
		Occurred:  t.FinishedAt,
		Container: c.Name,
		Kind:      c.Kind,
		Reason:    reasonOOMKilled,
		Message:   oomMessage(in.Cur, c, details),
		Details:   details,
	}
}

// inForceAt is what the container had as the attempt was killed. The status of
// an ended container shows what the next attempt will get, which a resize may
// already have changed, so that the last status in which the attempt was alive
// counts where it was seen.
func inForceAt(in *PodInput, c *object.Container, attempt int32) object.Allotment {
	if in.Prev != nil && in.Prev.UID == in.Cur.UID {
		before := in.Prev.Container(c.Kind, c.Name)
		if before != nil && before.State.Kind == object.Running && before.RestartCount == attempt {
			return before.InForce()
		}
	}
	return c.InForce()
}

func oomSeverity(in *PodInput, c *object.Container, attempt int32) rightsizerv1.Severity {
	switch {
	case c.Kind == rightsizerv1.ContainerKind_CONTAINER_KIND_EPHEMERAL:
		return rightsizerv1.Severity_SEVERITY_WARNING
	case in.Workload.down(),
		attempt+1-c.RowStart >= in.Thresholds.OOMCriticalKills:
		return rightsizerv1.Severity_SEVERITY_CRITICAL
	}
	return rightsizerv1.Severity_SEVERITY_ERROR
}

func oomMessage(pod *object.Pod, c *object.Container, d *rightsizerv1.OomKilledDetails) string {
	msg := subject(c, pod) + " was OOM-killed"
	if d.MemoryLimitBytes > 0 {
		msg += " at its " + memory(d.MemoryLimitBytes) + " limit"
	} else {
		msg += " without a memory limit of its own"
	}
	if d.Lifetime != nil {
		msg += " after " + span(d.Lifetime.AsDuration())
	}
	if d.Attempt > 0 {
		msg += fmt.Sprintf(" (restart %d)", d.Attempt)
	}
	return msg
}
