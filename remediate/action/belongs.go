package action

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rightsizer/rightsizer/remediate/kube"
)

// belonging reads a pod by its name and checks that it is of the workload: rights,
// policy and guards were asked about that one, not about whatever has the name.
// uid is the pod's; empty is any. Errors wrap ErrGone or ErrUnsupported, or are
// those of the API server.
func belonging(ctx context.Context, client *kube.Client, w *kube.Workload, name, uid string) (*corev1.Pod, error) {
	pod, err := client.Pod(ctx, w.Namespace, name)
	if err != nil {
		return nil, Judge(err)
	}
	if uid != "" && string(pod.UID) != uid {
		return nil, because(ErrGone, "pod %s is another one by now", name)
	}
	return pod, belongs(ctx, client, w, pod)
}

// Pods lists the workload's own pods: the selector of another may choose them too.
func Pods(ctx context.Context, client *kube.Client, w *kube.Workload) ([]corev1.Pod, error) {
	all, err := client.Pods(ctx, w)
	if err != nil {
		return nil, Judge(err)
	}
	own := map[types.UID]bool{} // by controller, of which there are few
	out := all[:0]
	for i := range all {
		owner := metav1.GetControllerOf(&all[i])
		if owner == nil {
			owner = &metav1.OwnerReference{UID: all[i].UID}
		}
		is, known := own[owner.UID]
		if !known {
			err := belongs(ctx, client, w, &all[i])
			if err != nil && !errors.Is(err, ErrUnsupported) {
				return nil, err
			}
			is = err == nil
			own[owner.UID] = is
		}
		if is {
			out = append(out, all[i])
		}
	}
	return out, nil
}

// belongs checks that a pod is the workload's.
func belongs(ctx context.Context, client *kube.Client, w *kube.Workload, pod *corev1.Pod) error {
	if string(pod.UID) == w.UID {
		return nil // a bare pod
	}
	owner := metav1.GetControllerOf(pod)
	if owner != nil && string(owner.UID) == w.UID {
		return nil
	}
	// A Deployment's pods are its ReplicaSets', a CronJob's its Jobs'.
	if owner != nil && (owner.Kind == "ReplicaSet" || owner.Kind == "Job") {
		between, err := client.Workload(ctx, w.Namespace, owner.Kind, owner.Name)
		if err = Judge(err); err != nil && !errors.Is(err, ErrGone) {
			return err
		}
		if err == nil && between.Controller != nil && string(between.Controller.UID) == w.UID {
			return nil
		}
	}
	return because(ErrUnsupported, "pod %s is none of %s", pod.Name, w)
}
