package kube

import (
	"context"
	"encoding/json"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// maxPods is how many pods of one workload are looked at.
const maxPods = 2000

// Pod reads one pod.
func (c *Client) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	pod, err := get[corev1.Pod](ctx, c, "/api/v1/namespaces", namespace, "pods", name)
	if err != nil {
		return nil, fmt.Errorf("read pod %s/%s: %w", namespace, name, err)
	}
	return pod, nil
}

// Pods lists the pods that a workload's selector chooses, at most 2,000, whoever they
// belong to; those of a CronJob are its Jobs', and none here.
func (c *Client) Pods(ctx context.Context, w *Workload) ([]corev1.Pod, error) {
	if w.Kind == "CronJob" {
		return nil, nil
	}
	if w.Selector == nil {
		pod, err := c.Pod(ctx, w.Namespace, w.Name)
		if err != nil {
			return nil, err
		}
		return []corev1.Pod{*pod}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(w.Selector)
	if err != nil {
		return nil, fmt.Errorf("selector of %s: %w", w, err)
	}
	if selector.Empty() {
		return nil, nil
	}
	var out corev1.PodList
	opts := metav1.ListOptions{LabelSelector: selector.String(), Limit: maxPods}
	if err := c.list(ctx, &out, opts, "/api/v1/namespaces", w.Namespace, "pods"); err != nil {
		return nil, fmt.Errorf("list the pods of %s: %w", w, err)
	}
	return out.Items, nil
}

// ResizePod patches a pod's resources in place. The patch is a strategic merge
// patch that carries metadata.uid and metadata.resourceVersion.
func (c *Client) ResizePod(ctx context.Context, namespace, name string, patch []byte, w Write) (*corev1.Pod, error) {
	out := &corev1.Pod{}
	req := w.onto(c.rest.Patch(types.StrategicMergePatchType).AbsPath("/api/v1/namespaces", namespace, "pods", name, "resize")).Body(patch)
	if err := do(ctx, req, out); err != nil {
		return nil, fmt.Errorf("resize pod %s/%s: %w", namespace, name, err)
	}
	return out, nil
}

// EvictPod evicts a pod of this UID and resource version. A disruption budget
// without room is an error for which apierrors.IsTooManyRequests holds.
func (c *Client) EvictPod(ctx context.Context, namespace, name, uid, version string, w Write) error {
	body, err := json.Marshal(policyv1.Eviction{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		DeleteOptions: &metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: new(types.UID(uid)), ResourceVersion: new(version)},
		},
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req := w.onto(c.rest.Post().AbsPath("/api/v1/namespaces", namespace, "pods", name, "eviction")).
		SetHeader("Content-Type", asJSON).Body(body)
	if err := do(ctx, req, nil); err != nil {
		return fmt.Errorf("evict pod %s/%s: %w", namespace, name, err)
	}
	return nil
}

// Budgets lists the disruption budgets of a namespace.
func (c *Client) Budgets(ctx context.Context, namespace string) ([]policyv1.PodDisruptionBudget, error) {
	var out policyv1.PodDisruptionBudgetList
	if err := c.list(ctx, &out, metav1.ListOptions{Limit: 500}, "/apis/policy/v1/namespaces", namespace, "poddisruptionbudgets"); err != nil {
		return nil, fmt.Errorf("list the disruption budgets of %s: %w", namespace, err)
	}
	return out.Items, nil
}

// Autoscalers lists the HorizontalPodAutoscalers of a namespace.
func (c *Client) Autoscalers(ctx context.Context, namespace string) ([]autoscalingv2.HorizontalPodAutoscaler, error) {
	var out autoscalingv2.HorizontalPodAutoscalerList
	if err := c.list(ctx, &out, metav1.ListOptions{Limit: 500}, "/apis/autoscaling/v2/namespaces", namespace, "horizontalpodautoscalers"); err != nil {
		return nil, fmt.Errorf("list the autoscalers of %s: %w", namespace, err)
	}
	return out.Items, nil
}

// Autoscaler reads one HorizontalPodAutoscaler.
func (c *Client) Autoscaler(ctx context.Context, namespace, name string) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	hpa, err := get[autoscalingv2.HorizontalPodAutoscaler](ctx, c, "/apis/autoscaling/v2/namespaces", namespace, "horizontalpodautoscalers", name)
	if err != nil {
		return nil, fmt.Errorf("read autoscaler %s/%s: %w", namespace, name, err)
	}
	return hpa, nil
}

// PatchAutoscaler patches an autoscaler by a JSON merge patch with its
// preconditions.
func (c *Client) PatchAutoscaler(ctx context.Context, namespace, name string, patch []byte, w Write) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	out := &autoscalingv2.HorizontalPodAutoscaler{}
	req := w.onto(c.rest.Patch(types.MergePatchType).
		AbsPath("/apis/autoscaling/v2/namespaces", namespace, "horizontalpodautoscalers", name)).Body(patch)
	if err := do(ctx, req, out); err != nil {
		return nil, fmt.Errorf("patch autoscaler %s/%s: %w", namespace, name, err)
	}
	return out, nil
}

// LimitRanges lists the LimitRanges of a namespace.
func (c *Client) LimitRanges(ctx context.Context, namespace string) ([]corev1.LimitRange, error) {
	var out corev1.LimitRangeList
	if err := c.list(ctx, &out, metav1.ListOptions{Limit: 100}, "/api/v1/namespaces", namespace, "limitranges"); err != nil {
		return nil, fmt.Errorf("list the LimitRanges of %s: %w", namespace, err)
	}
	return out.Items, nil
}

// Quotas lists the ResourceQuotas of a namespace.
func (c *Client) Quotas(ctx context.Context, namespace string) ([]corev1.ResourceQuota, error) {
	var out corev1.ResourceQuotaList
	if err := c.list(ctx, &out, metav1.ListOptions{Limit: 100}, "/api/v1/namespaces", namespace, "resourcequotas"); err != nil {
		return nil, fmt.Errorf("list the quotas of %s: %w", namespace, err)
	}
	return out.Items, nil
}

// Node reads one node.
func (c *Client) Node(ctx context.Context, name string) (*corev1.Node, error) {
	node, err := get[corev1.Node](ctx, c, "/api/v1/nodes", name)
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", name, err)
	}
	return node, nil
}

// nodesPage is how many nodes are listed at a time.
const nodesPage = 500

// Nodes lists the nodes of the cluster.
func (c *Client) Nodes(ctx context.Context) ([]corev1.Node, error) {
	var out []corev1.Node
	for opts := (metav1.ListOptions{Limit: nodesPage}); ; {
		var page corev1.NodeList
		if err := c.list(ctx, &page, opts, "/api/v1/nodes"); err != nil {
			return nil, fmt.Errorf("list the nodes: %w", err)
		}
		out = append(out, page.Items...)
		if opts.Continue = page.Continue; opts.Continue == "" {
			return out, nil
		}
	}
}
