package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkloadKind is a kind of workload that can be repaired.
// +kubebuilder:validation:Enum=Deployment;StatefulSet;DaemonSet;Job;CronJob;ReplicaSet;ReplicationController;Pod
type WorkloadKind string

// ObjectName is the name of an object, as Kubernetes allows it.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
type ObjectName string

// NamespaceName is the name of a namespace.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must be the name of a namespace: lower-case letters, digits and dashes"
// +kubebuilder:validation:XValidation:rule="self != 'kube-system'",message="kube-system is out of reach of every policy: leave it out"
type NamespaceName string

// WorkloadSelector selects workloads. Everything that is set must hold; an empty
// one selects all.
type WorkloadSelector struct {
	// Kinds of workloads; empty is every kind.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Kinds []WorkloadKind `json:"kinds,omitempty"`

	// Names of workloads; empty is every name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Names []ObjectName `json:"names,omitempty"`

	// Labels that the workload object carries.
	LabelSelector `json:",inline"`
}

// NamespaceSelector selects namespaces. Everything that is set must hold; an empty
// one selects all but kube-system and the operator's own.
//
// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || !('kubernetes.io/metadata.name' in self.matchLabels) || self.matchLabels['kubernetes.io/metadata.name'] != 'kube-system'",message="kube-system is out of reach of every policy: select other namespaces"
type NamespaceSelector struct {
	// Names of namespaces; empty is every name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Names []NamespaceName `json:"names,omitempty"`

	// Labels that the namespace carries.
	LabelSelector `json:",inline"`
}

// LabelSelector selects by labels; everything that is set must hold. It is the
// one of Kubernetes with bounds.
type LabelSelector struct {
	// Labels that must have these values.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="keys must be label keys, such as app.kubernetes.io/name"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// Requirements that labels must meet.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="!format.labelValue().validate(self).hasValue()",message="must be the value of a label: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
type LabelValue string

// LabelRequirement is one requirement for a label.
//
// +kubebuilder:validation:XValidation:rule="self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",message="values must be set with In and NotIn, and left out with Exists and DoesNotExist"
type LabelRequirement struct {
	// Key of the label.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="must be a label key, such as app.kubernetes.io/name"
	Key string `json:"key"`

	// How values are compared.
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
	Operator metav1.LabelSelectorOperator `json:"operator"`

	// Values for In and NotIn.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Values []LabelValue `json:"values,omitempty"`
}
