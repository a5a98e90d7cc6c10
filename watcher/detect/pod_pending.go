package detect

import (
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typePending = "pod.pending"

// Pending finds pods that wait to start for a long time while nothing more
// particular is known. It comes last in the list: what was found before is more
// particular.
type Pending struct{}

// Docs implements Detector.
func (Pending) Docs() []Doc {
	return []Doc{{
		Type:     typePending,
		Severity: "warning" + downRule,
		Source: "phase Pending for 5 min (PendingAfter) in which nothing happened: since the pod was created or got its node, " +
			"since a container of it started or ended, or since Kubernetes Events of its start fell silent (EvidenceQuiet), while " +
			"no other problem of it is open; not at a scheduling gate",
		Details:  "PendingDetails",
		Resolves: "the start or the end of the pod, a node for it, a container that starts or ends, a more particular problem",
	}}
}

// Detect implements Detector.
func (Pending) Detect(in *PodInput, out []Finding) []Finding {
	pod := in.Cur
	if pod.Phase != object.PhasePending || in.Gone || pod.CreateTime == 0 {
		return out
	}
	if t := pod.Trouble; t != nil && t.Unscheduled != nil && t.Unscheduled.Reason == "SchedulingGated" {
		return out
	}
	for i := range out {
		if f := &out[i]; !f.Point && !f.Over && !f.Silent() {
			return out
		}
	}
	began := stillSince(in)
	if due := began + inSeconds(in.Thresholds.PendingAfter); in.Now.Unix() < due {
		return append(out, Finding{Wake: due})
	}
	details := &rightsizerv1.PendingDetails{
		Bound: pod.Node != "", Waited: since(pod.CreateTime, in.Now), WaitingFor: waitingFor(pod),
	}
	message := "Pod " + pod.Name + " waits to start for " + span(details.Waited.AsDuration())
	if details.Bound {
		message += " on node " + pod.Node
	} else {
		message += ", no node is chosen yet"
	}
	if details.WaitingFor != "" {
		message += ": " + details.WaitingFor
	}
	return append(out, Finding{
		Problem:  Identify(typePending, in.Cluster, pod.UID, unix(began)),
		Type:     typePending,
		Severity: downOr(in, warning),
		Occurred: began,
		Reason:   "Pending",
		Message:  message,
		Ending:   "Pod " + pod.Name + " does not wait to start for unknown reasons any more",
		Details:  details,
	})
}

// stillSince is when the last thing happened to a pod that has not started, as far
// as the API tells: whoever looks at it finds the same.
func stillSince(in *PodInput) int64 {
	pod := in.Cur
	last := max(pod.CreateTime, pod.BindTime)
	for i := range pod.Containers {
		c := &pod.Containers[i]
		last = max(last, c.State.StartedAt)
		for _, end := range []*object.Terminated{c.State.Terminated, c.Last} {
			if end != nil {
				last = max(last, end.FinishedAt)
			}
		}
	}
	for i := range in.Evidence {
		n := &in.Evidence[i]
		if end := n.Last + inSeconds(in.Thresholds.EvidenceQuiet); n.ofStart() && in.quiet(n) && !startedAfter(pod, n.Last) {
			last = max(last, end)
		}
	}
	return last
}

// ofStart says that the note tells what holds up the start of a pod.
func (n *Note) ofStart() bool {
	return n.Topic == topicMount || n.Topic == topicAttach || n.Topic == topicSandbox || n.Topic == topicNetwork
}

// waitingFor names the first container that has not started.
func waitingFor(pod *object.Pod) string {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		switch {
		case c.State.Kind == object.Waiting && c.State.Reason != "":
			return clip("container "+c.Name+" ("+c.State.Reason+")", 256)
		case c.State.Kind == object.Running && c.Kind == rightsizerv1.ContainerKind_CONTAINER_KIND_INIT:
			return "init container " + c.Name + " (running)"
		}
	}
	return ""
}
