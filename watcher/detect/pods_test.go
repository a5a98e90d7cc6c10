package detect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Pods as a real kubelet reports them (containerd 2.4, kubelet 1.37), cut to
// what matters.
const head = `
metadata:
  name: hog-6c5d8f9b7d-x2x9k
  namespace: default
  uid: 0b6f6a86-1d0a-4b43-9d63-9a3a0a4b6f3e
  creationTimestamp: "2026-11-23T12:00:00Z"
  labels: {app: hog, pod-template-hash: 6c5d8f9b7d}
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: hog-6c5d8f9b7d, uid: 7c1e, controller: true}
`

const appSpec = `
spec:
  restartPolicy: Always
  nodeName: node-1
  containers:
  - name: app
    image: localhost/hog:1
    resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 500m, memory: 64Mi}}
`

// killedInState: the first kill, before the restart.
const killedInState = head + appSpec + `
status:
  phase: Running
  qosClass: Burstable
  containerStatuses:
  - name: app
    containerID: containerd://5e6d9b1f
    restartCount: 0
    resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 500m, memory: 64Mi}}
    state:
      terminated: {containerID: "containerd://5e6d9b1f", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:00:02Z", finishedAt: "2026-11-23T12:00:05Z"}
`

// killedInLastState: the same kill, after the restart.
const killedInLastState = head + appSpec + `
status:
  phase: Running
  qosClass: Burstable
  containerStatuses:
  - name: app
    containerID: containerd://c0ffee
    restartCount: 1
    resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 500m, memory: 64Mi}}
    state: {running: {startedAt: "2026-11-23T12:00:06Z"}}
    lastState:
      terminated: {containerID: "containerd://5e6d9b1f", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:00:02Z", finishedAt: "2026-11-23T12:00:05Z"}
`

// backOffTerminated: during back-off the state stays terminated almost
// throughout.
const backOffTerminated = head + appSpec + `
status:
  phase: Running
  qosClass: Burstable
  containerStatuses:
  - name: app
    containerID: containerd://run-3
    restartCount: 3
    state:
      terminated: {containerID: "containerd://run-3", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:01:10Z", finishedAt: "2026-11-23T12:01:13Z"}
    lastState:
      terminated: {containerID: "containerd://run-2", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:00:30Z", finishedAt: "2026-11-23T12:00:33Z"}
`

// backOffWaiting: the same moment as it shows in few samples. The count is
// still that of the attempt that ended.
const backOffWaiting = head + appSpec + `
status:
  phase: Running
  qosClass: Burstable
  containerStatuses:
  - name: app
    containerID: containerd://run-3
    restartCount: 3
    state: {waiting: {reason: CrashLoopBackOff, message: back-off 40s restarting failed container=app}}
    lastState:
      terminated: {containerID: "containerd://run-3", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:01:10Z", finishedAt: "2026-11-23T12:01:13Z"}
`

// jobFailed: a Job's pod never restarts and ends in phase Failed.
const jobFailed = `
metadata: {name: nightly-x7k2p, namespace: batch, uid: job-pod, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: nightly, uid: j1, controller: true}]}
spec:
  restartPolicy: Never
  containers: [{name: report, image: report:1, resources: {limits: {memory: 128Mi}}}]
status:
  phase: Failed
  containerStatuses:
  - name: report
    containerID: containerd://report
    restartCount: 0
    state:
      terminated: {containerID: "containerd://report", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T02:00:00Z", finishedAt: "2026-11-23T02:04:10Z"}
`

// initKilled, sidecarKilled and ephemeralKilled: the other lists of a pod.
const initKilled = `
metadata: {name: inventory-0, namespace: default, uid: init-pod}
spec:
  restartPolicy: Always
  initContainers: [{name: migrate, image: migrate:1, resources: {limits: {memory: 32Mi}}}]
  containers: [{name: app, image: app:1}]
status:
  phase: Pending
  initContainerStatuses:
  - name: migrate
    restartCount: 1
    state: {waiting: {reason: CrashLoopBackOff}}
    lastState:
      terminated: {containerID: "containerd://migrate-1", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:00:00Z", finishedAt: "2026-11-23T12:00:01Z"}
  containerStatuses: [{name: app, state: {waiting: {reason: PodInitializing}}}]
`

const sidecarKilled = `
metadata: {name: orders-0, namespace: default, uid: sidecar-pod}
spec:
  restartPolicy: Never
  initContainers: [{name: log-shipper, image: ship:1, restartPolicy: Always, resources: {limits: {memory: 100Mi}}}]
  containers: [{name: app, image: app:1}]
status:
  phase: Running
  initContainerStatuses:
  - name: log-shipper
    restartCount: 2
    state: {running: {startedAt: "2026-11-23T12:01:00Z"}}
    lastState:
      terminated: {containerID: "containerd://ship-1", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:00:30Z", finishedAt: "2026-11-23T12:00:40Z"}
  containerStatuses: [{name: app, state: {running: {startedAt: "2026-11-23T12:00:00Z"}}}]
`

const ephemeralKilled = `
metadata: {name: debugged, namespace: default, uid: eph-pod}
spec:
  restartPolicy: Always
  containers: [{name: app, image: app:1}]
  ephemeralContainers: [{name: debugger, image: busybox}]
status:
  phase: Running
  containerStatuses: [{name: app, state: {running: {startedAt: "2026-11-23T12:00:00Z"}}}]
  ephemeralContainerStatuses:
  - name: debugger
    state:
      terminated: {containerID: "containerd://dbg", exitCode: 137, reason: OOMKilled, startedAt: "2026-11-23T12:00:30Z", finishedAt: "2026-11-23T12:00:40Z"}
`

// podOf converts YAML, with what is remembered of the form before.
func podOf(t *testing.T, text string, before *object.Pod) *object.Pod {
	t.Helper()
	var pod corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &pod))
	out, err := convert.New().Pod(&pod)
	require.NoError(t, err)
	detect.Advance(before, out, detect.DefaultThresholds().CrashLoopReset)
	return out
}

// at is a time on the day of the recordings.
func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-11-23T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

// input looks at a pod of a Deployment with one ready pod.
func input(pod *object.Pod, now time.Time) *detect.PodInput {
	return &detect.PodInput{
		Cluster: "c1", Cur: pod, Now: now, Thresholds: detect.DefaultThresholds(),
		Workload: detect.Workload{Kind: "Deployment", Name: "hog", ReadyPods: 1},
	}
}
