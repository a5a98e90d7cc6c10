package devcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// sight looks at a namespace and returns what is still missing from what a
// scenario promises, "" when all of it has been seen.
type sight func(ctx context.Context, kube kubernetes.Interface, namespace string) string

// TestScenarios applies every scenario to a namespace of its own and waits for
// what it promises, in order.
func TestScenarios(t *testing.T) {
	for name, promises := range map[string][]sight{
		"oom": {
			container("app=checkout", "app", "state terminated by OOM", func(s corev1.ContainerStatus) bool { return oomKilled(s.State) }),
			container("app=checkout", "app", "running again with the kill in lastState", func(s corev1.ContainerStatus) bool {
				return s.State.Running != nil && oomKilled(s.LastTerminationState) && s.LastTerminationState.Terminated.ContainerID != s.ContainerID
			}),
			container("app=checkout", "app", "two restarts", func(s corev1.ContainerStatus) bool { return s.RestartCount >= 2 }),
			event("BackOff"),
		},
		"crash-loop": {
			container("app=payments", "app", "state terminated with exit code 1", func(s corev1.ContainerStatus) bool {
				return s.RestartCount >= 1 && s.State.Terminated != nil && s.State.Terminated.Reason == "Error" && s.State.Terminated.ExitCode == 1
			}),
			container("app=ledger", "app", "waiting in CrashLoopBackOff", func(s corev1.ContainerStatus) bool {
				return waiting(s, "CrashLoopBackOff") && s.LastTerminationState.Terminated != nil && s.LastTerminationState.Terminated.ExitCode == 1
			}),
			container("app=ledger", "app", "two restarts", func(s corev1.ContainerStatus) bool { return s.RestartCount >= 2 }),
		},
		"image-pull": {
			container("app=storefront", "app", "ErrImagePull", func(s corev1.ContainerStatus) bool { return waiting(s, "ErrImagePull") }),
			container("app=storefront", "app", "ImagePullBackOff", func(s corev1.ContainerStatus) bool { return waiting(s, "ImagePullBackOff") }),
			container("app=storefront", "app", "another attempt", func(s corev1.ContainerStatus) bool { return waiting(s, "ErrImagePull") }),
			event("Failed"), event("BackOff"),
		},
		"unschedulable": {
			pod("app=analytics", "unschedulable for lack of memory", unschedulable), pod("app=trainer", "unschedulable for its node selector", unschedulable),
			event("FailedScheduling"),
		},
		"over-provisioned":  {usage("app=catalog", corev1.ResourceMemory, "85Mi", "95Mi"), usage("app=catalog", corev1.ResourceCPU, "35m", "45m")},
		"under-provisioned": {usage("app=search", corev1.ResourceMemory, "230Mi", "250Mi")},
		"leak": {
			usage("app=sessions", corev1.ResourceMemory, "70Mi", "1Gi"), // base 60 Mi: it grows
			hurry("sessions", "leak-mi-per-minute", "1200"),
			container("app=sessions", "app", "state terminated by OOM", func(s corev1.ContainerStatus) bool { return oomKilled(s.State) }),
			container("app=sessions", "app", "a restart", func(s corev1.ContainerStatus) bool { return s.RestartCount >= 1 }),
		},
		"daily-curve": {usage("app=frontend", corev1.ResourceCPU, "70m", "850m")},
		"node-pressure": {
			func(ctx context.Context, kube kubernetes.Interface, _ string) string {
				n, err := kube.CoreV1().Nodes().Get(ctx, "pressed-1", metav1.GetOptions{})
				if err != nil {
					return err.Error()
				}
				if !nodeHas(n, corev1.NodeMemoryPressure) || len(n.Spec.Taints) == 0 || n.Spec.Taints[0].Key != corev1.TaintNodeMemoryPressure {
					return fmt.Sprintf("no MemoryPressure with its taint: %+v %+v", n.Status.Conditions, n.Spec.Taints)
				}
				return ""
			},
			pod("app=importer", "evicted", func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed && p.Status.Reason == "Evicted" }),
			event("Evicted"),
		},
		"job-oom": {
			pod("app=nightly-report", "failed", func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed }),
			container("app=nightly-report", "report", "state terminated by OOM", func(s corev1.ContainerStatus) bool { return oomKilled(s.State) && s.RestartCount == 0 }),
			event("BackoffLimitExceeded"),
		},
		"init-oom": {
			pod("app=inventory", "Pending with its init container killed", func(p corev1.Pod) bool {
				return p.Status.Phase == corev1.PodPending && len(p.Status.InitContainerStatuses) == 1 && oomKilled(p.Status.InitContainerStatuses[0].State) &&
					waiting(p.Status.ContainerStatuses[0], "PodInitializing")
			}),
			pod("app=inventory", "restarts of the init container", func(p corev1.Pod) bool { return p.Status.InitContainerStatuses[0].RestartCount >= 1 }),
		},
		"sidecar-oom": {
			pod("app=orders", "Running with its sidecar killed", func(p corev1.Pod) bool {
				return p.Status.Phase == corev1.PodRunning && oomKilled(p.Status.InitContainerStatuses[0].State) && p.Status.ContainerStatuses[0].State.Running != nil
			}),
			pod("app=orders", "a restart of the sidecar", func(p corev1.Pod) bool { return p.Status.InitContainerStatuses[0].RestartCount >= 1 }),
		},
		"failures": {
			pod("app=migration", "failed", func(p corev1.Pod) bool {
				return p.Status.Phase == corev1.PodFailed && p.Status.ContainerStatuses[0].State.Terminated.ExitCode == 3
			}),
			container("app=mesh-agent", "app", "ImagePullBackOff", func(s corev1.ContainerStatus) bool { return waiting(s, "ImagePullBackOff") }),
			pod("app=cache", "Running", func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }),
		},
		"quota":       {refusal("reports", "exceeded quota: team"), event("FailedCreate")},
		"limit-range": {refusal("thumbnails", "maximum memory usage per Container is 256Mi"), event("FailedCreate")},
		"pdb-blocking": {func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
			b, err := kube.PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, "licenses", metav1.GetOptions{})
			if err != nil {
				return err.Error()
			}
			if b.Status.CurrentHealthy != 1 || b.Status.DisruptionsAllowed != 0 {
				return fmt.Sprintf("the budget does not block: %+v", b.Status)
			}
			return ""
		}},
		"hpa-maximum": {
			autoscaler("mailer", "ScalingActive", "FailedGetResourceMetric"),
			autoscaler("gateway", "ScalingLimited", "TooManyReplicas"),
		},
		"placement": {pod("app=collector", "unschedulable for its host port", unschedulable), pod("app=quorum", "unschedulable for its topology", unschedulable)},
		"workloads": {
			pod("app=postgres", "Running", func(p corev1.Pod) bool { return p.Name == "postgres-1" && p.Status.Phase == corev1.PodRunning }),
			pod("app=log-agent", "Running", func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }),
			refusal("deployer", `serviceaccount "deployer" not found`), event("FailedCreate"),
		},
		"troubles": {
			event("FailedCreatePodSandBox", `no runtime for "gvisor" is configured`), event("FailedCreatePodSandBox", `plugin type="calico" failed`),
			event("DNSConfigForming", "Nameserver limits were exceeded"), event("TooManyMissedTimes"),
			container("app=mailroom", "app", "running all the same", func(s corev1.ContainerStatus) bool { return s.State.Running != nil && s.Ready }),
			container("app=transcoder", "app", "not created yet", func(s corev1.ContainerStatus) bool { return waiting(s, "ContainerCreating") }),
			container("app=invoices", "app", "without credentials", func(s corev1.ContainerStatus) bool {
				return waiting(s, "ErrImagePull") && strings.Contains(s.State.Waiting.Message, "401 Unauthorized")
			}),
			container("app=warehouse", "app", "running, but not started", func(s corev1.ContainerStatus) bool { return s.State.Running != nil && !*s.Started }),
			pod("app=inference", "unschedulable for its device", unschedulable), event("FailedScheduling", "device class gpu.sim.rightsizer.dev does not exist"),
			func(ctx context.Context, kube kubernetes.Interface, _ string) string {
				return event("SystemOOM", "victim process: log-shipper")(ctx, kube, metav1.NamespaceDefault)
			},
			func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
				events, err := kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Unhealthy"})
				if err != nil {
					return err.Error()
				}
				for _, e := range events.Items {
					if e.Count >= 3 && e.InvolvedObject.FieldPath == "spec.containers{app}" && e.FirstTimestamp.Before(&e.LastTimestamp) {
						return ""
					}
				}
				return fmt.Sprintf("no startup probe that fails again and again: %+v", events.Items)
			},
			event("FailedAttachVolume", "timed out waiting for external-attacher of disks.sim.rightsizer.dev"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := sharedCluster(t)
			namespace := "test-" + name
			require.NoError(t, c.Apply(t.Context(), name, namespace))
			for _, promise := range promises {
				eventually(t, func(ctx context.Context) string { return promise(ctx, c.kube, namespace) })
			}
			require.NoError(t, c.Remove(t.Context(), name, namespace))
			eventually(t, func(ctx context.Context) string {
				_, err := c.kube.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
				if apierrors.IsNotFound(err) {
					return ""
				}
				return "namespace " + namespace + " is still there"
			})
		})
	}
}

func TestMixedScenarioIntoOneNamespace(t *testing.T) {
	t.Parallel()
	c := sharedCluster(t)
	require.NoError(t, c.Apply(t.Context(), "mixed", "test-mixed"))
	eventually(t, func(ctx context.Context) string { return event("BackOff")(ctx, c.kube, "test-mixed") })
	require.NoError(t, c.Remove(t.Context(), "mixed", "test-mixed"))
}

// TestRaisedLimitCures raises the limit of a killed container in place.
func TestRaisedLimitCures(t *testing.T) {
	t.Parallel()
	c := sharedCluster(t)
	const namespace = "test-cure"
	require.NoError(t, c.Apply(t.Context(), "oom", namespace))
	eventually(t, func(ctx context.Context) string {
		return container("app=checkout", "app", "killed", func(s corev1.ContainerStatus) bool { return oomKilled(s.State) || oomKilled(s.LastTerminationState) })(ctx, c.kube, namespace)
	})
	before := firstPod(t, c, namespace, "app=checkout")
	resize(t, c, before, "256Mi")
	eventually(t, func(ctx context.Context) string {
		p, err := c.kube.CoreV1().Pods(namespace).Get(ctx, before.Name, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		s := p.Status.ContainerStatuses[0]
		if s.Resources == nil || s.Resources.Limits.Memory().String() != "256Mi" || p.Status.ObservedGeneration != p.Generation {
			return fmt.Sprintf("the resize is not actuated: %+v, generation %d, observed %d", s.Resources, p.Generation, p.Status.ObservedGeneration)
		}
		// It would have been killed after 3 s.
		if s.State.Running == nil || time.Since(s.State.Running.StartedAt.Time) < 6*time.Second || !s.Ready {
			return fmt.Sprintf("it does not run on: %+v", s.State)
		}
		return ""
	})
	eventually(t, func(ctx context.Context) string { return event("ResizeCompleted")(ctx, c.kube, namespace) })
}

// TestResizesThatDoNotSucceed asks for resizes that the simulated kubelet refuses, or
// that its runtime fails to carry out.
func TestResizesThatDoNotSucceed(t *testing.T) {
	t.Parallel()
	for annotation, want := range map[string]struct {
		condition corev1.PodConditionType
		reason    string
	}{
		"resize-infeasible": {corev1.PodResizePending, corev1.PodReasonInfeasible},
		"resize-fails":      {corev1.PodResizeInProgress, corev1.PodReasonError},
	} {
		t.Run(annotation, func(t *testing.T) {
			t.Parallel()
			c := sharedCluster(t)
			namespace := "test-" + annotation
			require.NoError(t, c.Apply(t.Context(), "over-provisioned", namespace))
			var p corev1.Pod
			eventually(t, func(ctx context.Context) string {
				return pod("app=catalog", "running", func(now corev1.Pod) bool {
					p = now
					return now.Status.Phase == corev1.PodRunning
				})(ctx, c.kube, namespace)
			})
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, annotationPrefix+annotation)
			_, err := c.kube.CoreV1().Pods(namespace).Patch(t.Context(), p.Name, types.MergePatchType, patch, metav1.PatchOptions{})
			require.NoError(t, err)
			resize(t, c, &p, "3Gi")
			eventually(t, func(ctx context.Context) string {
				now, err := c.kube.CoreV1().Pods(namespace).Get(ctx, p.Name, metav1.GetOptions{})
				if err != nil {
					return err.Error()
				}
				for _, condition := range now.Status.Conditions {
					if condition.Type == want.condition && condition.Reason == want.reason {
						assert.Equal(t, "2Gi", now.Status.ContainerStatuses[0].Resources.Limits.Memory().String())
						return ""
					}
				}
				return fmt.Sprintf("no %s with reason %s: %+v", want.condition, want.reason, now.Status.Conditions)
			})
		})
	}
}

func resize(t *testing.T, c *Cluster, p *corev1.Pod, limit string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"containers":[{"name":"app","resources":{"limits":{"memory":%q}}}]}}`, limit)
	_, err := c.kube.CoreV1().Pods(p.Namespace).Patch(t.Context(), p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "resize")
	require.NoError(t, err)
}

func firstPod(t *testing.T, c *Cluster, namespace, selector string) *corev1.Pod {
	t.Helper()
	pods, err := c.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	require.NoError(t, err)
	require.NotEmpty(t, pods.Items)
	return &pods.Items[0]
}

// pod is the sight of a pod that is as wanted.
func pod(selector, what string, wanted func(corev1.Pod) bool) sight {
	return func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
		pods, err := kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return err.Error()
		}
		if slices.ContainsFunc(pods.Items, wanted) {
			return ""
		}
		return fmt.Sprintf("no pod %s is seen %s: %+v", selector, what, pods.Items)
	}
}

// container is the sight of an app container that is as wanted.
func container(selector, name, what string, wanted func(corev1.ContainerStatus) bool) sight {
	return pod(selector, "with container "+name+" "+what, func(p corev1.Pod) bool {
		for _, s := range p.Status.ContainerStatuses {
			if s.Name == name && wanted(s) {
				return true
			}
		}
		return false
	})
}

// event is the sight of a Kubernetes Event with that reason, and of these words where
// some are given.
func event(reason string, words ...string) sight {
	return func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
		events, err := kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return err.Error()
		}
		for _, e := range events.Items {
			if strings.Contains(e.Message, strings.Join(words, " ")) {
				return ""
			}
		}
		return fmt.Sprintf("no Event %s %q: %+v", reason, words, events.Items)
	}
}

// refusal is the sight of a Deployment that may not create its pods.
func refusal(deployment, why string) sight {
	return func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
		d, err := kube.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && strings.Contains(c.Message, why) {
				return ""
			}
		}
		return fmt.Sprintf("%s is not refused with %q: %+v", deployment, why, d.Status.Conditions)
	}
}

// autoscaler is the sight of an autoscaler's condition.
func autoscaler(name string, condition autoscalingv2.HorizontalPodAutoscalerConditionType, reason string) sight {
	return func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
		h, err := kube.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		for _, c := range h.Status.Conditions {
			if c.Type == condition && c.Reason == reason {
				return ""
			}
		}
		return fmt.Sprintf("autoscaler %s is not %s: %+v", name, reason, h.Status.Conditions)
	}
}

// usage is the sight of a pod whose usage, through the metrics API, lies
// between two quantities.
func usage(selector string, name corev1.ResourceName, low, high string) sight {
	return func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
		data, err := kube.CoreV1().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces", namespace, "pods").
			Param("labelSelector", selector).DoRaw(ctx)
		if err != nil {
			return err.Error()
		}
		var list struct {
			Items []struct {
				Containers []struct{ Usage corev1.ResourceList }
			}
		}
		if err := json.Unmarshal(data, &list); err != nil {
			return err.Error()
		}
		for _, item := range list.Items {
			used := item.Containers[0].Usage[name]
			if used.Cmp(resource.MustParse(low)) >= 0 && used.Cmp(resource.MustParse(high)) <= 0 {
				return ""
			}
		}
		return fmt.Sprintf("no pod %s uses between %s and %s of %s: %s", selector, low, high, name, data)
	}
}

// hurry changes a simulation annotation of a Deployment's pods, so that the
// test need not wait as long as a person watching would.
func hurry(deployment, annotation, value string) sight {
	return func(ctx context.Context, kube kubernetes.Interface, namespace string) string {
		patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, annotationPrefix+annotation, value)
		_, err := kube.AppsV1().Deployments(namespace).Patch(ctx, deployment, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return err.Error()
		}
		return ""
	}
}

func oomKilled(s corev1.ContainerState) bool {
	return s.Terminated != nil && s.Terminated.Reason == "OOMKilled" && s.Terminated.ExitCode == 137 &&
		s.Terminated.ContainerID != "" && !s.Terminated.FinishedAt.IsZero()
}

func waiting(s corev1.ContainerStatus, reason string) bool {
	return s.State.Waiting != nil && s.State.Waiting.Reason == reason
}

func unschedulable(p corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return true
		}
	}
	return false
}

func nodeHas(n *corev1.Node, condition corev1.NodeConditionType) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == condition {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
