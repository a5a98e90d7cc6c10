package v1alpha1

// Weekday is a day of the week.
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Weekday string

// WindowType says what a window does.
// +kubebuilder:validation:Enum=Allow;Deny
type WindowType string

// The types of windows.
const (
	// WindowAllow: actions are carried out inside. Where there is one of these,
	// they are carried out in none but these.
	WindowAllow WindowType = "Allow"
	// WindowDeny: no action is carried out inside, whatever else allows it.
	WindowDeny WindowType = "Deny"
)

// Window is a time of the week. It begins and ends by the clock on the wall of
// its time zone: where clocks are put forward over its start it begins with the
// first moment after the gap, where they are put back it ends at the second time
// that its end is shown.
type Window struct {
	// Name, for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Allow: actions are carried out inside, and where there is such a window in
	// none but these. Deny: none is carried out inside.
	// +optional
	// +kubebuilder:default=Allow
	Type WindowType `json:"type,omitempty"`

	// Time zone by its IANA name, such as Europe/Berlin.
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$') && self != 'Local'",message="must be the IANA name of a time zone, such as Europe/Berlin or UTC"
	TimeZone string `json:"timeZone,omitempty"`

	// Days on which it begins; empty is every day.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=7
	Days []Weekday `json:"days,omitempty"`

	// When it begins, HH:MM.
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="must be a time of day from 00:00 to 23:59, such as 22:00"
	Start string `json:"start"`

	// When it ends, HH:MM; not after start, it is on the next day.
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="must be a time of day from 00:00 to 23:59, such as 06:00"
	End string `json:"end"`
}

// Approval says who decides, and how long a decision is waited for.
type Approval struct {
	// Who may approve, beside having the right `update` on remediations/approve;
	// empty is everybody who has it.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Approvers []Approver `json:"approvers,omitempty"`

	// Who asked for an action may not approve it; nor may who is known by another kind
	// of login than who asked (a token of the cluster, an issuer's, a certificate, a
	// static token), unless approvers are named: they might be one person.
	// +optional
	// +kubebuilder:default=true
	FourEyes *bool `json:"fourEyes,omitempty"`

	// How long a decision is waited for, from 1m to 168h.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="must be a duration from 1m to 168h, such as 1h"
	Expiry Duration `json:"expiry,omitempty"`
}

// ApproverKind says whether a name is of a user or a group.
// +kubebuilder:validation:Enum=User;Group
type ApproverKind string

// Kinds of approvers.
const (
	ApproverUser  ApproverKind = "User"
	ApproverGroup ApproverKind = "Group"
)

// Approver is a user or a group, as the API server names them.
type Approver struct {
	// User or Group.
	Kind ApproverKind `json:"kind"`

	// Name of the user or group.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// FailureAction is what becomes of an action that did not help.
// +kubebuilder:validation:Enum=RollBack;Escalate
type FailureAction string

// What becomes of an action that did not help.
const (
	// OnFailureRollBack takes it back, and escalates where that is impossible.
	OnFailureRollBack FailureAction = "RollBack"
	// OnFailureEscalate leaves it and calls a person.
	OnFailureEscalate FailureAction = "Escalate"
)

// Verification says when a repaired workload counts as cured.
type Verification struct {
	// How long it is watched once the action took effect and the pods are ready, from
	// 10s to 24h.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="must be a duration from 10s to 24h, such as 5m"
	Window Duration `json:"window,omitempty"`

	// How long the action may take to take effect and the pods to be ready, from
	// 1s to 1h. A container that the kubelet leaves alone after it ended has this time
	// from its next start on.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be a duration from 1s to 1h, such as 5m"
	ReadyWithin Duration `json:"readyWithin,omitempty"`

	// Restarts in the window that are put up with, beside those of the action.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=0
	MaxRestarts int32 `json:"maxRestarts,omitempty"`

	// OOM kills in the window that are put up with.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=0
	MaxOOMKills int32 `json:"maxOOMKills,omitempty"`

	// Throttled share of the CPU periods in the window that is put up with, in
	// percent, where it is known and the action lowered CPU or replicas.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=25
	MaxThrottledPercent *int32 `json:"maxThrottledPercent,omitempty"`

	// Used share of the memory limit at the end of the window that is put up
	// with, in percent, where it is known and the action changed that limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=95
	MaxMemoryPercent int32 `json:"maxMemoryPercent,omitempty"`

	// What becomes of an action that did not help. A raise of memory after an
	// OOM kill is never taken back downwards, whatever this says.
	// +optional
	// +kubebuilder:default=RollBack
	OnFailure FailureAction `json:"onFailure,omitempty"`
}

// WebhookAnswer says what the answer of a webhook decides.
// +kubebuilder:validation:Enum=Ignore;Veto;Decide
type WebhookAnswer string

// What the answer of a webhook decides.
const (
	// WebhookIgnore: it is told, for a minute at most, and its answer decides nothing.
	WebhookIgnore WebhookAnswer = "Ignore"
	// WebhookVeto: its answer may stop the action.
	WebhookVeto WebhookAnswer = "Veto"
	// WebhookDecide: its answer may stop the action, or approve it.
	WebhookDecide WebhookAnswer = "Decide"
)

// Webhook is an address that is told, or asked, before an action: a CloudEvent
// with a Standard Webhooks signature, at least once, with the Remediation's name
// as its key.
//
// +kubebuilder:validation:XValidation:rule="!has(self.answer) || self.answer == 'Ignore' || has(self.secretRef)",message="secretRef must be set where the answer decides"
type Webhook struct {
	// Name, unique in the policy.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must be lower-case letters, digits and dashes"
	Name string `json:"name"`

	// Address. Redirects are not followed, and addresses that the operator's own
	// list does not allow are not called.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != '' && !self.contains('@') && !self.contains('#')",message="must be an https URL without user and fragment, such as https://hooks.example.com/rightsizer"
	URL string `json:"url"`

	// Secret that the messages are signed with: of the policy's own namespace,
	// for a ClusterRightSizerPolicy of the operator's. It is read from the
	// operator's folder webhook-secrets, never from the API. Unset, they are not
	// signed, and their answer decides nothing.
	// +optional
	SecretRef *SecretKeyRef `json:"secretRef,omitempty"`

	// How long an answer is waited for, from 100ms to 30s.
	// +optional
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('30s')",message="must be a duration from 100ms to 30s, such as 5s"
	Timeout Duration `json:"timeout,omitempty"`

	// Networks that the address must resolve into, such as 203.0.113.0/24; empty
	// is what the operator's own list allows. It narrows that list, and never
	// widens it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	AllowedNetworks []Network `json:"allowedNetworks,omitempty"`

	// What its answer decides. With Veto and Decide no answer in time stops the
	// action.
	// +optional
	// +kubebuilder:default=Ignore
	Answer WebhookAnswer `json:"answer,omitempty"`
}

// Network is an IP network in CIDR notation.
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be a network such as 203.0.113.0/24 or 2001:db8::/32"
type Network string

// SecretKeyRef names a key of a Secret. It has no namespace on purpose.
type SecretKeyRef struct {
	// Name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key in it.
	// +optional
	// +kubebuilder:default=secret
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
