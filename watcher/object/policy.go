package object

import "k8s.io/apimachinery/pkg/labels"

// Autoscaler is a HorizontalPodAutoscaler.
type Autoscaler struct {
	Key
	UID string
	// TargetKind and TargetName are what it scales.
	TargetKind, TargetName string
	Min, Max               int32
	Current, Desired       int32
	// CPUUtilization and MemoryUtilization say that it scales by the use of that
	// resource in percent of the request.
	CPUUtilization, MemoryUtilization bool
	// Conditions are AbleToScale, ScalingActive and ScalingLimited.
	Conditions []StatusCondition
	CreateTime int64
}

// Condition finds a condition by type; nil where there is none.
func (a *Autoscaler) Condition(conditionType string) *StatusCondition {
	return findCondition(a.Conditions, conditionType)
}

// Budget is a PodDisruptionBudget.
type Budget struct {
	Key
	UID string
	// Selector selects the pods that it covers; nil for none that can be read.
	Selector labels.Selector
	// Expected is how many pods it covers, Healthy how many of them are healthy,
	// Required how many must be, Allowed how many may be evicted now.
	Expected, Healthy, Required, Allowed int32
	// BlockedSince is when the condition DisruptionAllowed became False; 0 where
	// it is not, or does not say.
	BlockedSince int64
	// Reason and Message of that condition while it is False; the message is cut
	// at 512 bytes.
	Reason, Message string
	CreateTime      int64
}
