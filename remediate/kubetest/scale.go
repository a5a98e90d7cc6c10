package kubetest

import (
	"encoding/json"
	"net/http"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	resourceScale       = "deployments/scale"
	resourceAutoscalers = "horizontalpodautoscalers"
)

var (
	scaleType      = metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"}
	autoscalerType = metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"}
)

// Deployment returns a copy of a Deployment, nil where there is none.
func (a *API) Deployment(namespace, name string) *appsv1.Deployment {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.shown(a.workloads[place{deployments, key{namespace, name}}]).(*appsv1.Deployment)
	if !ok {
		return nil
	}
	return d
}

// ChangeDeployment changes a Deployment as somebody else would, who goes by a field
// manager.
func (a *API) ChangeDeployment(namespace, name, manager string, change func(*appsv1.Deployment)) {
	a.ChangeWorkload(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, func(w Workload) {
		if d, ok := w.(*appsv1.Deployment); ok {
			change(d)
		}
		w.SetManagedFields(wrote(w.GetManagedFields(), manager, ""))
	})
}

// PutAutoscaler stores a HorizontalPodAutoscaler; its UID is after its name.
func (a *API) PutAutoscaler(hpa *autoscalingv2.HorizontalPodAutoscaler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hpa = hpa.DeepCopy()
	hpa.UID, hpa.ResourceVersion = types.UID("uid-"+hpa.Name), a.next()
	a.autoscalers[key{hpa.Namespace, hpa.Name}] = hpa
}

// Autoscaler returns a copy of one, nil where there is none.
func (a *API) Autoscaler(namespace, name string) *autoscalingv2.HorizontalPodAutoscaler {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.autoscalers[key{namespace, name}].DeepCopy()
}

// ChangeAutoscaler changes one as somebody else would.
func (a *API) ChangeAutoscaler(namespace, name, manager string, change func(*autoscalingv2.HorizontalPodAutoscaler)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hpa := a.autoscalers[key{namespace, name}].DeepCopy()
	change(hpa)
	hpa.ManagedFields = wrote(hpa.ManagedFields, manager, "")
	hpa.ResourceVersion = a.next()
	a.autoscalers[key{namespace, name}] = hpa
}

// wrote is what managedFields are after a manager's write of the number of
// replicas, or of a bound: it takes the field from who had it.
func wrote(fields []metav1.ManagedFieldsEntry, manager, subresource string) []metav1.ManagedFieldsEntry {
	at := now()
	others := slices.DeleteFunc(slices.Clone(fields), func(f metav1.ManagedFieldsEntry) bool { return f.Subresource != "status" })
	return append(others, metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: subresource, Time: &at,
		FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`),
	})
}

// scale writes a Deployment's scale.
func (a *API) scale(w Write, body []byte, dry bool) (any, error) {
	w.Verb = "update"
	if !dry {
		a.announce(w)
	}
	there, ok := a.workloads[place{deployments, key{w.Namespace, w.Name}}].(*appsv1.Deployment)
	if !ok {
		return nil, notFound(deployments, w.Name)
	}
	in := &autoscalingv1.Scale{}
	if err := json.Unmarshal(body, in); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if err := held(w, body, there); err != nil {
		return nil, err
	}
	d := there.DeepCopy()
	d.Spec.Replicas = &in.Spec.Replicas
	if !dry {
		d.ManagedFields = wrote(d.ManagedFields, w.Manager, "scale")
		a.update(d)
		a.accept(w)
	}
	out := &autoscalingv1.Scale{TypeMeta: scaleType, ObjectMeta: in.ObjectMeta, Spec: in.Spec}
	out.ResourceVersion = d.ResourceVersion
	return out, nil
}

// autoscaler serves HorizontalPodAutoscalers: a merge patch may set their bounds.
func (a *API) autoscaler(method string, w Write, body []byte, dry bool) (any, error) {
	if w.Name == "" {
		out := autoscalingv2.HorizontalPodAutoscalerList{TypeMeta: metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscalerList"}}
		for k, hpa := range a.autoscalers {
			if k.namespace == w.Namespace {
				out.Items = append(out.Items, *hpa.DeepCopy())
			}
		}
		return &out, nil
	}
	if method != http.MethodPatch {
		return found(a.autoscalers, w, autoscalerType, func(h *autoscalingv2.HorizontalPodAutoscaler, m metav1.TypeMeta) { h.TypeMeta = m })
	}
	w.Verb = "patch"
	if !dry {
		a.announce(w)
	}
	k := key{w.Namespace, w.Name}
	if a.autoscalers[k] == nil {
		return nil, notFound(w.Resource, w.Name)
	}
	hpa := a.autoscalers[k].DeepCopy()
	var patch struct {
		Spec struct{ MinReplicas, MaxReplicas *int32 }
	}
	if err := json.Unmarshal(body, &patch); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if err := held(w, body, hpa); err != nil {
		return nil, err
	}
	if n := patch.Spec.MinReplicas; n != nil {
		hpa.Spec.MinReplicas = n
	}
	if n := patch.Spec.MaxReplicas; n != nil {
		hpa.Spec.MaxReplicas = *n
	}
	hpa.TypeMeta = autoscalerType
	if dry {
		return hpa, nil
	}
	hpa.ManagedFields = wrote(hpa.ManagedFields, w.Manager, "")
	hpa.ResourceVersion = a.next()
	a.autoscalers[k] = hpa
	a.accept(w)
	return hpa, nil
}
