package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RemediationState is where a Remediation stands.
// +kubebuilder:validation:Enum=Proposed;PendingApproval;Approved;Executing;Verifying;Succeeded;RolledBack;Escalated;Rejected;Expired;Cancelled;Aborted;Failed;DryRun
type RemediationState string

// The states. Which follows which is remediate/plan's table.
const (
	StateProposed        RemediationState = "Proposed"
	StatePendingApproval RemediationState = "PendingApproval"
	StateApproved        RemediationState = "Approved"
	StateExecuting       RemediationState = "Executing"
	StateVerifying       RemediationState = "Verifying"
	StateSucceeded       RemediationState = "Succeeded"
	StateRolledBack      RemediationState = "RolledBack"
	StateEscalated       RemediationState = "Escalated"
	StateRejected        RemediationState = "Rejected"
	StateExpired         RemediationState = "Expired"
	StateCancelled       RemediationState = "Cancelled"
	StateAborted         RemediationState = "Aborted"
	StateFailed          RemediationState = "Failed"
	StateDryRun          RemediationState = "DryRun"
)

// MaxTargets is how many pods one Remediation acts on, at most.
const MaxTargets = 256

// MaxCauses is how many later causes a Remediation keeps, at most.
const MaxCauses = 64

// MaxTransitions is how many changes of state a Remediation keeps, at most.
const MaxTransitions = 32

// RemediationStatus is what became of a Remediation.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.approval) || (has(self.approval) && self.approval == oldSelf.approval)",message="approval was given and cannot be changed: cancel this Remediation instead"
type RemediationStatus struct {
	// Generation that the rest is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Where it stands; unset before it was looked at.
	// +optional
	State RemediationState `json:"state,omitempty"`

	// Why it is in its state, for a person.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// What a person decided. It can be written once.
	// +optional
	Approval *ApprovalDecision `json:"approval,omitempty"`

	// Identity of the replica that carries it out.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Holder string `json:"holder,omitempty"`

	// What was done to each pod; for an action on the workload itself one entry
	// without a pod.
	// +optional
	// +listType=map
	// +listMapKey=uid
	// +kubebuilder:validation:MaxItems=256
	Targets []Target `json:"targets,omitempty"`

	// Later causes that joined it, the latest last.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Causes []Cause `json:"causes,omitempty"`

	// How many causes joined it, beyond those that are kept.
	// +optional
	// +kubebuilder:validation:Minimum=0
	JoinedCauses int32 `json:"joinedCauses,omitempty"`

	// What was seen after it was carried out.
	// +optional
	Verification *VerificationEvidence `json:"verification,omitempty"`

	// How it came to its state, the latest last.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Transitions []Transition `json:"transitions,omitempty"`

	// When it was carried out first.
	// +optional
	StartTime *metav1.MicroTime `json:"startTime,omitempty"`

	// When it came to a state that it does not leave.
	// +optional
	FinishTime *metav1.MicroTime `json:"finishTime,omitempty"`

	// Conditions, for kubectl wait: Approved, Executed, Verified.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Decision is what a person decided.
// +kubebuilder:validation:Enum=Approve;Reject
type Decision string

// The decisions.
const (
	DecisionApprove Decision = "Approve"
	DecisionReject  Decision = "Reject"
)

// ApprovalDecision is what a person decided, bound to who it was and to what was
// looked at.
type ApprovalDecision struct {
	// Approve or Reject.
	Decision Decision `json:"decision"`

	// Who decided, as the API server names him.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	User string `json:"user"`

	// Generation of the Remediation that was decided upon.
	// +kubebuilder:validation:Minimum=1
	Generation int64 `json:"generation"`

	// Why, for the audit.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// When, as far as whoever decided says so.
	// +optional
	Time *metav1.MicroTime `json:"time,omitempty"`
}

// TargetResult is what became of one target.
// +kubebuilder:validation:Enum=Intended;Applied;Confirmed;Failed;Reverted
type TargetResult string

// What became of one target.
const (
	// TargetIntended: the write is about to be made; after a crash the live
	// object is read before anything else.
	TargetIntended TargetResult = "Intended"
	// TargetApplied: the API server accepted the write.
	TargetApplied TargetResult = "Applied"
	// TargetConfirmed: the live object shows its effect.
	TargetConfirmed TargetResult = "Confirmed"
	// TargetFailed: it was refused, or had no effect.
	TargetFailed TargetResult = "Failed"
	// TargetReverted: its effect was taken back.
	TargetReverted TargetResult = "Reverted"
)

// Target is the one effect on one pod, or on the workload itself.
type Target struct {
	// Name of the pod; unset for the workload itself.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod,omitempty"`

	// UID of the pod, or of the workload.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid"`

	// Resource version that the write carries as its precondition.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ResourceVersion string `json:"resourceVersion,omitempty"`

	// What there was before.
	// +optional
	Before *TargetValues `json:"before,omitempty"`

	// What is to be set.
	// +optional
	Desired *TargetValues `json:"desired,omitempty"`

	// What became of it.
	Result TargetResult `json:"result"`

	// Why, for a person.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// When it last changed.
	// +optional
	Time *metav1.MicroTime `json:"time,omitempty"`
}

// TargetValues are the values that an action sets.
type TargetValues struct {
	// Requests of the container.
	// +optional
	Requests *Resources `json:"requests,omitempty"`

	// Limits of the container.
	// +optional
	Limits *Resources `json:"limits,omitempty"`

	// Replicas of the workload.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// Anything else, such as the value of an annotation, or a digest.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Other string `json:"other,omitempty"`
}

// VerificationEvidence is what was seen after an action.
type VerificationEvidence struct {
	// When the watching began: with the last target's effect.
	// +optional
	StartTime *metav1.MicroTime `json:"startTime,omitempty"`

	// When it ends.
	// +optional
	EndTime *metav1.MicroTime `json:"endTime,omitempty"`

	// Whether all pods were ready.
	// +optional
	Ready *bool `json:"ready,omitempty"`

	// Restarts since, beside those of the action.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Restarts *int32 `json:"restarts,omitempty"`

	// OOM kills since.
	// +optional
	// +kubebuilder:validation:Minimum=0
	OOMKills *int32 `json:"oomKills,omitempty"`

	// Throttled share of the CPU periods, in percent; unset where unknown.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	ThrottledPercent *int32 `json:"throttledPercent,omitempty"`

	// Used share of the memory limit, in percent; unset where unknown.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MemoryPercent *int32 `json:"memoryPercent,omitempty"`

	// What decided, each with its numbers.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Findings []ShortText `json:"findings,omitempty"`
}

// Transition is one change of state.
type Transition struct {
	// The state before; unset for the first.
	// +optional
	From RemediationState `json:"from,omitempty"`

	// The state after.
	To RemediationState `json:"to"`

	// When.
	Time metav1.MicroTime `json:"time"`

	// Who brought it about: a user, or a replica of the operator.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by,omitempty"`

	// Why.
	// +optional
	Reason ShortText `json:"reason,omitempty"`
}
