package detect_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/watcher/detect"
)

// unscheduledPod as the scheduler leaves it.
func unscheduledPod(message string) string {
	return fmt.Sprintf(`
spec: {containers: [{name: app, image: web:1}]}
status:
  phase: Pending
  conditions:
  - {type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2026-11-23T12:00:01Z", message: %q}
`, message)
}

// waitingPod is bound, its container waits.
func waitingPod(reason, message string) string {
	return fmt.Sprintf(`
spec: {nodeName: n1, containers: [{name: app, image: "registry.example.com/web:1"}]}
status:
  phase: Pending
  conditions: [{type: PodScheduled, status: "True"}, {type: Ready, status: "False"}]
  containerStatuses: [{name: app, state: {waiting: {reason: %s, message: %q}}}]
`, reason, message)
}

// boundPod got its node at a time of day, and waits.
func boundPod(at string) string {
	return strings.Replace(waitingPod("ContainerCreating", ""), `status: "True"`, `status: "True", lastTransitionTime: "2026-11-23T`+at+`Z"`, 1)
}

// initPod waits for its init container, which is in a state.
func initPod(state string) string {
	return fmt.Sprintf(`
spec: {nodeName: n1, initContainers: [{name: prepare, image: prepare}], containers: [{name: app, image: web}]}
status:
  phase: Pending
  initContainerStatuses: [{name: prepare, state: {%s}}]
  containerStatuses: [{name: app, state: {waiting: {reason: PodInitializing}}}]
`, state)
}

// runningPod runs since a time of day.
func runningPod(since string, ready bool) string {
	return fmt.Sprintf(`
spec: {nodeName: n1, containers: [{name: app, image: "registry.example.com/web:1"}]}
status:
  phase: Running
  conditions: [{type: PodScheduled, status: "True"}, {type: Ready, status: %q}]
  containerStatuses: [{name: app, ready: %t, state: {running: {startedAt: "2026-11-23T%sZ"}}}]
`, map[bool]string{true: "True", false: "False"}[ready], ready, since)
}

// targeted runs, and its eviction through the API is under way or was taken back.
func targeted(status string) string {
	return strings.Replace(runningPod("12:00:01", true), "conditions: [", `conditions: [{type: DisruptionTarget, status: "`+status+
		`", reason: EvictionByEvictionAPI, message: "Eviction API: evicting", lastTransitionTime: "2026-11-23T12:01:00Z"}, `, 1)
}

// said is a Kubernetes Event in the kubelet's form.
func said(reason, message, first, last string, count int) string {
	return fmt.Sprintf(`{reason: %s, message: %q, count: %d, firstTimestamp: "2026-11-23T%sZ", lastTimestamp: "2026-11-23T%sZ",
  involvedObject: {kind: Pod, uid: u1, namespace: shop, name: web-1, fieldPath: "spec.containers{app}"}}`,
		reason, message, count, first, last)
}

const (
	noCPU      = `0/5 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/memory-pressure: }, 4 Insufficient cpu. preemption: 0/5 nodes are available: 1 Preemption is not helpful for scheduling, 4 No preemption victims found for incoming pod.`
	noLabel    = `0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector. preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.`
	evictedFor = `The node was low on resource: memory. Threshold quantity: 100Mi, available: 61Mi. Container app was using 6800Mi, request is 256Mi, has larger consumption of memory. `
)

// scripts show every type of pod events at least once, with its end.
func scripts() map[string][]step {
	cni := `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "3f1c": plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized`
	resizing := func(generation int, condition, limit string) string {
		return fmt.Sprintf(`
spec: {nodeName: n1, containers: [{name: app, image: web:1, resources: {limits: {memory: 256Mi}, requests: {memory: 256Mi}}}]}
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}, %s]
  containerStatuses: [{name: app, ready: true, state: {running: {startedAt: "2026-11-23T11:00:00Z"}}, resources: {limits: {memory: %s}, requests: {memory: %s}}}]
`, strings.ReplaceAll(condition, "GEN", strconv.Itoa(generation)), limit, limit)
	}
	tookBack := func(generation int, condition string) string {
		return strings.ReplaceAll(resizing(generation, condition, "128Mi"), "256Mi", "128Mi")
	}
	out := map[string][]step{
		"a short wait for a node is no event": {
			{at: "12:00:02", pod: unscheduledPod(noCPU)},
			{at: "12:00:09", pod: waitingPod("ContainerCreating", "")},
			{at: "12:00:20", pod: runningPod("12:00:20", false)},
			{at: "12:00:25", pod: runningPod("12:00:20", true), want: []string{"POINT pod.started"}},
			{at: "12:00:30", pod: runningPod("12:00:20", false)},
			{at: "12:00:35", pod: runningPod("12:00:20", true)},
			{at: "13:00:00", gone: true, want: []string{"POINT pod.terminated"}, said: []string{"was deleted 1 h after its creation"}},
		},
		"no cpu, then no node of that kind, then scheduled": {
			{at: "12:00:02", pod: unscheduledPod(noCPU)},
			{at: "12:00:11", want: []string{"OPENED pod.unschedulable.resources"}, said: []string{"finds no node among 5: 4 Insufficient cpu, 1 node(s) had untolerated taint"}},
			{at: "12:01:00", pod: unscheduledPod(noLabel), want: []string{"OPENED pod.unschedulable.affinity", "RESOLVED pod.unschedulable.resources"}},
			{at: "12:02:00", pod: unscheduledPod(noCPU), want: []string{"OPENED pod.unschedulable.resources", "RESOLVED pod.unschedulable.affinity"}},
			{
				at: "12:06:00", pod: boundPod("12:06:00"), want: []string{"RESOLVED pod.unschedulable.resources"},
				said: []string{"is scheduled to node n1"},
			},
			{at: "12:10:59"},
			{
				at: "12:11:00", want: []string{"OPENED pod.pending"},
				said: []string{"waits to start for 11 min on node n1: container app (ContainerCreating)"},
			},
			{at: "12:17:00", pod: runningPod("12:06:59", false), want: []string{"RESOLVED pod.pending"}},
		},
		"a gate is no problem": {
			{at: "13:00:00", pod: `{spec: {containers: [{name: app}]}, status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated}]}}`},
		},
		"image pulls and what the registry says": {
			{at: "12:00:05", pod: waitingPod("ErrImagePull", `failed to pull and unpack image "registry.example.com/web:1": failed to resolve reference "registry.example.com/web:1": registry.example.com/web:1: not found`), want: []string{"OPENED pod.image_pull.not_found"}},
			{at: "12:00:20", pod: waitingPod("ImagePullBackOff", `Back-off pulling image "registry.example.com/web:1": ErrImagePull: failed to resolve reference: not found`)},
			{at: "12:00:30", pod: waitingPod("ImagePullBackOff", `Back-off pulling image "registry.example.com/web:1"`)},
			{at: "12:00:35", pod: waitingPod("ErrImagePull", `failed to resolve reference "registry.example.com/web:1": failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized`), want: []string{"OPENED pod.image_pull.unauthorized", "RESOLVED pod.image_pull.not_found"}},
			{at: "12:00:50", pod: waitingPod("ErrImagePull", `failed to do request: Head "https://registry.example.com/v2/web/manifests/1": dial tcp: lookup registry.example.com on 10.0.0.2:53: no such host`), want: []string{"OPENED pod.image_pull.unavailable", "RESOLVED pod.image_pull.unauthorized"}},
			{at: "12:01:00", pod: waitingPod("ErrImageNeverPull", `Container image "web:1" is not present with pull policy of Never`), want: []string{"OPENED pod.image_pull.other", "RESOLVED pod.image_pull.unavailable"}},
			{at: "12:01:10", pod: waitingPod("InvalidImageName", `Failed to apply default image tag "Web:1": couldn't parse image name "Web:1": invalid reference format: repository name (library/Web) must be lowercase`), want: []string{"OPENED pod.image_pull.invalid_name", "RESOLVED pod.image_pull.other"}},
			{at: "12:01:20", pod: runningPod("12:01:19", false), want: []string{"RESOLVED pod.image_pull.invalid_name"}},
		},
		"a Secret without the key": {
			{at: "12:00:05", pod: waitingPod("CreateContainerConfigError", `couldn't find key password in Secret shop/database`), want: []string{"OPENED pod.config_error"}, said: []string{"Secret database has no key password"}},
			{at: "12:00:25", pod: runningPod("12:00:24", false), want: []string{"RESOLVED pod.config_error"}},
		},
		"a program that is not there": {
			{at: "12:00:05", pod: waitingPod("RunContainerError", `failed to create containerd task: exec: "/absent": stat /absent: no such file or directory`), want: []string{"OPENED pod.config_error"}, said: []string{"cannot be started: failed to create containerd task"}},
			{at: "12:00:06", pod: `{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Pending, containerStatuses: [{name: app, state: {terminated: {reason: StartError, exitCode: 128, finishedAt: "2026-11-23T12:00:05Z"}}}]}}`},
			{at: "12:00:07", pod: waitingPod("RunContainerError", "again")},
			{at: "12:00:20", pod: runningPod("12:00:20", false), want: []string{"RESOLVED pod.config_error"}},
		},
		"volumes": {
			{at: "12:00:05", pod: waitingPod("ContainerCreating", ""), events: []string{said("FailedAttachVolume", `Multi-Attach error for volume "pvc-77" Volume is already used by pod(s) web-0`, "12:00:05", "12:00:05", 1)}, want: []string{"OPENED pod.volume.attach_failed"}, said: []string{"pvc-77"}},
			{at: "12:02:05", events: []string{said("FailedMount", `Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[]: context deadline exceeded`, "12:02:05", "12:02:05", 1)}, want: []string{"OPENED pod.volume.mount_failed"}, said: []string{"cannot mount a volume, data: Unable"}},
			{at: "12:12:04", want: []string{"RESOLVED pod.volume.attach_failed"}},
			{at: "12:12:05", want: []string{"RESOLVED pod.volume.mount_failed"}},
			{at: "12:17:04"},
			{at: "12:17:05", want: []string{"OPENED pod.pending"}},
			{at: "12:18:00", events: []string{said("FailedMount", `MountVolume.SetUp failed for volume "settings" : configmap "settings" not found`, "12:18:00", "12:18:00", 1)}, want: []string{"OPENED pod.volume.mount_failed", "RESOLVED pod.pending"}},
			{at: "12:28:00", want: []string{"RESOLVED pod.volume.mount_failed"}},
			{at: "12:33:00", want: []string{"OPENED pod.pending"}},
			{at: "12:33:10", pod: runningPod("12:33:09", false), want: []string{"RESOLVED pod.pending"}},
		},
		"init containers that work are no wait": {
			{at: "12:00:05", pod: initPod(`running: {startedAt: "2026-11-23T12:00:05Z"}`)},
			{at: "12:04:00", pod: initPod(`terminated: {reason: Completed, exitCode: 0, startedAt: "2026-11-23T12:00:05Z", finishedAt: "2026-11-23T12:04:00Z"}`)},
			{at: "12:08:59"},
			{at: "12:09:00", want: []string{"OPENED pod.pending"}, said: []string{"waits to start for 9 min on node n1: container app (PodInitializing)"}},
			{at: "12:09:05", gone: true, want: []string{"POINT pod.terminated", "RESOLVED pod.pending"}},
		},
		"sandbox and network": {
			{at: "12:00:05", pod: waitingPod("ContainerCreating", ""), events: []string{said("FailedCreatePodSandBox", cni, "12:00:05", "12:00:05", 1)}, want: []string{"OPENED pod.network_failed"}},
			{at: "12:00:06", events: []string{said("FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: no space left on device`, "12:00:06", "12:00:06", 1)}, want: []string{"OPENED pod.sandbox_failed"}},
			{at: "12:00:10", pod: runningPod("12:00:09", false), want: []string{"RESOLVED pod.network_failed", "RESOLVED pod.sandbox_failed"}},
		},
		"an eviction that is taken back, and another": {
			{at: "12:01:00", pod: targeted("True"), want: []string{"POINT pod.evicted"}},
			{at: "12:03:00", pod: targeted("False")},
			{at: "12:05:00", pod: targeted("True")},
			{at: "12:05:01", pod: targeted("True")},
		},
		"a probe that fails once an hour is no problem": {
			{at: "12:00:05", pod: runningPod("12:00:01", true), events: []string{said("Unhealthy", "Readiness probe failed: EOF", "12:00:05", "12:00:05", 1)}},
			{at: "13:00:05", events: []string{said("Unhealthy", "Readiness probe failed: EOF", "12:00:05", "13:00:05", 2)}},
			{at: "14:00:05", events: []string{said("Unhealthy", "Readiness probe failed: EOF", "12:00:05", "14:00:05", 3)}},
			{at: "14:00:25", events: []string{said("Unhealthy", "Readiness probe failed: EOF", "12:00:05", "14:00:25", 5)}, want: []string{"OPENED pod.probe_failed.readiness"}},
			{at: "14:06:25", want: []string{"RESOLVED pod.probe_failed.readiness"}},
		},
		"a failure in other words each time is one problem": {
			{at: "12:01:00", pod: runningPod("12:00:01", false), events: []string{
				said("Unhealthy", `Startup probe failed: failed to start exec "a22e"`, "12:01:00", "12:01:00", 1),
				said("Unhealthy", `Startup probe failed: failed to start exec "b33f"`, "12:01:03", "12:01:03", 1),
				said("Unhealthy", `Startup probe failed: failed to start exec "c440"`, "12:01:06", "12:01:06", 1),
			}, want: []string{"OPENED pod.probe_failed.startup"}},
			{at: "12:01:09", events: []string{said("Unhealthy", `(combined from similar events): Startup probe failed: failed to start exec "d551"`, "12:01:09", "12:01:09", 1)}},
		},
		"met in the middle, by the kubelet's count": {
			{at: "14:00:05", pod: runningPod("12:00:01", false), events: []string{said("Unhealthy", "Readiness probe failed: EOF", "12:00:05", "14:00:05", 400)}, want: []string{"OPENED pod.probe_failed.readiness"}},
			{at: "14:00:06", gone: true, want: []string{"POINT pod.terminated", "RESOLVED pod.probe_failed.readiness"}},
		},
		"DNS": {
			{at: "12:00:05", pod: runningPod("12:00:01", true), events: []string{said("DNSConfigForming", `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3`, "12:00:05", "12:00:05", 1)}, want: []string{"POINT pod.dns_failed"}},
			{at: "12:00:35", events: []string{said("DNSConfigForming", `Nameserver limits were exceeded`, "12:00:05", "12:00:35", 2)}},
		},
		"an eviction is told once, whoever tells": {
			{at: "12:00:05", pod: runningPod("12:00:01", true), events: []string{said("Evicted", evictedFor, "12:00:05", "12:00:05", 1)}, want: []string{"POINT pod.evicted"}, said: []string{"was evicted from node n1 (memory): The node was low on resource: memory"}},
			{at: "12:00:06", pod: fmt.Sprintf(`{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Failed, reason: Evicted, message: %q, conditions: [{type: DisruptionTarget, status: "True", reason: TerminationByKubelet, message: %q}]}}`, evictedFor, evictedFor)},
			{at: "12:00:09", gone: true},
		},
		"a pod fails": {
			{at: "12:00:05", pod: `{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Failed, reason: OutOfcpu, message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 1800, capacity: 1930"}}`, want: []string{"POINT pod.failed"}, said: []string{"web-1 failed: OutOfcpu, Pod was rejected"}},
			{at: "12:00:09", gone: true},
		},
		// As a kubelet does it, see real-node-others.jsonl.gz.
		"a pod is deleted, and its program answers with an error": {
			{at: "12:00:05", pod: runningPod("12:00:01", false)},
			{at: "12:01:01", deleting: true, pod: `{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Failed, containerStatuses: [{name: app, state: {terminated: {reason: Error, exitCode: 2, finishedAt: "2026-11-23T12:01:01Z"}}}]}}`, want: []string{"POINT pod.terminated"}, said: []string{"was deleted"}},
			{at: "12:01:02", gone: true},
		},
		"a pod is deleted, and its program ends well": {
			{at: "12:00:05", pod: runningPod("12:00:01", false)},
			{at: "12:01:01", deleting: true, pod: `{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Succeeded, containerStatuses: [{name: app, state: {terminated: {reason: Completed, exitCode: 0, finishedAt: "2026-11-23T12:01:01Z"}}}]}}`, want: []string{"POINT pod.terminated"}, said: []string{"was deleted"}},
			{at: "12:01:02", gone: true},
		},
		"a Job's pod completes": {
			{at: "12:00:05", pod: runningPod("12:00:01", false)},
			{at: "12:00:15", pod: `{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Succeeded}}`, want: []string{"POINT pod.terminated"}, said: []string{"completed 15 s after its creation"}},
			{at: "12:01:00", gone: true},
		},
		"one restart": {
			{at: "12:00:05", pod: runningPod("12:00:01", false)},
			{at: "12:00:15", pod: `{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Running, containerStatuses: [{name: app, restartCount: 1, state: {running: {startedAt: "2026-11-23T12:00:14Z"}}, lastState: {terminated: {reason: Error, exitCode: 1, startedAt: "2026-11-23T12:00:01Z", finishedAt: "2026-11-23T12:00:13Z"}}}]}}`, want: []string{"POINT pod.restarted"}, said: []string{"restarted after it ended with exit code 1 (Error), having run for 12 s"}},
			{at: "12:00:30", pod: `{spec: {nodeName: n1, containers: [{name: app}]}, status: {phase: Running, containerStatuses: [{name: app, restartCount: 2, state: {running: {startedAt: "2026-11-23T12:00:29Z"}}, lastState: {terminated: {reason: OOMKilled, exitCode: 137, startedAt: "2026-11-23T12:00:14Z", finishedAt: "2026-11-23T12:00:28Z"}}}]}}`, want: []string{"POINT pod.oom_killed", "OPENED pod.crash_loop"}},
			{at: "12:10:29", want: []string{"RESOLVED pod.crash_loop"}},
		},
		// No condition shows, see real-node.jsonl.gz.
		"a resize in back-off": {
			{at: "12:00:05", pod: resizing(2, `{type: PodScheduled, status: "True"}`, "128Mi")},
			{at: "12:00:06", pod: resizing(2, `{type: PodScheduled, status: "True"}`, "256Mi"), want: []string{"POINT pod.resize.completed"}, said: []string{"was resized in place, app from 128 MiB to 256 MiB of memory"}},
			{at: "12:00:07", pod: resizing(2, `{type: PodScheduled, status: "True"}`, "256Mi")},
		},
		"a resize that fails and is taken back": {
			{at: "12:00:05", pod: resizing(1, `{type: PodResizeInProgress, status: "True", reason: Error, observedGeneration: GEN}`, "128Mi"), want: []string{"POINT pod.resize.started", "OPENED pod.resize.failed"}},
			{at: "12:00:30", pod: tookBack(1, `{type: PodResizeInProgress, status: "True", reason: Error, observedGeneration: GEN}`)},
			{at: "12:00:31", pod: tookBack(2, `{type: PodScheduled, status: "True"}`), want: []string{"RESOLVED pod.resize.failed"}},
		},
		"a resize that fails and is taken back, by a kubelet before 1.34": {
			{at: "12:00:05", pod: resizing(2, `{type: PodResizeInProgress, status: "True", reason: Error}`, "128Mi"), want: []string{"POINT pod.resize.started", "OPENED pod.resize.failed"}},
			{at: "12:00:31", pod: tookBack(2, `{type: PodScheduled, status: "True"}`), want: []string{"RESOLVED pod.resize.failed"}},
		},
		"a resize that is taken back under way": {
			{at: "12:00:05", pod: resizing(1, `{type: PodResizeInProgress, status: "True", observedGeneration: GEN}`, "128Mi"), want: []string{"POINT pod.resize.started"}},
			{at: "12:00:06", pod: tookBack(2, `{type: PodScheduled, status: "True"}`)},
		},
		"a resize": {
			{at: "12:00:05", pod: resizing(2, `{type: PodResizePending, status: "True", reason: Deferred, observedGeneration: GEN, message: "Node didn't have enough resource: memory, requested: 268435456, used: 7516192768, capacity: 7634681856"}`, "128Mi"), want: []string{"OPENED pod.resize.deferred"}, said: []string{"waits for room on its node, app from 128 MiB to 256 MiB of memory: Node didn't"}},
			{at: "12:00:15", pod: resizing(2, `{type: PodResizeInProgress, status: "True", observedGeneration: GEN}`, "128Mi"), want: []string{"POINT pod.resize.started", "RESOLVED pod.resize.deferred"}},
			{at: "12:00:18", pod: resizing(2, `{type: PodResizeInProgress, status: "True", reason: Error, observedGeneration: GEN, message: "failed to resize: context deadline exceeded"}`, "128Mi"), want: []string{"OPENED pod.resize.failed"}},
			{at: "12:00:20", pod: resizing(2, `{type: PodScheduled, status: "True"}`, "256Mi"), want: []string{"POINT pod.resize.completed", "RESOLVED pod.resize.failed"}, said: []string{"was resized in place, app from 128 MiB to 256 MiB of memory"}},
			{at: "12:00:25", pod: resizing(3, `{type: PodResizePending, status: "True", reason: Infeasible, observedGeneration: GEN, message: "Node didn't have enough capacity: memory"}`, "128Mi"), want: []string{"OPENED pod.resize.infeasible"}},
			{at: "12:00:29", gone: true, want: []string{"POINT pod.terminated", "RESOLVED pod.resize.infeasible"}},
		},
	}
	for _, kind := range []string{"Liveness", "Readiness", "Startup"} {
		typ := "pod.probe_failed." + strings.ToLower(kind)
		message := kind + " probe failed: HTTP probe failed with statuscode: 503"
		out[kind+" probes"] = []step{
			{at: "12:01:05", pod: runningPod("12:00:01", false), events: []string{said("Unhealthy", message, "12:01:05", "12:01:05", 1)}},
			{at: "12:01:15", events: []string{said("Unhealthy", message, "12:01:05", "12:01:15", 2)}},
			{at: "12:01:25", events: []string{said("Unhealthy", message, "12:01:05", "12:01:25", 3)}, want: []string{"OPENED " + typ}, said: []string{"fails its " + strings.ToLower(kind) + " probe: HTTP probe failed with statuscode: 503"}},
			{at: "12:09:00"},
			{at: "12:09:01", pod: runningPod("12:00:01", true), want: []string{"RESOLVED " + typ}},
			{at: "12:09:05", events: []string{said("Unhealthy", message, "12:01:05", "12:09:05", 6)}},
			{at: "12:09:05", events: []string{said("Unhealthy", message, "12:01:05", "12:09:05", 8)}, want: []string{"OPENED " + typ}},
			{at: "12:15:05", want: []string{"RESOLVED " + typ}},
		}
	}
	for _, kind := range []string{"Liveness", "Readiness", "Startup"} {
		errored := kind + ` probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container`
		older := kind + ` probe errored: rpc error: code = Unknown desc = failed to exec in container`
		failed := kind + " probe failed: EOF"
		out[kind+" probes that cannot be carried out"] = []step{
			{at: "12:01:05", pod: runningPod("12:00:01", false), events: []string{
				said("Unhealthy", errored, "12:01:05", "12:01:05", 2), said("Unhealthy", failed, "12:01:05", "12:01:05", 2),
			}},
			{
				at: "12:01:25", events: []string{said("Unhealthy", older, "12:01:25", "12:01:25", 1)},
				want: []string{"OPENED pod.probe_errored"}, said: []string{"cannot carry out its " + strings.ToLower(kind) + " probe: rpc error"},
			},
			{at: "12:09:00"},
			{at: "12:09:01", pod: runningPod("12:00:01", true), want: []string{"RESOLVED pod.probe_errored"}},
		}
	}
	for cause, text := range map[string]string{
		"volume":   `0/5 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found`,
		"topology": `0/5 nodes are available: 5 node(s) didn't match pod topology spread constraints (missing required label).`,
		"taint":    `0/3 nodes are available: 3 node(s) had untolerated taint(s).`,
		"port":     `0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.`,
		"other":    `no nodes available to schedule pods`,
	} {
		out["unschedulable for "+cause] = []step{
			{at: "12:01:00", pod: unscheduledPod(text), want: []string{"OPENED pod.unschedulable." + cause}},
			{at: "12:02:00", gone: true, want: []string{"POINT pod.terminated", "RESOLVED pod.unschedulable." + cause}},
		}
	}
	maps.Copy(out, useScripts())
	return out
}

func TestPodScripts(t *testing.T) {
	for name, steps := range scripts() {
		t.Run(name, func(t *testing.T) { newScript(t).play(steps...) })
	}
}

// Every type that is documented is emitted, and none that is not.
func TestEveryPodTypeIsEmitted(t *testing.T) {
	emitted := map[string]bool{}
	for _, steps := range scripts() {
		s := newScript(t)
		s.play(steps...)
		for _, e := range s.events {
			emitted[e.GetType()] = true
		}
	}
	documented := map[string]bool{}
	for _, d := range detect.Pods() {
		for _, doc := range d.Docs() {
			documented[doc.Type] = true
		}
	}
	assert.Equal(t, documented, emitted)
}

// A process that meets a pod later finds its problems under the ids that the
// process before it gave them, wherever the status still shows the cause.
func TestARestartGivesTheSameIDs(t *testing.T) {
	// What it knows beyond the status and Kubernetes Events: the cause that an
	// older kubelet does not repeat.
	forgetful := map[string]bool{"pod.image_pull.other": true}
	for name, steps := range scripts() {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			for _, st := range steps {
				s.play(st)
				known := map[string]bool{}
				for _, e := range s.events {
					known[e.GetProblemId()] = true
				}
				if st.gone {
					continue
				}
				later := *s.last
				in := &detect.PodInput{
					Cluster: "c1", Cur: &later, Now: at(st.at), Thresholds: detect.DefaultThresholds(),
					Workload: detect.Workload{Kind: "Deployment", Name: "web", ReadyPods: 1}, Use: st.use,
					Evidence: s.notes.Of(later.UID),
				}
				detect.Advance(nil, &later, in.Thresholds.CrashLoopReset)
				var findings []detect.Finding
				for _, d := range detect.Pods() {
					findings = d.Detect(in, findings)
				}
				for _, f := range findings {
					if !f.Silent() && !f.Over && !forgetful[f.Type] {
						assert.True(t, known[f.Problem.String()], "%s at %s has another id", f.Type, st.at)
					}
				}
			}
		})
	}
}
