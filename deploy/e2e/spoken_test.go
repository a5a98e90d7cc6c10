package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// What no scenario shows in the namespace of a test, or only after minutes, is written
// by hand to the real API server, in the words of kubelets and controllers: the status
// of a pod that nobody schedules, and Kubernetes Events of one and of a node. A
// DaemonSet falls short by itself.
func TestWhatIsWrittenByHandBecomesEvents(t *testing.T) {
	const namespace = "spoken"
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	o := serve(t, cluster.KubeconfigPath(), "--unavailable-after=1s").ready()
	h := hear(ctx, t, o, "pod.*", "node.system_oom", "daemonset.*")
	k := objects{t, client, namespace}
	k.makeNamespace(ctx, namespace)
	k.idleDaemonSet(ctx, "agent")

	t.Run("pod.failed", func(t *testing.T) {
		pod := k.nobodysPod(ctx, t, "pod-failed")
		pod.Status = corev1.PodStatus{
			Phase: corev1.PodFailed, Reason: "UnexpectedAdmissionError", Message: "Allocate failed due to no healthy devices present",
		}
		_, err := client.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{FieldManager: "kubelet"})
		require.NoError(t, err)
		h.wait(t, "pod.failed", happened, pod.Name)
	})
	t.Run("pod.volume.attach_failed", func(t *testing.T) {
		pod := k.nobodysPod(ctx, t, "attach-failed")
		k.say(ctx, t, &corev1.Event{
			Reason: "FailedAttachVolume", Message: `Multi-Attach error for volume "pvc-77" Volume is already used by pod(s) web-0`,
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod.Name, UID: pod.UID},
		})
		h.wait(t, "pod.volume.attach_failed", opened, pod.Name)
	})
	t.Run("node.system_oom", func(t *testing.T) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
		require.NoError(t, err)
		node := nodes.Items[0].Name
		k.say(ctx, t, &corev1.Event{
			Reason: "SystemOOM", Message: "System OOM encountered, victim process: stress, pid: 4242",
			InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: node, UID: nodes.Items[0].UID},
		})
		assert.Contains(t, h.wait(t, "node.system_oom", happened, node).GetMessage(), "stress (pid 4242)")
	})
	t.Run("daemonset.unavailable", func(t *testing.T) {
		ev := h.wait(t, "daemonset.unavailable", opened, "agent")
		assert.Zero(t, ev.GetUnavailable().GetAvailable())
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_ERROR, ev.GetSeverity(), "none is available")
	})
}

// nobodysPod is a pod that no scheduler and so no kubelet looks after.
func (k objects) nobodysPod(ctx context.Context, t *testing.T, name string) *corev1.Pod {
	t.Helper()
	wanted := template(name, nil)
	wanted.Spec.SchedulerName = "nobody"
	var made *corev1.Pod
	require.Eventually(t, func() bool { // once the namespace has its ServiceAccount
		var err error
		made, err = k.client.CoreV1().Pods(k.namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: wanted.Labels}, Spec: wanted.Spec,
		}, metav1.CreateOptions{})
		return err == nil
	}, patience, poll, "a pod")
	return made
}

// say writes a Kubernetes Event of now.
func (k objects) say(ctx context.Context, t *testing.T, e *corev1.Event) {
	t.Helper()
	e.GenerateName, e.Namespace, e.Type = "by-hand-", k.namespace, corev1.EventTypeWarning
	if e.InvolvedObject.Namespace == "" {
		e.Namespace = metav1.NamespaceDefault
	}
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	e.Count, e.FirstTimestamp, e.LastTimestamp = max(e.Count, 1), now, now
	_, err := k.client.CoreV1().Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{})
	require.NoError(t, err)
}

// idleDaemonSet wants pods whose image nobody has.
func (k objects) idleDaemonSet(ctx context.Context, name string) {
	k.t.Helper()
	pod := template(name, nil)
	pod.Spec.Containers[0].Image = "registry.invalid/shop/agent:1"
	_, err := k.client.AppsV1().DaemonSets(k.namespace).Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: pod},
	}, metav1.CreateOptions{})
	require.NoError(k.t, err)
}
