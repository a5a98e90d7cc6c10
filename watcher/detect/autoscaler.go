package detect

import (
	"fmt"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeHPAAtMaximum = "hpa.at_maximum"
	typeHPAFailing   = "hpa.failing"
)

// AutoscalerInput is a HorizontalPodAutoscaler at one moment.
type AutoscalerInput = Input[object.Autoscaler]

// AutoscalerSubject describes a HorizontalPodAutoscaler; its workload is what it
// scales.
func AutoscalerSubject(in *AutoscalerInput) Subject {
	a := in.Cur
	s := Subject{Kind: "HorizontalPodAutoscaler", Key: a.Key, UID: a.UID}
	if a.TargetKind != "" && a.TargetName != "" {
		s.Workload = object.WorkloadKey{Namespace: a.Namespace, Kind: a.TargetKind, Name: a.TargetName}
	}
	return s
}

// HPA tells autoscalers that want more than they may, and those that cannot do
// their work.
type HPA struct{}

// Docs implements Detector.
func (HPA) Docs() []Doc {
	return []Doc{
		{
			Type: typeHPAAtMaximum, Severity: "warning",
			Source: "condition ScalingLimited that is True with reason TooManyReplicas, and as many replicas as " +
				"`spec.maxReplicas`",
			Details: "HpaDetails", Resolves: "it wants no more than it may, or is deleted",
		},
		{
			Type: typeHPAFailing, Severity: "error",
			Source: "condition ScalingActive or AbleToScale that is False for 1 min (HPAFailingAfter); not ScalingDisabled, " +
				"which is a workload scaled to 0",
			Details: "HpaDetails", Resolves: "both are True, or it is deleted",
		},
	}
}

// Detect implements Detector.
func (HPA) Detect(in *AutoscalerInput, out []Finding) []Finding {
	a := in.Cur
	if in.Gone {
		return out
	}
	target := a.TargetKind + " " + a.TargetName
	c := a.Condition("ScalingLimited")
	if c != nil && c.Status == object.ConditionTrue && c.Reason == "TooManyReplicas" && a.Max > 0 && a.Current >= a.Max {
		out = append(out, Finding{
			Problem: Identify(typeHPAAtMaximum, in.Cluster, a.UID, unix(c.Since)), Type: typeHPAAtMaximum,
			Severity: warning, Occurred: c.Since, Reason: c.Reason,
			Message: fmt.Sprintf("%s is at the maximum of its autoscaler %s, %s, and needs more", target, a.Name, count(a.Max, "replica")),
			Ending:  "Autoscaler " + a.Name + " of " + target + " has room again",
			Details: hpaDetails(a, c),
		})
	}
	for _, condition := range []string{"AbleToScale", "ScalingActive"} {
		c := a.Condition(condition)
		if c == nil || c.Status != object.ConditionFalse || c.Reason == "ScalingDisabled" {
			continue
		}
		due := c.Since + inSeconds(in.Thresholds.HPAFailingAfter)
		if in.Now.Unix() < due {
			out = append(out, Finding{Wake: due})
			continue
		}
		out = append(out, Finding{
			Problem: Identify(typeHPAFailing, in.Cluster, a.UID, condition, unix(c.Since)), Type: typeHPAFailing,
			Severity: errored, Occurred: c.Since, Reason: c.Reason,
			Message: "Autoscaler " + a.Name + " of " + target + " does not work" + because(c),
			Ending:  "Autoscaler " + a.Name + " of " + target + " works again",
			Details: hpaDetails(a, c),
		})
	}
	return out
}

func hpaDetails(a *object.Autoscaler, c *object.StatusCondition) *rightsizerv1.HpaDetails {
	return &rightsizerv1.HpaDetails{
		TargetKind: a.TargetKind, TargetName: a.TargetName, MinReplicas: a.Min, MaxReplicas: a.Max,
		CurrentReplicas: a.Current, DesiredReplicas: a.Desired, Condition: conditionDetails(c),
	}
}
