//go:build node

package manifests_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What make node-test sets.
const (
	imageVariable   = "RIGHTSIZER_IMAGE"   // the operator's image as an archive, localhost/rightsizer:amd64
	kubeletVariable = "RIGHTSIZER_KUBELET" // a kubelet
	hogVariable     = "RIGHTSIZER_HOG"     // the program in node/hog
)

const (
	nodeName = "real-1"
	// nodeAddress is the node's; serviceAddress that of the service kubernetes. Both are
	// in a network namespace that is this test's alone.
	nodeAddress    = "10.99.0.1"
	serviceAddress = "10.96.0.1"
)

// On a real node: the chart's pod runs under its limits; the kernel kills a container
// for want of memory; the operator sees it, and gives it more without a restart, which
// shows in its cgroup. It must run in namespaces of its own, as make node-test does.
func TestOnARealNode(t *testing.T) {
	for _, variable := range []string{imageVariable, kubeletVariable, hogVariable} {
		require.NotEmpty(t, os.Getenv(variable), "%s must be set: run make node-test", variable)
	}
	command(t, "ip", "link", "set", "lo", "up")
	for _, address := range []string{nodeAddress, serviceAddress} {
		command(t, "ip", "addr", "add", address+"/32", "dev", "lo")
	}
	a := start(t)
	n := newNode(t, a)
	n.startContainerd()
	n.startKubelet()
	n.serveAPI()

	operator := decode(t, text(t, "rightsizer", "rightsizer", `
image: {repository: localhost/rightsizer, tag: amd64, pullPolicy: Never}
rbac: {mode: remediate}
nodeSelector: {kubernetes.io/hostname: `+nodeName+`}
config: {log-level: debug}
`))
	operator["Namespace /rightsizer"] = decode(t, namespaceManifest)["Namespace /rightsizer"]
	begin := time.Now()
	a.apply(operator)
	a.awaitReplicas(1)
	t.Logf("the operator was ready %s after its objects were made", time.Since(begin).Round(time.Millisecond))
	n.cures()
	n.operatorIsWell()
}

const namespaceManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: rightsizer, labels: {pod-security.kubernetes.io/enforce: restricted}}
`

const hogManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: victims}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hog, namespace: victims}
spec:
  selector: {matchLabels: {app: hog}}
  template:
    metadata: {labels: {app: hog}}
    spec:
      nodeSelector: {kubernetes.io/hostname: ` + nodeName + `}
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: localhost/hog:1
          imagePullPolicy: Never
          args: ["90"]
          resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 64Mi}}
`

// cures has the kernel kill a container, and waits for what follows.
func (n *node) cures() {
	t, a := n.t, n.api
	raw, err := os.ReadFile(root + "/deploy/crd/examples/auto.yaml")
	require.NoError(t, err)
	policy := decode(t, string(raw))["RightSizerPolicy /default"]
	policy.SetNamespace("victims")
	victims := decode(t, hogManifest)
	victims["RightSizerPolicy victims/default"] = policy
	a.apply(victims)

	var pod *corev1.Pod
	a.await(func(ctx context.Context) string {
		pods, err := a.kube.CoreV1().Pods("victims").List(ctx, metav1.ListOptions{LabelSelector: "app=hog"})
		if err != nil || len(pods.Items) != 1 {
			return fmt.Sprintf("one pod: %v", err)
		}
		pod = &pods.Items[0]
		if len(pod.Status.ContainerStatuses) != 1 {
			return "its container"
		}
		s := &pod.Status.ContainerStatuses[0]
		if s.LastTerminationState.Terminated == nil || s.LastTerminationState.Terminated.Reason != "OOMKilled" {
			return fmt.Sprintf("the kernel's kill: %+v", s.State)
		}
		if s.State.Running == nil || s.Resources == nil || s.Resources.Limits.Memory().Value() <= 90<<20 {
			return fmt.Sprintf("a larger limit in force: %+v %+v", s.State, s.Resources)
		}
		return ""
	})
	status := &pod.Status.ContainerStatuses[0]
	limit := status.Resources.Limits.Memory().Value()
	assert.Equal(t, limit, n.cgroup(status, "memory.limit_in_bytes", "memory.max"), "what the kernel holds it to")
	assert.True(t, a.inPlace(pod), "the same pod, resized")

	remediations := a.any.Resource(schema.GroupVersionResource{Group: "rightsizer.dev", Version: "v1alpha1", Resource: "remediations"}).Namespace("victims")
	a.await(func(ctx context.Context) string {
		found, err := remediations.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		state := any("none")
		for i := range found.Items {
			state = at(&found.Items[i], "status", "state")
			if state == "Succeeded" {
				return ""
			}
		}
		return fmt.Sprintf("a Remediation that succeeded: %v", state)
	})
	assert.Contains(t, n.events(), "pod.oom_killed")
	t.Logf("killed at 64 MiB, cured in place at %d MiB after %d restarts", limit>>20, status.RestartCount)
}

// inPlace says whether the pod was resized, not made anew.
func (a *api) inPlace(pod *corev1.Pod) bool {
	for _, f := range pod.ManagedFields {
		if strings.HasPrefix(f.Manager, "rightsizer-") && f.Subresource == "resize" {
			return true
		}
	}
	return false
}

// events asks the operator, over its API as a viewer of the namespace, what happened.
func (n *node) events() string {
	t, a := n.t, n.api
	a.apply(decode(t, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: viewer, namespace: victims}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewer, namespace: victims}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: rightsizer-viewer}
subjects: [{kind: ServiceAccount, name: viewer, namespace: victims}]
`))
	token, err := a.kube.CoreV1().ServiceAccounts("victims").CreateToken(t.Context(), "viewer",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"rightsizer.dev"}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // self-signed, in this machine
	var answer []byte
	a.await(func(ctx context.Context) string {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+n.operatorPod(ctx).Status.PodIP+":9090/rightsizer.v1.EventService/ListEvents",
			strings.NewReader(`{"filter":{"namespaces":["victims"]}}`))
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token.Status.Token)
		resp, err := client.Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		answer, err = io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Sprintf("events: %s %s %v", resp.Status, answer, err)
		}
		return ""
	})
	return string(answer)
}

func (n *node) operatorPod(ctx context.Context) *corev1.Pod {
	pods, err := n.api.kube.CoreV1().Pods("rightsizer").List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=rightsizer"})
	require.NoError(n.t, err)
	require.Len(n.t, pods.Items, 1)
	return &pods.Items[0]
}

// operatorIsWell holds that the operator lived within its limits.
func (n *node) operatorIsWell() {
	pod := n.operatorPod(n.t.Context())
	status := &pod.Status.ContainerStatuses[0]
	assert.Zero(n.t, status.RestartCount)
	assert.EqualValues(n.t, 128<<20, n.cgroup(status, "memory.limit_in_bytes", "memory.max"))
	peak := n.cgroup(status, "memory.max_usage_in_bytes", "memory.peak")
	assert.Less(n.t, peak, int64(128<<20))
	n.t.Logf("the operator took %d MiB of its 128 at most, page cache of the binary included", peak>>20)
}

// cgroup is a figure of a container's memory cgroup, of version 1 or 2.
func (n *node) cgroup(status *corev1.ContainerStatus, one, two string) int64 {
	n.t.Helper()
	_, id, _ := strings.Cut(status.ContainerID, "://")
	for _, pattern := range []string{"/sys/fs/cgroup/memory/kubepods/*/*/" + id, "/sys/fs/cgroup/memory/kubepods/*/" + id, "/sys/fs/cgroup/kubepods/*/*/" + id, "/sys/fs/cgroup/kubepods/*/" + id} {
		found, err := filepath.Glob(pattern)
		require.NoError(n.t, err)
		for _, dir := range found {
			for _, name := range []string{one, two} {
				raw, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					continue
				}
				value, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
				require.NoError(n.t, err)
				return value
			}
		}
	}
	n.t.Fatalf("container %s has no memory cgroup", id)
	return 0
}
