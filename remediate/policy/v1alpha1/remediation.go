package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Remediation is the durable record of one decision: for one container of a
// workload (or the workload as a whole) and one episode, named by the hash of
// cluster, workload UID, container, action and episode. Its spec never changes;
// its status says what became of it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=remediations,singular=remediation,scope=Namespaced,shortName=rem,categories={rightsizer}
// +kubebuilder:printcolumn:name="Workload",type=string,JSONPath=`.spec.workload.name`
// +kubebuilder:printcolumn:name="Container",type=string,JSONPath=`.spec.container`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action.kind`
// +kubebuilder:printcolumn:name="Risk",type=string,JSONPath=`.spec.risk`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Decided by",type=string,JSONPath=`.status.approval.user`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Remediation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is to be done, and why. It cannot be changed.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec cannot be changed, since an approval is bound to it: cancel this Remediation and let a new one be made"
	Spec RemediationSpec `json:"spec"`

	// What became of it.
	// +optional
	Status RemediationStatus `json:"status,omitempty"`
}

// RemediationList is a list of Remediations.
//
// +kubebuilder:object:root=true
type RemediationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Remediation `json:"items"`
}

// RemediationSpec is the decision.
//
// +kubebuilder:validation:XValidation:rule="!(self.action.kind in ['resize_in_place', 'resize_template']) || has(self.container)",message="container must be set for a resize"
// +kubebuilder:validation:XValidation:rule="has(self.policy) || has(self.requestedBy)",message="policy or requestedBy must be set: somebody decided"
type RemediationSpec struct {
	// The workload, bound to its UID.
	Workload WorkloadReference `json:"workload"`

	// Container of the workload; unset where the action is for the workload.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`

	// What is to be done.
	Action RemediationAction `json:"action"`

	// The episode: what tells this decision from the next one for the same
	// container and action.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Episode string `json:"episode"`

	// The event that caused it; unset where a person asked for it.
	// +optional
	Cause *Cause `json:"cause,omitempty"`

	// The policy that governed the workload then; unset where none did.
	// +optional
	Policy *PolicyReference `json:"policy,omitempty"`

	// Mode of the policy for the action then.
	// +kubebuilder:validation:XValidation:rule="self in ['DryRun', 'Approve', 'Auto']",message="must be DryRun, Approve or Auto: no other mode makes a Remediation"
	Mode Mode `json:"mode"`

	// Who owns the size from then on.
	// +optional
	Persistence Persistence `json:"persistence,omitempty"`

	// Who asked for it; unset where a policy did.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	RequestedBy string `json:"requestedBy,omitempty"`

	// Who vouched for that name: kubernetes, oidc, static or certificate. Only the
	// names that Kubernetes vouches for are those that kubectl goes by.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	RequestedVia string `json:"requestedVia,omitempty"`

	// Key of the request that asked for it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestID string `json:"requestID,omitempty"`

	// Hash of that request's body, in hexadecimal.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RequestHash string `json:"requestHash,omitempty"`

	// Why, in the words of who asked, for the audit.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// Whether it restarts, evicts or replaces pods, which the disruption budgets
	// count.
	// +optional
	Disruptive bool `json:"disruptive,omitempty"`

	// How risky it is.
	Risk RiskLevel `json:"risk"`

	// Each reason for the risk.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	RiskReasons []ShortText `json:"riskReasons,omitempty"`

	// The change to the object as a JSON patch.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Diff string `json:"diff,omitempty"`

	// Only a server-side dry run.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`

	// Who may approve it; as the policy said then.
	// +optional
	Approval ApprovalTerms `json:"approval,omitempty"`

	// When it is too late to carry it out.
	// +optional
	ExpireTime *metav1.Time `json:"expireTime,omitempty"`

	// When it counts as cured; as the policy said then.
	// +optional
	Verification *Verification `json:"verification,omitempty"`
}

// WorkloadReference is a workload of the Remediation's own namespace.
type WorkloadReference struct {
	// API version, such as apps/v1.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	APIVersion string `json:"apiVersion,omitempty"`

	// Kind, such as Deployment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// Name.
	Name ObjectName `json:"name"`

	// UID, so that another workload of that name is never meant.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid"`
}

// RemediationAction is what is to be done.
//
// +kubebuilder:validation:XValidation:rule="!(self.kind in ['resize_in_place', 'resize_template']) || has(self.requests) || has(self.limits)",message="requests or limits must be set for a resize"
// +kubebuilder:validation:XValidation:rule="self.kind != 'scale' || has(self.replicas)",message="replicas must be set to scale"
type RemediationAction struct {
	// Kind of the action.
	Kind ActionKind `json:"kind"`

	// For a resize: the requests to set.
	// +optional
	Requests *Resources `json:"requests,omitempty"`

	// For a resize: the limits to set.
	// +optional
	Limits *Resources `json:"limits,omitempty"`

	// For scale: the replicas to set.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Replicas *int32 `json:"replicas,omitempty"`

	// What an action takes besides.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Parameters map[string]ParameterValue `json:"parameters,omitempty"`
}

// ParameterValue is what a registered action takes.
// +kubebuilder:validation:MaxLength=1024
type ParameterValue string

// Cause is the event that caused a decision.
type Cause struct {
	// Id of the event.
	EventID EventID `json:"eventID"`

	// Id of the problem that it belongs to.
	// +optional
	ProblemID EventID `json:"problemID,omitempty"`

	// Type of the event, such as pod.oom_killed.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Type string `json:"type,omitempty"`

	// Pod that it happened to.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod,omitempty"`

	// When it happened.
	// +optional
	Time *metav1.MicroTime `json:"time,omitempty"`
}

// PolicyReference is a policy as it was.
type PolicyReference struct {
	// RightSizerPolicy or ClusterRightSizerPolicy.
	// +kubebuilder:validation:Enum=RightSizerPolicy;ClusterRightSizerPolicy
	Kind string `json:"kind"`

	// Namespace; unset for a ClusterRightSizerPolicy.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// Name.
	Name ObjectName `json:"name"`

	// UID.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid,omitempty"`

	// Generation.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Generation int64 `json:"generation,omitempty"`
}

// ApprovalTerms say who may approve.
type ApprovalTerms struct {
	// Who asked for it may not approve it.
	// +optional
	FourEyes bool `json:"fourEyes,omitempty"`

	// Who may approve it; empty is everybody who has the right to.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Approvers []Approver `json:"approvers,omitempty"`
}
