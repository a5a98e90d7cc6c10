package detect

import (
	"strconv"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typeResize = "pod.resize."

// Resize follows changes of resources in place, one trail for each generation of
// the pod that asks for one.
//
// Source: KEP-1287, conditions PodResizePending (Deferred: the kubelet tries
// again; Infeasible: it never does) and PodResizeInProgress (reason Error where
// it failed), with the generation that they were made for.
type Resize struct{}

// Docs implements Detector.
func (Resize) Docs() []Doc {
	doc := func(step, severity, source, resolves string) Doc {
		return Doc{Type: typeResize + step, Severity: severity, Source: source, Details: "ResizeDetails", Resolves: resolves}
	}
	const over = "the end of the condition, another generation, the end or the deletion of the pod"
	return []Doc{
		doc("started", "info", "condition PodResizeInProgress", point),
		doc("deferred", "warning", "condition PodResizePending, reason Deferred: no room now", over),
		doc("infeasible", "error", "condition PodResizePending, reason Infeasible: never on this node", over),
		doc("failed", "error", "condition PodResizeInProgress, reason Error", over),
		doc("completed", "info", "the change from PodResizeInProgress, without an error and for this generation, to neither condition, or of what is in force to what is wanted, as it is seen", point),
	}
}

// Detect implements Detector.
func (Resize) Detect(in *PodInput, out []Finding) []Finding {
	if in.Cur.Ended() || in.Gone {
		return out
	}
	pending, progress := resizing(in.Cur)
	if progress != nil {
		f := resize(in, "started", progress, "Pod "+in.Cur.Name+" is resized in place")
		f.Point, f.Severity = true, info
		out = append(out, f)
		if progress.Reason == "Error" {
			out = append(out, resize(in, "failed", progress, "The resize of pod "+in.Cur.Name+" fails"))
		}
	}
	if pending != nil {
		switch pending.Reason {
		case "Infeasible":
			out = append(out, resize(in, "infeasible", pending, "The resize of pod "+in.Cur.Name+" is not possible on its node"))
		case "Deferred":
			f := resize(in, "deferred", pending, "The resize of pod "+in.Cur.Name+" waits for room on its node")
			f.Severity = warning
			out = append(out, f)
		}
	}
	if pending == nil && progress == nil && in.Prev != nil && in.Prev.UID == in.Cur.UID {
		if done := carriedOut(in); done != nil {
			f := resize(in, "completed", done, "Pod "+in.Cur.Name+" was resized in place")
			f.Point, f.Severity, f.Occurred = true, info, 0
			out = append(out, f)
		}
	}
	return out
}

// carriedOut is the condition of a resize that is done; nil where none is. That it
// shows no more is not enough of one that failed, or was of another generation: it
// may have been taken back.
func carriedOut(in *PodInput) *object.Condition {
	_, before := resizing(in.Prev)
	if before != nil && before.Reason != "Error" && (before.Generation == 0 || before.Generation == in.Cur.Generation) {
		return before
	}
	if actuated(in) {
		return &object.Condition{}
	}
	return nil
}

// actuated says that what is in force became what is wanted. Where a container
// is in back-off that is all that shows: nothing is running that a kubelet would
// have to resize, and it sets no condition.
func actuated(in *PodInput) bool {
	changed := false
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		wanted := object.Allotment{Requests: c.Requests, Limits: c.Limits}
		if c.InForce() != wanted {
			return false
		}
		before := in.Prev.Container(c.Kind, c.Name)
		if before != nil && before.InForce() != wanted && before.Actual != nil {
			changed = true
		}
	}
	return changed
}

// resizing are the conditions of a resize; nil where they do not hold.
func resizing(pod *object.Pod) (pending, progress *object.Condition) {
	if pod.Trouble == nil {
		return nil, nil
	}
	return pod.Trouble.ResizePending, pod.Trouble.ResizeInProgress
}

func resize(in *PodInput, step string, cond *object.Condition, message string) Finding {
	generation := cond.Generation
	if generation == 0 {
		generation = in.Cur.Generation
	}
	details := &rightsizerv1.ResizeDetails{
		Generation: generation, Containers: resized(in), Cause: clip(cond.Message, 512),
	}
	message += memoryChange(details.GetContainers())
	if cond.Message != "" && step != "completed" {
		message += ": " + sentence(cond.Message)
	}
	f := Finding{
		Problem:  Identify(typeResize+step, in.Cluster, in.Cur.UID, strconv.FormatInt(generation, 10)),
		Type:     typeResize + step,
		Severity: errored,
		Occurred: cond.Since,
		Reason: "Resize" + map[string]string{
			"started": "Started", "deferred": "Deferred", "infeasible": "Infeasible", "failed": "Error", "completed": "Completed",
		}[step],
		Message: message,
		Ending:  "The resize of pod " + in.Cur.Name + " is not " + step + " any more",
		Details: details,
	}
	return f
}

// resized lists the containers whose resources differ: wanted from those in
// force, or, once they are in force, from those before.
func resized(in *PodInput) []*rightsizerv1.ResizedContainer {
	var out []*rightsizerv1.ResizedContainer
	for i := range in.Cur.Containers {
		c := &in.Cur.Containers[i]
		actual := c.InForce()
		wanted := object.Allotment{Requests: c.Requests, Limits: c.Limits}
		if wanted == actual && in.Prev != nil {
			if before := in.Prev.Container(c.Kind, c.Name); before != nil {
				actual = before.InForce()
			}
		}
		if wanted == actual {
			continue
		}
		out = append(out, &rightsizerv1.ResizedContainer{
			Container:                c.Name,
			CpuRequestMillis:         wanted.Requests.CPUMillis,
			CpuLimitMillis:           wanted.Limits.CPUMillis,
			MemoryRequestBytes:       wanted.Requests.MemoryBytes,
			MemoryLimitBytes:         wanted.Limits.MemoryBytes,
			ActualCpuRequestMillis:   actual.Requests.CPUMillis,
			ActualCpuLimitMillis:     actual.Limits.CPUMillis,
			ActualMemoryRequestBytes: actual.Requests.MemoryBytes,
			ActualMemoryLimitBytes:   actual.Limits.MemoryBytes,
		})
	}
	return out
}

// memoryChange words the first change of a memory limit; empty without one.
func memoryChange(containers []*rightsizerv1.ResizedContainer) string {
	for _, c := range containers {
		if c.GetMemoryLimitBytes() != c.GetActualMemoryLimitBytes() {
			return ", " + c.GetContainer() + " from " + memory(c.GetActualMemoryLimitBytes()) + " to " +
				memory(c.GetMemoryLimitBytes()) + " of memory"
		}
	}
	return ""
}
