package tunnel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// Where an installation is, unless told otherwise.
const (
	// Selector are the labels of the operator's pods.
	Selector = "app.kubernetes.io/name=rightsizer"
	// portName and portNumber are the container's port with the API.
	portName, portNumber = "api", 9090
	// leaseName is held by the replica that changes workloads and measures.
	leaseName = "rightsizer"
)

// target is a pod and the port of its API.
type target struct {
	pod  string
	port int32
}

// find looks for a pod that is ready; among several for the one that leads, which
// alone knows all usage.
func (t *Tunnel) find(ctx context.Context) (target, error) {
	list := &corev1.PodList{}
	err := t.core.Get().Namespace(t.opts.Namespace).Resource("pods").
		VersionedParams(&metav1.ListOptions{LabelSelector: Selector}, scheme.ParameterCodec).Do(ctx).Into(list)
	if err != nil {
		return target{}, fmt.Errorf("look for the operator: %w", err)
	}
	ready := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return !isReady(&p) })
	if len(ready) == 0 {
		return target{}, fmt.Errorf("no operator is ready in namespace %q (of %d pods with %s); --operator-namespace says where it is",
			t.opts.Namespace, len(list.Items), Selector)
	}
	slices.SortFunc(ready, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	chosen := &ready[0]
	if len(ready) > 1 {
		if i := slices.IndexFunc(ready, t.leads(ctx)); i >= 0 {
			chosen = &ready[i]
		}
	}
	return target{pod: chosen.Name, port: apiPort(chosen)}, nil
}

// leads tells the pod that holds the lease; nobody does where the lease may not be
// read, and then any pod is as good.
func (t *Tunnel) leads(ctx context.Context) func(corev1.Pod) bool {
	lease := &coordinationv1.Lease{}
	if err := t.leases.Get().Namespace(t.opts.Namespace).Resource("leases").Name(leaseName).Do(ctx).Into(lease); err != nil || lease.Spec.HolderIdentity == nil {
		return func(corev1.Pod) bool { return false }
	}
	// The holder's name is the pod's, which is its host name, and what tells its
	// processes apart.
	holder, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return func(p corev1.Pod) bool { return p.Name == holder }
}

func isReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// apiPort is the port that the pod calls its API's, wherever it was put.
func apiPort(p *corev1.Pod) int32 {
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name == portName {
				return port.ContainerPort
			}
		}
	}
	return portNumber
}
