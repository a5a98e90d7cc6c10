package watcher_test

import (
	"fmt"
	"strconv"
	"strings"
)

// podThat is a pod of no workload: what its status says, and its node.
func podThat(node, status string) string {
	return fmt.Sprintf(`
metadata: {name: web, namespace: shop, uid: uweb, creationTimestamp: "2026-11-23T11:59:00Z"}
spec: {nodeName: %q, containers: [{name: app, image: "registry.example.com/web:1", resources: {limits: {memory: 256Mi}, requests: {memory: 256Mi}}}]}
status: {%s}
`, node, status)
}

// podWaits has a container that waits, for a reason and in the kubelet's words.
func podWaits(reason, message string) string {
	return podThat("n1", fmt.Sprintf(`phase: Pending, containerStatuses: [{name: app, state: {waiting: {reason: %s, message: %q}}}]`, reason, message))
}

// podRuns since 12:00:30, with other parts of its status.
func podRuns(ready bool, more string) string {
	return podThat("n1", fmt.Sprintf(`phase: Running, conditions: [{type: Ready, status: %q}], containerStatuses: [{name: app, ready: %t, %s
state: {running: {startedAt: "2026-11-23T12:00:30Z"}}}]`, strings.ToUpper(strconv.FormatBool(ready)[:1])+strconv.FormatBool(ready)[1:], ready, more))
}

// podEnded n times; it runs again since then.
func podEnded(n int, reason, at string) string {
	return podThat("n1", fmt.Sprintf(`phase: Running, containerStatuses: [{name: app, restartCount: %d, state: {running: {startedAt: "2026-11-23T%sZ"}},
lastState: {terminated: {reason: %s, exitCode: 137, containerID: "c%d", startedAt: "2026-11-23T12:00:30Z", finishedAt: "2026-11-23T%sZ"}}}]`, n, at, reason, n, at))
}

// podResizes under a condition, with so much memory in force.
func podResizes(condition, memory string) string {
	return podThat("n1", fmt.Sprintf(`phase: Running, conditions: [%s], containerStatuses: [{name: app, state: {running: {}},
resources: {limits: {memory: %s}, requests: {memory: %s}}}]`, condition, memory, memory))
}

// noNode is what a scheduler says of a pod that it finds no node for.
func noNode(verdict string) string {
	return podThat("", fmt.Sprintf(`phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable,
lastTransitionTime: "2026-11-23T11:59:01Z", message: %q}]`, verdict))
}

// heard is one Kubernetes Event of container app of the pod, said count times
// within the last half minute.
func heard(at, reason, message string, count int) string {
	return fmt.Sprintf(`
metadata: {name: web.%s, namespace: shop}
involvedObject: {kind: Pod, name: web, namespace: shop, uid: uweb, fieldPath: "spec.containers{app}"}
type: Warning
reason: %s
message: %q
count: %d
firstTimestamp: "2026-11-23T%sZ"
lastTimestamp: "2026-11-23T%sZ"
`, strings.ToLower(reason+strings.Fields(message)[0]), reason, message, count, at, at)
}

// opens tells that a status opens a problem and its end.
func opens(object, eventType string) story {
	return story{pods: true, moments: []moment{
		{at: "12:01:00", resource: "pods", object: object, want: []string{"OPENED " + eventType}},
		{at: "12:02:00", resource: "pods", object: podRuns(false, ""), want: []string{"RESOLVED " + eventType}},
	}}
}

// tells has a Kubernetes Event tell something of a pod.
func tells(object, event, want string) story {
	return story{pods: true, start: map[string][]string{"pods": {object}}, moments: []moment{
		{at: "12:01:00", resource: "events", object: event, want: []string{want}},
	}}
}

// podStories show every type of pods that is not measured. What befalls pods in
// turn, and the words of kubelets, schedulers and registries, have the scripts of
// package detect.
func podStories() map[string]story {
	const (
		pull      = `failed to resolve reference "registry.example.com/web:1": `
		pending   = `{type: PodResizePending, status: "True", reason: %s, lastTransitionTime: "2026-11-23T12:00:30Z"}`
		doing     = `{type: PodResizeInProgress, status: "True", lastTransitionTime: "2026-11-23T12:00:30Z"%s}`
		creating  = "ContainerCreating"
		noSandbox = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to "
	)
	out := map[string]story{
		"killed, again and again": {pods: true, moments: []moment{
			{at: "12:00:40", resource: "pods", object: podRuns(false, "")},
			{at: "12:01:00", resource: "pods", object: podEnded(1, "OOMKilled", "12:00:59"), want: []string{"POINT pod.oom_killed"}},
			{at: "12:02:00", resource: "pods", object: podEnded(2, "OOMKilled", "12:01:59"), want: []string{"POINT pod.oom_killed", "OPENED pod.crash_loop"}},
			{at: "12:12:00", want: []string{"RESOLVED pod.crash_loop"}},
		}},
		"ends by itself once": {pods: true, moments: []moment{
			{at: "12:00:40", resource: "pods", object: podRuns(false, "")},
			{at: "12:01:00", resource: "pods", object: podEnded(1, "Error", "12:00:59"), want: []string{"POINT pod.restarted"}},
		}},
		"is evicted": {pods: true, moments: []moment{{
			at: "12:01:00", resource: "pods", object: podThat("n1", `phase: Failed, reason: Evicted, message: "The node was low on resource: memory."`),
			want: []string{"POINT pod.evicted"}, said: []string{"Pod web was evicted from node n1 (memory)"},
		}}},
		"fails": {pods: true, moments: []moment{{
			at: "12:01:00", resource: "pods", object: podThat("n1", `phase: Failed, reason: OutOfcpu, message: "Node didn't have enough resource: cpu"`),
			want: []string{"POINT pod.failed"}, said: []string{"Pod web failed: OutOfcpu"},
		}}},
		"starts and goes": {pods: true, moments: []moment{
			{at: "12:01:00", resource: "pods", object: podWaits(creating, "")},
			{at: "12:01:10", resource: "pods", object: podRuns(true, ""), want: []string{"POINT pod.started"}},
			{at: "12:02:00", resource: "pods", object: podRuns(true, ""), deleted: true, want: []string{"POINT pod.terminated"}},
		}},
		"waits for nobody knows what": {pods: true, moments: []moment{
			{at: "12:01:00", resource: "pods", object: podWaits(creating, "")},
			{at: "12:03:59"},
			{at: "12:04:00", want: []string{"OPENED pod.pending"}, said: []string{"Pod web waits to start for 5 min on node n1: container app (ContainerCreating)"}},
			{at: "12:05:00", resource: "pods", object: podRuns(false, ""), want: []string{"RESOLVED pod.pending"}},
		}},
		"is resized": {pods: true, moments: []moment{
			{at: "12:00:10", resource: "pods", object: podResizes("", "128Mi")},
			{at: "12:00:40", resource: "pods", object: podResizes(fmt.Sprintf(doing, ""), "128Mi"), want: []string{"POINT pod.resize.started"}},
			{at: "12:00:50", resource: "pods", object: podResizes("", "256Mi"), want: []string{"POINT pod.resize.completed"}},
		}},
		"cannot be resized": {pods: true, moments: []moment{
			{at: "12:00:10", resource: "pods", object: podResizes("", "128Mi")},
			{at: "12:00:40", resource: "pods", object: podResizes(fmt.Sprintf(pending, "Deferred"), "128Mi"), want: []string{"OPENED pod.resize.deferred"}},
			{
				at: "12:00:50", resource: "pods", object: podResizes(fmt.Sprintf(pending, "Infeasible"), "128Mi"),
				want: []string{"OPENED pod.resize.infeasible", "RESOLVED pod.resize.deferred"},
			},
		}},
		"a resize fails": {pods: true, moments: []moment{
			{at: "12:00:10", resource: "pods", object: podResizes("", "128Mi")},
			{
				at: "12:00:40", resource: "pods", object: podResizes(fmt.Sprintf(doing, `, reason: Error, message: "the runtime refuses"`), "128Mi"),
				want: []string{"POINT pod.resize.started", "OPENED pod.resize.failed"},
			},
		}},

		"an image that is not there":      opens(podWaits("ErrImagePull", pull+"not found"), "pod.image_pull.not_found"),
		"an image that asks who we are":   opens(podWaits("ErrImagePull", pull+"failed to authorize: unexpected status: 401 Unauthorized"), "pod.image_pull.unauthorized"),
		"a registry that is away":         opens(podWaits("ErrImagePull", pull+"dial tcp: lookup registry.example.com: no such host"), "pod.image_pull.unavailable"),
		"an image that is no name":        opens(podWaits("InvalidImageName", "invalid reference format"), "pod.image_pull.invalid_name"),
		"an image that is never pulled":   opens(podWaits("ErrImageNeverPull", "not present with pull policy of Never"), "pod.image_pull.other"),
		"a ConfigMap that is not there":   opens(podWaits("CreateContainerConfigError", `configmap "settings" not found`), "pod.config_error"),
		"no network":                      tells(podWaits(creating, ""), heard("12:00:59", "FailedCreatePodSandBox", noSandbox+"setup network", 1), "OPENED pod.network_failed"),
		"no sandbox":                      tells(podWaits(creating, ""), heard("12:00:59", "FailedCreatePodSandBox", noSandbox+"create task: no space left", 1), "OPENED pod.sandbox_failed"),
		"a volume that is elsewhere":      tells(podWaits(creating, ""), heard("12:00:59", "FailedAttachVolume", `Multi-Attach error for volume "data"`, 1), "OPENED pod.volume.attach_failed"),
		"a volume that cannot be mounted": tells(podWaits(creating, ""), heard("12:00:59", "FailedMount", `MountVolume.SetUp failed for volume "data"`, 1), "OPENED pod.volume.mount_failed"),
		"too many name servers":           tells(podRuns(true, ""), heard("12:00:59", "DNSConfigForming", "Nameserver limits were exceeded", 1), "POINT pod.dns_failed"),
		"a probe that cannot be":          tells(podRuns(false, ""), heard("12:00:59", "Unhealthy", "Liveness probe errored and resulted in unknown state: no such file", 3), "OPENED pod.probe_errored"),
	}
	for _, kind := range []string{"liveness", "readiness", "startup"} {
		out["a "+kind+" probe"] = tells(podRuns(false, ""), heard("12:00:59", "Unhealthy", strings.ToUpper(kind[:1])+kind[1:]+" probe failed: EOF", 3), "OPENED pod.probe_failed."+kind)
	}
	for cause, verdict := range map[string]string{
		"resources": "3 Insufficient cpu.",
		"volume":    "pod has unbound immediate PersistentVolumeClaims. not found",
		"affinity":  "3 node(s) didn't match Pod's node affinity/selector.",
		"topology":  "3 node(s) didn't match pod topology spread constraints.",
		"taint":     "3 node(s) had untolerated taint(s).",
		"port":      "3 node(s) didn't have free ports for the requested pod ports.",
		"other":     "3 node(s) were of another mind.",
	} {
		out["no node for "+cause] = opens(noNode("0/3 nodes are available: "+verdict), "pod.unschedulable."+cause)
	}
	return out
}
