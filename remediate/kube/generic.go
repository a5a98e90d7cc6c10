package kube

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// readAs reads an object of one kind as a Workload.
func readAs[T any, P interface {
	*T
	runtime.Object
}](ctx context.Context, c *Client, path []string, from func(P) *Workload) (*Workload, error) {
	obj, err := get[T, P](ctx, c, path...)
	if err != nil {
		return nil, err
	}
	return from(obj), nil
}

// patchAs sends a patch and reads the answer as a Workload.
func patchAs(ctx context.Context, kind string, req *rest.Request) (*Workload, error) {
	switch kind {
	case "Deployment":
		return sendAs(ctx, req, fromDeployment)
	case "StatefulSet":
		return sendAs(ctx, req, fromStatefulSet)
	case "DaemonSet":
		return sendAs(ctx, req, fromDaemonSet)
	case "ReplicaSet":
		return sendAs(ctx, req, fromReplicaSet)
	case "Job":
		return sendAs(ctx, req, fromJob)
	case "CronJob":
		return sendAs(ctx, req, fromCronJob)
	default:
		return sendAs(ctx, req, fromPod)
	}
}

func sendAs[T any, P interface {
	*T
	runtime.Object
}](ctx context.Context, req *rest.Request, from func(P) *Workload) (*Workload, error) {
	out := P(new(T))
	if err := do(ctx, req, out); err != nil {
		return nil, err
	}
	return from(out), nil
}
