package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Mode is how far a policy goes.
// +kubebuilder:validation:Enum=Off;Observe;Recommend;DryRun;Approve;Auto
type Mode string

// The modes, each including the ones before it.
const (
	// ModeOff is nothing at all.
	ModeOff Mode = "Off"
	// ModeObserve is events.
	ModeObserve Mode = "Observe"
	// ModeRecommend is events and recommendations: what holds without a policy.
	ModeRecommend Mode = "Recommend"
	// ModeDryRun also makes Remediations that end after a server-side dry run.
	ModeDryRun Mode = "DryRun"
	// ModeApprove also makes Remediations that wait for a person.
	ModeApprove Mode = "Approve"
	// ModeAuto carries Remediations out.
	ModeAuto Mode = "Auto"
)

// ActionKind names what is done: one of the constants, or a registered one.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9_]*$')",message="must be the kind of an action: restart_pod, rollout_restart, resize_in_place, resize_template, scale, export, webhook, or a registered one in lower case with underscores"
type ActionKind string

// The kinds of actions that come with the operator.
const (
	ActionRestartPod     ActionKind = "restart_pod"
	ActionRolloutRestart ActionKind = "rollout_restart"
	ActionResizeInPlace  ActionKind = "resize_in_place"
	ActionResizeTemplate ActionKind = "resize_template"
	ActionScale          ActionKind = "scale"
	ActionExport         ActionKind = "export"
	ActionWebhook        ActionKind = "webhook"
)

// Persistence says who owns a workload's size after it was repaired.
// +kubebuilder:validation:Enum=NewPods;Template;Export
type Persistence string

// Ways in which a cure lasts.
const (
	// PersistNewPods resizes new pods of the workload in place when they are seen.
	PersistNewPods Persistence = "NewPods"
	// PersistTemplate patches the workload's template.
	PersistTemplate Persistence = "Template"
	// PersistExport hands the patch to whoever owns the manifests.
	PersistExport Persistence = "Export"
)

// RiskLevel is how risky a remediation is.
// +kubebuilder:validation:Enum=Low;Medium;High;Critical
type RiskLevel string

// The levels, in rising order.
const (
	// RiskLow: nobody will notice.
	RiskLow RiskLevel = "Low"
	// RiskMedium: somebody may notice.
	RiskMedium RiskLevel = "Medium"
	// RiskHigh: a disruption is likely.
	RiskHigh RiskLevel = "High"
	// RiskCritical: an outage is possible.
	RiskCritical RiskLevel = "Critical"
)

// Resources are amounts of CPU and memory; unset is not spoken about.
type Resources struct {
	// CPU in cores, such as 250m.
	// +optional
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// Memory in bytes, such as 256Mi.
	// +optional
	Memory *resource.Quantity `json:"memory,omitempty"`
}

// ShortText is a sentence for a person.
// +kubebuilder:validation:MaxLength=256
type ShortText string

// EventID is the id of an event or of a problem.
// +kubebuilder:validation:MaxLength=64
type EventID string
