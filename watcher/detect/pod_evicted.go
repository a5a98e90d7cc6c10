package detect

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeEvicted = "pod.evicted"

	topicEviction Topic = "eviction"
)

// Evicted finds pods that were taken off their node: by the kubelet for want of
// a resource, by the scheduler for a more important pod, for a taint, or
// through the eviction API.
type Evicted struct{}

// Docs implements Detector.
func (Evicted) Docs() []Doc {
	return []Doc{{
		Type: typeEvicted,
		Severity: "error where the node ran short of memory, disk or process ids; warning for other causes" +
			downRule,
		Source: "phase Failed with reason Evicted, Preempting, Terminated or NodeShutdown; condition DisruptionTarget; " +
			"Kubernetes Events Evicted, Preempting, Preempted, TaintManagerEviction",
		Details:  "EvictionDetails",
		Resolves: point,
	}}
}

// eviction is who took the pod off, and why.
type eviction struct {
	cause, reason, text string
	at                  int64
}

// Detect implements Detector.
func (Evicted) Detect(in *PodInput, out []Finding) []Finding {
	e, ok := evicted(in)
	if !ok {
		return out
	}
	severity := downOr(in, warning)
	switch e.cause {
	case "memory", "disk", "pid", "ephemeral_storage":
		severity = downOr(in, errored)
	}
	message := "Pod " + in.Cur.Name + " was evicted"
	if in.Cur.Node != "" {
		message += " from node " + in.Cur.Node
	}
	message += " (" + strings.ReplaceAll(e.cause, "_", " ") + ")"
	if e.text != "" {
		message += ": " + sentence(e.text)
	}
	return append(out, Finding{
		// A pod is evicted once, however many say so.
		Problem:  Identify(typeEvicted, in.Cluster, in.Cur.UID),
		Type:     typeEvicted,
		Point:    true,
		Recurs:   true, // The condition is taken back where an eviction does not come about.
		Severity: severity,
		Occurred: e.at,
		Reason:   e.reason,
		Message:  message,
		Details:  &rightsizerv1.EvictionDetails{Cause: e.cause, Text: clip(e.text, 512)},
	})
}

// evicted reads the condition first, which says most, then the status of a pod
// that failed, then what Kubernetes Events said.
func evicted(in *PodInput) (eviction, bool) {
	if t := in.Cur.Trouble; t != nil {
		if d := t.Disruption; d != nil {
			return eviction{cause: disruptionCause(d), reason: d.Reason, text: d.Message, at: d.Since}, true
		}
		if cause := statusCause(in.Cur); cause != "" {
			return eviction{cause: cause, reason: t.Reason, text: t.Message}, true
		}
	}
	if n := in.Evidence.Find(topicEviction, ""); n != nil {
		e := eviction{cause: "other", reason: n.Reason, text: n.Message, at: n.First}
		switch n.Reason {
		case "TaintManagerEviction":
			e.cause = "taint"
		case "Preempted", "Preempting":
			e.cause = "preemption"
		case "Evicted":
			e.cause = shortage(n.Message)
		}
		return e, true
	}
	return eviction{}, false
}

func disruptionCause(d *object.Condition) string {
	switch d.Reason {
	case "PreemptionByScheduler":
		return "preemption"
	case "DeletionByTaintManager", "DeletionByDeviceTaintManager":
		return "taint"
	case "DeletionByPodGC": // `PodGC: node no longer exists` is all that it says so.
		return "node_lost"
	case "EvictionByEvictionAPI":
		return "api"
	case "TerminationByKubelet":
		switch {
		case strings.Contains(d.Message, "shutdown"):
			return "node_shutdown"
		case strings.Contains(d.Message, "admit critical pod"):
			return "preemption"
		}
		return shortage(d.Message)
	}
	return "other"
}

// statusCause is empty where the status tells of no eviction.
func statusCause(pod *object.Pod) string {
	if pod.Phase != object.PhaseFailed || pod.Trouble == nil {
		return ""
	}
	switch pod.Trouble.Reason {
	case "Evicted":
		return shortage(pod.Trouble.Message)
	case "Preempting":
		return "preemption"
	case "Terminated", "NodeShutdown", "Shutdown":
		return "node_shutdown"
	}
	return ""
}

// shortage reads what the kubelet says that the node is short of.
//
// Source: pkg/kubelet/eviction/helpers.go: `The node was low on resource:
// memory. `, `The node had condition: [DiskPressure]. `, `Usage of EmptyDir
// volume ...`.
func shortage(message string) string {
	text := strings.ToLower(message)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("emptydir", "ephemeral local storage", "local ephemeral storage limit"):
		return "ephemeral_storage"
	case has("low on resource: memory", "memorypressure", "memory.available"):
		return "memory"
	case has("ephemeral-storage", "diskpressure", "inodes", "nodefs", "imagefs", "containerfs"):
		return "disk"
	case has("low on resource: pids", "pidpressure", "pid.available"):
		return "pid"
	}
	return "other"
}
