package watcher

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// vpa is what counts of a VerticalPodAutoscaler, which is a CRD; its module would
// be a dependency for three fields.
type vpa struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec vpaSpec `json:"spec"`
}

type vpaSpec struct {
	TargetRef struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"targetRef"`
	UpdatePolicy struct {
		UpdateMode string `json:"updateMode"`
	} `json:"updatePolicy"`
}

// DeepCopyObject implements runtime.Object.
func (v *vpa) DeepCopyObject() runtime.Object {
	out := &vpa{TypeMeta: v.TypeMeta, Spec: v.Spec}
	v.DeepCopyInto(&out.ObjectMeta)
	return out
}

type vpaList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []vpa `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *vpaList) DeepCopyObject() runtime.Object {
	out := &vpaList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy()}
	for i := range l.Items {
		item := vpa{TypeMeta: l.Items[i].TypeMeta, Spec: l.Items[i].Spec}
		l.Items[i].DeepCopyInto(&item.ObjectMeta)
		out.Items = append(out.Items, item)
	}
	return out
}

// addVPAs has a client understand them.
func addVPAs(scheme *runtime.Scheme) error {
	version := schema.GroupVersion{Group: "autoscaling.k8s.io", Version: "v1"}
	scheme.AddKnownTypeWithName(version.WithKind("VerticalPodAutoscaler"), &vpa{})
	scheme.AddKnownTypeWithName(version.WithKind("VerticalPodAutoscalerList"), &vpaList{})
	metav1.AddToGroupVersion(scheme, version)
	return nil
}
