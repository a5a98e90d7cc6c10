package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Bounds limit what an action may set. What is unset is not limited.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be more than maxReplicas"
type Bounds struct {
	// Limits to CPU requests and limits of every container.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="!has(self.min) || quantity(string(self.min)).compareTo(quantity('1m')) >= 0",message="min must be an amount of CPU of at least 1m, such as 50m"
	// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || quantity(string(self.min)).compareTo(quantity(string(self.max))) <= 0",message="min must not be more than max"
	CPU ResourceBounds `json:"cpu,omitempty"`

	// Limits to memory requests and limits of every container.
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:XValidation:rule="!has(self.min) || quantity(string(self.min)).compareTo(quantity('1Mi')) >= 0",message="min must be an amount of memory of at least 1Mi, such as 64Mi"
	// +kubebuilder:validation:XValidation:rule="!has(self.max) || quantity(string(self.max)).compareTo(quantity('1Mi')) >= 0",message="max must be an amount of memory of at least 1Mi, such as 2Gi"
	// +kubebuilder:validation:XValidation:rule="!has(self.min) || !has(self.max) || quantity(string(self.min)).compareTo(quantity(string(self.max))) <= 0",message="min must not be more than max"
	Memory ResourceBounds `json:"memory,omitempty"`

	// Limits for single containers, in place of those for every container. (That
	// min is not more than max is found out by the operator here, which then does
	// not accept the policy: for the API server it costs too much in a list.)
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Containers []ContainerBounds `json:"containers,omitempty"`

	// Fewest replicas that scaling may set.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// Most replicas that scaling may set.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
}

// ContainerBounds are limits for one container, by name.
type ContainerBounds struct {
	// Name of the container.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Limits to its CPU requests and limits.
	// +optional
	CPU *ResourceBounds `json:"cpu,omitempty"`

	// Limits to its memory requests and limits.
	// +optional
	Memory *ResourceBounds `json:"memory,omitempty"`
}

// ResourceBounds are limits for one resource.
type ResourceBounds struct {
	// Least that may be set.
	// +optional
	Min *resource.Quantity `json:"min,omitempty"`

	// Most that may be set.
	// +optional
	Max *resource.Quantity `json:"max,omitempty"`

	// Largest increase in one step, in percent of what there is.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=900
	MaxIncreasePercent int32 `json:"maxIncreasePercent,omitempty"`

	// Largest decrease in one step, in percent of what there is.
	// +optional
	// +kubebuilder:default=25
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=90
	MaxDecreasePercent int32 `json:"maxDecreasePercent,omitempty"`
}

// Budgets are the disruption budget over all kinds of actions: for each workload,
// and for the namespace of the workload.
type Budgets struct {
	// For each workload.
	// +optional
	// +kubebuilder:default={per: "10m", actions: 6, disruptions: 2, concurrent: 1}
	Workload Budget `json:"workload,omitempty"`

	// For each namespace, over all of its workloads, by whatever policy.
	// +optional
	// +kubebuilder:default={per: "10m", actions: 60, disruptions: 5, concurrent: 2}
	Namespace Budget `json:"namespace,omitempty"`
}

// Budget is how much may be done in a sliding time. It is computed from
// Remediations.
type Budget struct {
	// The sliding time, from 1m to 24h.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="must be a duration from 1m to 24h, such as 10m"
	Per Duration `json:"per,omitempty"`

	// How many Remediations may be carried out in that time.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Actions int32 `json:"actions"`

	// How many pods may be disrupted in that time: restarted, evicted or
	// replaced. A resize in place that restarts nothing disrupts nobody.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Disruptions int32 `json:"disruptions"`

	// How many Remediations that disrupt may be under way at once, until they
	// are verified.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Concurrent int32 `json:"concurrent"`
}

// Cooldowns are how long a container is left alone after an action was carried
// out for it, by what comes next.
type Cooldowns struct {
	// Before it is given more, from 0s to 24h.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) <= duration('24h')",message="must be a duration from 0s to 24h, such as 10s"
	Raise Duration `json:"raise,omitempty"`

	// Before it is given less, from 1m to 720h.
	// +optional
	// +kubebuilder:default="6h"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="must be a duration from 1m to 720h, such as 6h"
	Lower Duration `json:"lower,omitempty"`

	// Before it is disrupted, from 10s to 24h.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(ms|s|m|h))+$') && duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="must be a duration from 10s to 24h, such as 10m"
	Disrupt Duration `json:"disrupt,omitempty"`
}
