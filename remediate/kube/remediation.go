package kube

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const (
	groupPath  = "/apis/" + v1alpha1.Group + "/v1alpha1"
	resource   = "remediations"
	apiVersion = v1alpha1.Group + "/v1alpha1"
	// recordManager is who writes Remediations: effects have another.
	recordManager = "rightsizer"
)

// Remediation reads one Remediation.
func (c *Client) Remediation(ctx context.Context, namespace, name string) (*v1alpha1.Remediation, error) {
	out := &v1alpha1.Remediation{}
	req := c.rest.Get().AbsPath(groupPath, "namespaces", namespace, resource, name).SetHeader("Accept", asJSON)
	if err := do(ctx, req, out); err != nil {
		return nil, fmt.Errorf("read remediation %s/%s: %w", namespace, name, err)
	}
	return out, nil
}

// CreateRemediation makes a Remediation; its status is written afterwards.
func (c *Client) CreateRemediation(ctx context.Context, r *v1alpha1.Remediation, dryRun bool) (*v1alpha1.Remediation, error) {
	body, err := encode(r)
	if err != nil {
		return nil, err
	}
	out := &v1alpha1.Remediation{}
	req := Write{Manager: recordManager, DryRun: dryRun}.onto(c.rest.Post().AbsPath(groupPath, "namespaces", r.Namespace, resource)).
		SetHeader("Accept", asJSON).SetHeader("Content-Type", asJSON).Body(body)
	if err := do(ctx, req, out); err != nil {
		return nil, fmt.Errorf("make remediation %s/%s: %w", r.Namespace, r.Name, err)
	}
	return out, nil
}

// UpdateStatus writes a Remediation's status by compare-and-set on its resource
// version.
func (c *Client) UpdateStatus(ctx context.Context, r *v1alpha1.Remediation) (*v1alpha1.Remediation, error) {
	body, err := encode(r)
	if err != nil {
		return nil, err
	}
	out := &v1alpha1.Remediation{}
	req := Write{Manager: recordManager}.onto(c.rest.Put().AbsPath(groupPath, "namespaces", r.Namespace, resource, r.Name, "status")).
		SetHeader("Accept", asJSON).SetHeader("Content-Type", asJSON).Body(body)
	if err := do(ctx, req, out); err != nil {
		return nil, fmt.Errorf("write the status of remediation %s/%s: %w", r.Namespace, r.Name, err)
	}
	return out, nil
}

// encode writes a Remediation without what the server keeps for itself: the
// owners of fields make most of its size.
func encode(r *v1alpha1.Remediation) ([]byte, error) {
	bare := *r
	bare.TypeMeta = metav1.TypeMeta{APIVersion: apiVersion, Kind: v1alpha1.KindRemediation}
	bare.ManagedFields = nil
	body, err := json.Marshal(&bare)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return body, nil
}

// DeleteRemediation deletes a Remediation of this UID and resource version.
func (c *Client) DeleteRemediation(ctx context.Context, namespace, name, uid, version string) error {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "DeleteOptions",
		"preconditions": map[string]string{"uid": uid, "resourceVersion": version},
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req := c.rest.Delete().AbsPath(groupPath, "namespaces", namespace, resource, name).SetHeader("Accept", asJSON).
		SetHeader("Content-Type", asJSON).Body(body)
	if err := do(ctx, req, nil); err != nil {
		return fmt.Errorf("delete remediation %s/%s: %w", namespace, name, err)
	}
	return nil
}

// ListRemediations lists a page of all Remediations of the cluster.
func (c *Client) ListRemediations(ctx context.Context, opts metav1.ListOptions) (*v1alpha1.RemediationList, error) {
	out := &v1alpha1.RemediationList{}
	req := c.rest.Get().AbsPath(groupPath, resource).SetHeader("Accept", asJSON).SpecificallyVersionedParams(&opts, metav1.ParameterCodec, listVersion)
	if err := do(ctx, req, out); err != nil {
		return nil, fmt.Errorf("list remediations: %w", err)
	}
	return out, nil
}

// WatchRemediations watches all Remediations of the cluster until ctx ends.
func (c *Client) WatchRemediations(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	opts.Watch = true
	w, err := c.rest.Get().AbsPath(groupPath, resource).SetHeader("Accept", asJSON).SpecificallyVersionedParams(&opts, metav1.ParameterCodec, listVersion).MaxRetries(0).Watch(ctx)
	if err != nil {
		return nil, fmt.Errorf("watch remediations: %w", err)
	}
	return w, nil
}
