package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// What no simulated kubelet does is written by hand to the real API server, in
// the words of kubelets, schedulers and controllers: statuses and Kubernetes
// Events of pods that nobody schedules, and of a node. A DaemonSet falls short by
// itself.
func TestWhatIsWrittenByHandBecomesEvents(t *testing.T) {
	const namespace = "spoken"
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	o := serve(t, cluster.KubeconfigPath(), "--pending-after=1s", "--unavailable-after=1s", "--unschedulable-after=0s").ready()
	h := hear(ctx, t, o, "pod.*", "node.system_oom", "cronjob.*", "daemonset.*")
	k := objects{t, client, namespace}
	k.makeNamespace(ctx, namespace)
	k.idleDaemonSet(ctx, "agent")

	for name, s := range map[string]corev1.PodStatus{
		"pod.pending": {Phase: corev1.PodPending},
		"pod.failed":  {Phase: corev1.PodFailed, Reason: "UnexpectedAdmissionError", Message: "Allocate failed due to no healthy devices present"},
		"pod.unschedulable.other": {Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: "0/3 nodes are available: 3 node(s) were of another mind.", LastTransitionTime: metav1.Now(),
		}}},
		"pod.image_pull.unauthorized": {Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Image: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
				Reason: "ErrImagePull", Message: "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
			}},
		}}},
		"pod.resize.failed": {Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{
			Type: corev1.PodResizeInProgress, Status: corev1.ConditionTrue, Reason: corev1.PodReasonError,
			Message: "the runtime could not set memory.max", LastTransitionTime: metav1.Now(),
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			phase := opened
			if name == "pod.failed" {
				phase = happened
			}
			pod := k.nobodysPod(ctx, t, nameOf(name))
			pod.Status = s
			_, err := client.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{FieldManager: "kubelet"})
			require.NoError(t, err)
			h.wait(t, name, phase, pod.Name)
		})
	}
	for name, said := range map[string]corev1.Event{
		"pod.network_failed":       {Reason: "FailedCreatePodSandBox", Message: `Failed to create pod sandbox: failed to setup network for sandbox "3f1c": plugin type="calico" failed (add)`},
		"pod.sandbox_failed":       {Reason: "FailedCreatePodSandBox", Message: "Failed to create pod sandbox: failed to create containerd task: no space left on device"},
		"pod.volume.attach_failed": {Reason: "FailedAttachVolume", Message: `Multi-Attach error for volume "pvc-77" Volume is already used by pod(s) web-0`},
		"pod.dns_failed":           {Reason: "DNSConfigForming", Message: "Nameserver limits were exceeded, some nameservers have been omitted"},
		"pod.probe_failed.startup": {Reason: "Unhealthy", Message: "Startup probe failed: dial tcp 10.64.0.1:8080: connect: connection refused", Count: 3},
	} {
		t.Run(name, func(t *testing.T) {
			phase := opened
			if name == "pod.dns_failed" {
				phase = happened
			}
			pod := k.nobodysPod(ctx, t, nameOf(name))
			said.InvolvedObject = corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"}
			k.say(ctx, t, &said)
			h.wait(t, name, phase, pod.Name)
		})
	}
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
	t.Run("cronjob.missed", func(t *testing.T) {
		job := k.sleepingCronJob(ctx, t, "hourly")
		k.say(ctx, t, &corev1.Event{
			Reason: "MissSchedule", Message: "Missed scheduled time to start a job: Mon, 23 Nov 2026 12:00:00 +0000",
			InvolvedObject: corev1.ObjectReference{Kind: "CronJob", Namespace: namespace, Name: job.Name, UID: job.UID},
		})
		h.wait(t, "cronjob.missed", happened, job.Name)
	})
	t.Run("daemonset.unavailable", func(t *testing.T) {
		ev := h.wait(t, "daemonset.unavailable", opened, "agent")
		assert.Zero(t, ev.GetUnavailable().GetAvailable())
		assert.Equal(t, rightsizerv1.Severity_SEVERITY_ERROR, ev.GetSeverity(), "none is available")
	})
}

// nameOf makes of a type a name that the API takes.
func nameOf(eventType string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(eventType)
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

// sleepingCronJob never starts a Job.
func (k objects) sleepingCronJob(ctx context.Context, t *testing.T, name string) *batchv1.CronJob {
	t.Helper()
	pod, suspended := template(name, nil), true
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	made, err := k.client.BatchV1().CronJobs(k.namespace).Create(ctx, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.CronJobSpec{
			Schedule: "0 * * * *", Suspend: &suspended,
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return made
}
