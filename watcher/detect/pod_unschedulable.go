package detect

import (
	"strconv"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeUnschedulable   = "pod.unschedulable."
	reasonUnschedulable = "Unschedulable"
)

// Unschedulable finds pods for which the scheduler finds no node, split by what
// it said. A pod that waits at a scheduling gate is not one of them.
type Unschedulable struct{}

// Docs implements Detector.
func (Unschedulable) Docs() []Doc {
	what := map[cause]string{
		causeResources: "too little CPU, memory, room for pods or devices",
		causeVolume:    "claims that are not bound, or volumes that are elsewhere",
		causeAffinity:  "node selector, node or pod affinity",
		causeTopology:  "topology spread constraints",
		causeTaint:     "taints that it does not tolerate, cordoned nodes",
		causePort:      "host ports that are taken",
		causeOther:     "anything else",
	}
	var out []Doc
	for _, c := range causes() {
		out = append(out, Doc{
			Type:     typeUnschedulable + string(c),
			Severity: "warning" + downRule,
			Source:   "PodScheduled=False, reason Unschedulable, for 10 s (UnschedulableAfter), mainly for " + what[c],
			Details:  "UnschedulableDetails",
			Resolves: "a node, another main cause, the deletion of the pod",
		})
	}
	return out
}

// Detect implements Detector.
func (Unschedulable) Detect(in *PodInput, out []Finding) []Finding {
	if was := unscheduled(in.Prev); was != nil && in.Cur.Node != "" && in.Prev.UID == in.Cur.UID {
		f := unschedulable(in, in.Prev, was)
		f.Over, f.Severity, f.Reason, f.Occurred = true, info, "Scheduled", 0
		f.Message = "Pod " + in.Cur.Name + " is scheduled to node " + in.Cur.Node
		return append(out, f)
	}
	cond := unscheduled(in.Cur)
	if cond == nil || in.Gone {
		return out
	}
	if due := sinceOf(in.Cur, cond) + inSeconds(in.Thresholds.UnschedulableAfter); in.Now.Unix() < due {
		return append(out, Finding{Wake: due})
	}
	return append(out, unschedulable(in, in.Cur, cond))
}

// unscheduled is the condition of a pod that the scheduler gave up on; nil
// where there is none.
func unscheduled(pod *object.Pod) *object.Condition {
	if pod == nil || pod.Trouble == nil || pod.Node != "" || pod.Ended() {
		return nil
	}
	if c := pod.Trouble.Unscheduled; c != nil && c.Reason == reasonUnschedulable {
		return c
	}
	return nil
}

// sinceOf is when a condition began, as far as known.
func sinceOf(pod *object.Pod, cond *object.Condition) int64 {
	if cond.Since > 0 {
		return cond.Since
	}
	return pod.CreateTime
}

func unschedulable(in *PodInput, pod *object.Pod, cond *object.Condition) Finding {
	v := parseVerdict(cond.Message)
	main, began := v.main(), sinceOf(pod, cond)
	typ := typeUnschedulable + string(main)
	details := &rightsizerv1.UnschedulableDetails{
		NodesTotal: v.nodes, Preemption: clip(v.preemption, 512), SinceTime: moment(began),
	}
	for _, r := range v.reasons {
		details.Causes = append(details.Causes, &rightsizerv1.UnschedulableCause{
			Cause: string(r.cause), Text: clip(r.text, 256), Nodes: r.nodes,
		})
	}
	message := "Pod " + pod.Name + " finds no node"
	if v.nodes > 0 {
		message += " among " + strconv.FormatInt(int64(v.nodes), 10)
	}
	if text := v.text(main); text != "" {
		message += ": " + text
	}
	return Finding{
		Problem:  Identify(typ, in.Cluster, pod.UID, unix(max(began, cond.Told))),
		Type:     typ,
		Severity: downOr(in, warning),
		Occurred: began,
		Reason:   reasonUnschedulable,
		Message:  message,
		Ending:   "The scheduler no longer gives " + string(main) + " as the main cause for pod " + pod.Name,
		Details:  details,
	}
}
