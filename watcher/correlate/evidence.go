package correlate

import (
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// lossOf says how a pod was lost: from the details, or where there are none from
// reason and message, in the words of the kubelet's eviction manager, the taint
// manager, the node lifecycle controller, the pod garbage collector and the graceful
// node shutdown.
func lossOf(ev *rightsizerv1.Event) loss {
	switch ev.GetEviction().GetCause() {
	case "":
	case "memory":
		return lossMemory
	case "taint", "node_shutdown", "node_lost":
		return lossNode
	default:
		return lossOther
	}
	switch ev.GetReason() {
	case "TaintManagerEviction", "DeletionByTaintManager", "DeletionByPodGC", "NodeLost", "NodeShutdown", "Shutdown", "NodeNotReady":
		return lossNode
	case "MemoryPressure":
		return lossMemory
	}
	text := strings.ToLower(ev.GetMessage())
	switch {
	case containsAny(text, "low on resource: memory", "memory pressure", "memorypressure"):
		return lossMemory
	case containsAny(text, "not-ready", "not ready", "unreachable", "node lost", "node shutdown", "node was shut", "taint"):
		return lossNode
	}
	return lossOther
}

func containsAny(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// imageOf is the image that could not be pulled, from the details, or what the
// kubelet quotes (`Failed to pull image "a/b:1"`); empty where neither says.
func imageOf(ev *rightsizerv1.Event) string {
	if image := ev.GetImagePull().GetImage(); image != "" {
		return image
	}
	_, rest, ok := strings.Cut(ev.GetMessage(), `image "`)
	if !ok {
		return ""
	}
	image, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return ""
	}
	return image
}

// quotaOf is the name of the quota, from the details, or from the API server's
// refusal (`exceeded quota: compute, requested: ...`); empty where neither says.
func quotaOf(ev *rightsizerv1.Event) string {
	if name := ev.GetRefused().GetRefusedBy(); name != "" {
		return name
	}
	_, rest, ok := strings.Cut(ev.GetMessage(), "exceeded quota: ")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, ",")
	return strings.TrimSpace(name)
}
