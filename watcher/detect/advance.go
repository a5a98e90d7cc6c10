package detect

import (
	"strings"
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Advance completes cur with what is remembered from prev: for each container
// the number of ends before its present row of short runs began (RowStart). A
// run of at least reset ends a row, by the kubelet's own rule. prev is nil
// where the pod is seen for the first time, or is another pod of that name. It
// writes to cur, which nobody else may have seen yet.
//
// It remembers as well that the pod was ready once, and the cause of a failed
// pull, which older kubelets do not repeat while they hold back the next one.
//
// A pod seen for the first time shows at most two of its ends. Its row is
// taken to reach back to its first start where the status says so: two short
// runs in a row, the kubelet holding back the restart or having done so
// before the present run, or a mean time between ends below reset. That gives
// a process that was restarted in the middle of a pod's first crash loop the
// same RowStart, and so the same problem id, as the process before it. In a
// later crash loop of the same container the ids differ, since nothing in the
// status says where it began.
func Advance(prev, cur *object.Pod, reset time.Duration) {
	if prev != nil && prev.UID != cur.UID {
		prev = nil
	}
	cur.WasReady = wasReady(prev, cur)
	keepToldSince(prev, cur)
	for i := range cur.Containers {
		c := &cur.Containers[i]
		if c.State.Reason == reasonImagePullBackOff && prev != nil {
			keepPullCause(prev, c)
		}
		if c.RestartCount == 0 && c.State.Terminated == nil && c.Last == nil {
			continue // Never ended: the row starts at 0.
		}
		var before *object.Container
		if prev != nil {
			before = prev.Container(c.Kind, c.Name)
		}
		// A count that falls is a node that lost its state: as if seen anew.
		if before == nil || c.RestartCount < before.RestartCount {
			c.RowStart = firstRow(cur, c, reset)
			continue
		}
		c.RowStart = nextRow(before, c, reset)
	}
}

// wasReady: a pod that is met while it waits to start was never ready; one that
// is met later may have been.
func wasReady(prev, cur *object.Pod) bool {
	if prev == nil {
		return cur.Phase != object.PhasePending && cur.Phase != ""
	}
	return prev.WasReady || prev.Ready
}

// keepToldSince: other numbers of the same main cause are no other problem.
func keepToldSince(prev, cur *object.Pod) {
	before, now := unscheduled(prev), unscheduled(cur)
	if before == nil || now == nil || before.Since != now.Since {
		return
	}
	was, is := parseVerdict(before.Message), parseVerdict(now.Message)
	if was.main() == is.main() {
		now.Told = before.Told
	}
}

func keepPullCause(prev *object.Pod, c *object.Container) {
	if c.State.Message != "" && !strings.HasPrefix(c.State.Message, object.PullHeldBack) {
		return
	}
	before := prev.Container(c.Kind, c.Name)
	if before == nil || before.Image != c.Image {
		return
	}
	switch before.State.Reason {
	case reasonErrImagePull, reasonImagePullBackOff, reasonRegistryUnavailable:
		c.State.Message = before.State.Message
	}
}

// firstRow is RowStart of a container without a past.
func firstRow(pod *object.Pod, c *object.Container, reset time.Duration) int32 {
	if t := c.State.Terminated; t != nil && long(t, reset) {
		return c.RestartCount
	}
	if c.Last == nil {
		return 0
	}
	if long(c.Last, reset) || !looksLikeRow(pod, c, reset) {
		return c.LastAttempt()
	}
	return 0
}

// looksLikeRow: see Advance.
func looksLikeRow(pod *object.Pod, c *object.Container, reset time.Duration) bool {
	// The kubelet pauses 10 s before any restart of a row but its first; the
	// API's times are cut to seconds.
	const pause = 9
	switch c.State.Kind {
	case object.Ended:
		return true
	case object.Waiting:
		if c.State.Reason == reasonCrashLoopBackOff {
			return true
		}
	case object.Running:
		if c.Last.FinishedAt > 0 && c.State.StartedAt-c.Last.FinishedAt >= pause {
			return true
		}
	}
	lived := c.Last.FinishedAt - pod.CreateTime
	return pod.CreateTime > 0 && lived >= 0 && lived/int64(c.Ends()) < int64(reset/time.Second)
}

// nextRow is RowStart of a container that was seen before. Ends that came and
// went between two statuses count as short.
func nextRow(before, c *object.Container, reset time.Duration) int32 {
	row := before.RowStart
	if c.Last != nil && !sameEnd(c.Last, before.Last) && !sameEnd(c.Last, before.State.Terminated) &&
		longSince(c.Last, before, reset) {
		row = c.LastAttempt()
	}
	if t := c.State.Terminated; t != nil && !sameEnd(t, before.State.Terminated) && longSince(t, before, reset) {
		row = c.RestartCount
	}
	return row
}

// sameEnd compares two forms of an end.
func sameEnd(a, b *object.Terminated) bool {
	return a != nil && b != nil && a.ContainerID == b.ContainerID && a.FinishedAt == b.FinishedAt
}

func long(t *object.Terminated, reset time.Duration) bool {
	lived, ok := t.Lifetime()
	return ok && lived >= reset
}

// longSince is long, with the start known from the status before where the end
// itself does not say (ContainerStatusUnknown carries no times).
func longSince(t *object.Terminated, before *object.Container, reset time.Duration) bool {
	if t.StartedAt == 0 && before.State.Kind == object.Running && before.State.StartedAt > 0 && t.FinishedAt > 0 {
		return t.FinishedAt-before.State.StartedAt >= int64(reset/time.Second)
	}
	return long(t, reset)
}
