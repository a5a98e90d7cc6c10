package detect

import (
	"fmt"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typePodFailed = "pod.failed"

// PodFailed finds pods in phase Failed of which nothing more particular is told:
// no eviction, no OOM kill. A pod that is being deleted is none: a kubelet gives
// it that phase where a program answers SIGTERM with another code than 0.
type PodFailed struct{}

// Docs implements Detector.
func (PodFailed) Docs() []Doc {
	return []Doc{{
		Type:     typePodFailed,
		Severity: "error; warning for a pod of a Job, which may try again" + downRule,
		Source: "phase Failed that is neither an eviction nor an OOM kill: DeadlineExceeded, NodeLost, " +
			"UnexpectedAdmissionError, OutOfcpu ..., or a container that ended with an error; not while it is deleted",
		Details:  "PodFailedDetails",
		Resolves: point,
	}}
}

// Detect implements Detector.
func (PodFailed) Detect(in *PodInput, out []Finding) []Finding {
	pod := in.Cur
	if pod.Phase != object.PhaseFailed || pod.Deleting {
		return out
	}
	if _, ok := evicted(in); ok {
		return out
	}
	var culprit *object.Container
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if t := c.State.Terminated; t != nil && t.Reason == reasonOOMKilled {
			return out
		} else if t != nil && t.ExitCode != 0 && culprit == nil {
			culprit = c
		}
	}
	f := Finding{
		Problem:  Identify(typePodFailed, in.Cluster, pod.UID),
		Type:     typePodFailed,
		Point:    true,
		Severity: errored,
		Reason:   "Failed",
		Message:  "Pod " + pod.Name + " failed",
	}
	details := &rightsizerv1.PodFailedDetails{}
	if in.Workload.Kind == "Job" || in.Workload.Kind == "CronJob" {
		f.Severity = warning
	}
	f.Severity = downOr(in, f.Severity)
	if t := pod.Trouble; t != nil && t.Reason != "" {
		f.Reason, details.StatusReason = t.Reason, t.Reason
		f.Message += ": " + t.Reason
		if t.Message != "" {
			f.Message += ", " + sentence(t.Message)
		}
	}
	if culprit != nil {
		end := culprit.State.Terminated
		details.ExitCode, details.ContainerReason = end.ExitCode, end.Reason
		f.Container, f.Kind, f.Occurred = culprit.Name, culprit.Kind, end.FinishedAt
		f.Message += fmt.Sprintf("; container %s ended with exit code %d", culprit.Name, end.ExitCode)
	}
	f.Details = details
	return append(out, f)
}
