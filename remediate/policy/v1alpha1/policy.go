package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RightSizerPolicy says what may be done to workloads of its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=rightsizerpolicies,singular=rightsizerpolicy,scope=Namespaced,shortName=rsp,categories={rightsizer}
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Persistence",type=string,JSONPath=`.spec.persistence`
// +kubebuilder:printcolumn:name="Ceiling",type=string,JSONPath=`.spec.riskCeiling`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RightSizerPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What may be done, and to whom.
	// +optional
	// +kubebuilder:default={}
	Spec RightSizerPolicySpec `json:"spec,omitempty"`

	// What the operator makes of it.
	// +optional
	Status PolicyStatus `json:"status,omitempty"`
}

// RightSizerPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type RightSizerPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []RightSizerPolicy `json:"items"`
}

// RightSizerPolicySpec is what a policy of one namespace says.
type RightSizerPolicySpec struct {
	PolicySpec `json:",inline"`
}

// ClusterRightSizerPolicy says what may be done to workloads of the namespaces it
// selects. A RightSizerPolicy that selects the same workload wins over it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=clusterrightsizerpolicies,singular=clusterrightsizerpolicy,scope=Cluster,shortName=crsp,categories={rightsizer}
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Persistence",type=string,JSONPath=`.spec.persistence`
// +kubebuilder:printcolumn:name="Ceiling",type=string,JSONPath=`.spec.riskCeiling`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterRightSizerPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What may be done, and to whom.
	// +optional
	// +kubebuilder:default={}
	Spec ClusterRightSizerPolicySpec `json:"spec,omitempty"`

	// What the operator makes of it.
	// +optional
	Status PolicyStatus `json:"status,omitempty"`
}

// ClusterRightSizerPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type ClusterRightSizerPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ClusterRightSizerPolicy `json:"items"`
}

// ClusterRightSizerPolicySpec is what a policy of the cluster says.
type ClusterRightSizerPolicySpec struct {
	PolicySpec `json:",inline"`

	// Namespaces it reaches; empty is all but kube-system and the operator's own.
	// +optional
	NamespaceSelector *NamespaceSelector `json:"namespaceSelector,omitempty"`

	// Budget over all actions in the cluster, by whatever policy. Where several
	// policies set one, the strictest holds.
	// +optional
	ClusterBudget *Budget `json:"clusterBudget,omitempty"`
}

// PolicySpec is what both kinds of policies say.
type PolicySpec struct {
	// Workloads it governs; empty is all in reach.
	// +optional
	// +kubebuilder:default={}
	Selector WorkloadSelector `json:"selector,omitempty"`

	// How far it goes. "Off" (in quotes, since YAML reads a bare Off as false):
	// nothing. Observe: events. Recommend: also
	// recommendations. DryRun: also Remediations that end after a server-side
	// dry run. Approve: Remediations that wait for a person. Auto: they are
	// carried out.
	// +optional
	// +kubebuilder:default=Recommend
	Mode Mode `json:"mode,omitempty"`

	// How far it goes for kinds of actions, where that differs from mode.
	// +optional
	// +listType=map
	// +listMapKey=action
	// +kubebuilder:validation:MaxItems=32
	Modes []ActionMode `json:"modes,omitempty"`

	// Who owns the size from then on. NewPods: new pods of the workload are
	// resized in place when they are seen. Template: the template is patched.
	// Export: the patch is handed to whoever owns the manifests.
	// +optional
	// +kubebuilder:default=NewPods
	Persistence Persistence `json:"persistence,omitempty"`

	// Limits to what an action may set.
	// +optional
	// +kubebuilder:default={}
	Bounds Bounds `json:"bounds,omitempty"`

	// How much may be done at a time, over all kinds of actions.
	// +optional
	// +kubebuilder:default={}
	Budgets Budgets `json:"budgets,omitempty"`

	// When actions may be carried out; empty is always. Outside they wait, as
	// long as they have not expired.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Windows []Window `json:"windows,omitempty"`

	// How long a container is left alone after an action.
	// +optional
	// +kubebuilder:default={}
	Cooldowns Cooldowns `json:"cooldowns,omitempty"`

	// Highest risk that is carried out without a person in mode Auto; above it
	// an approval is waited for.
	// +optional
	// +kubebuilder:default=Medium
	RiskCeiling RiskLevel `json:"riskCeiling,omitempty"`

	// Who decides, and how long a decision is waited for.
	// +optional
	// +kubebuilder:default={}
	Approval Approval `json:"approval,omitempty"`

	// When a repaired workload counts as cured.
	// +optional
	// +kubebuilder:default={}
	Verification Verification `json:"verification,omitempty"`

	// Webhooks that are told, or asked, before an action.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Webhooks []Webhook `json:"webhooks,omitempty"`

	// Oldest cause that is acted on, from 1s to 1h.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be a duration from 1s to 1h, such as 10m"
	MaxCauseAge Duration `json:"maxCauseAge,omitempty"`
}

// ActionMode is how far a policy goes for one kind of action.
type ActionMode struct {
	// Kind of the action.
	Action ActionKind `json:"action"`

	// How far the policy goes for it.
	Mode Mode `json:"mode"`
}

// PolicyStatus is what the operator makes of a policy.
type PolicyStatus struct {
	// Generation that the rest was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Accepted: the operator can follow it. Ready: it is in force.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Types of a policy's conditions.
const (
	// ConditionAccepted: the operator can follow the policy. While it is not
	// True, the policy governs what it selects as Recommend: nothing is changed.
	ConditionAccepted = "Accepted"
	// ConditionReady: the policy is in force.
	ConditionReady = "Ready"
)
