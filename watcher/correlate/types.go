package correlate

import (
	"slices"
	"strings"
)

// Types that the rules know by name; watcher/README.md documents them.
const (
	typeNotReady       = "node.not_ready"
	typeNodeRemoved    = "node.removed"
	typeRebooted       = "node.rebooted"
	typeMemoryPressure = "node.pressure.memory"
	typeSystemOOM      = "node.system_oom"
	typeNodeFull       = "node.full"
	typeQuota          = "quota.exceeded"
	typeOOMKilled      = "pod.oom_killed"
	typeCrashLoop      = "pod.crash_loop"
	typeRestarted      = "pod.restarted"
	typeEvicted        = "pod.evicted"
	typePodFailed      = "pod.failed"
	typePending        = "pod.pending"
	typeNoResources    = "pod.unschedulable.resources"
	typeStuck          = "deployment.stuck"
	typeJobFailed      = "job.failed"
	typePDBBlocking    = "pdb.blocking"

	prefixImage = "pod.image_pull."

	anyUnschedulable = "pod.unschedulable.*"
	anyImagePull     = prefixImage + "*"
	anyProbe         = "pod.probe_*"
	anyVolume        = "pod.volume.*"
	anyHPA           = "hpa.*"
)

// Groups of types. Wildcards would take pod.image_pull.unavailable along.
var (
	rolloutStarted = []string{"deployment.rollout_started", "statefulset.rollout_started", "daemonset.rollout_started"}
	unavailable    = []string{"deployment.unavailable", "statefulset.unavailable", "daemonset.unavailable"}
	// aftermath is what a workload that lost pods may show.
	aftermath = types(unavailable, anyUnschedulable, typePending, typeStuck, anyHPA, typePDBBlocking)
)

func types(group []string, more ...string) []string { return slices.Concat(group, more) }

// tier is how far down the way from cause to effect a type stands. Links lead
// from a lower tier to a higher one, or within a tier from the older problem to
// the younger.
func tier(typ string) uint8 {
	switch typ {
	case typeNotReady, typeNodeRemoved:
		return 0
	case typeRebooted:
		return 1
	case typeSystemOOM:
		return 3
	case typeQuota, "limitrange.refused", "admission.refused":
		return 4
	case typeOOMKilled:
		return 5
	case typeRestarted:
		return 7
	case typeCrashLoop:
		return 8
	case typePending:
		return 9
	case typeStuck, typeJobFailed:
		return 10
	}
	switch {
	case strings.HasPrefix(typ, "node."):
		return 2
	case slices.Contains(rolloutStarted, typ):
		return 3
	case strings.HasPrefix(typ, "pod.unschedulable."):
		return 9
	case slices.Contains(unavailable, typ):
		return 10
	case strings.HasPrefix(typ, "hpa."), strings.HasPrefix(typ, "pdb."):
		return 11
	}
	return 6
}
