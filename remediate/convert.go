package remediate

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// states and risks are the enums of the API.
var (
	states = map[v1alpha1.RemediationState]rightsizerv1.RemediationState{
		"":                            rightsizerv1.RemediationState_REMEDIATION_STATE_PROPOSED,
		v1alpha1.StateProposed:        rightsizerv1.RemediationState_REMEDIATION_STATE_PROPOSED,
		v1alpha1.StatePendingApproval: rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL,
		v1alpha1.StateApproved:        rightsizerv1.RemediationState_REMEDIATION_STATE_APPROVED,
		v1alpha1.StateExecuting:       rightsizerv1.RemediationState_REMEDIATION_STATE_EXECUTING,
		v1alpha1.StateVerifying:       rightsizerv1.RemediationState_REMEDIATION_STATE_VERIFYING,
		v1alpha1.StateSucceeded:       rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED,
		v1alpha1.StateRolledBack:      rightsizerv1.RemediationState_REMEDIATION_STATE_ROLLED_BACK,
		v1alpha1.StateEscalated:       rightsizerv1.RemediationState_REMEDIATION_STATE_ESCALATED,
		v1alpha1.StateRejected:        rightsizerv1.RemediationState_REMEDIATION_STATE_REJECTED,
		v1alpha1.StateExpired:         rightsizerv1.RemediationState_REMEDIATION_STATE_EXPIRED,
		v1alpha1.StateCancelled:       rightsizerv1.RemediationState_REMEDIATION_STATE_CANCELLED,
		v1alpha1.StateAborted:         rightsizerv1.RemediationState_REMEDIATION_STATE_ABORTED,
		v1alpha1.StateFailed:          rightsizerv1.RemediationState_REMEDIATION_STATE_FAILED,
		v1alpha1.StateDryRun:          rightsizerv1.RemediationState_REMEDIATION_STATE_DRY_RUN,
	}
	risks = map[v1alpha1.RiskLevel]rightsizerv1.RiskLevel{
		v1alpha1.RiskLow:      rightsizerv1.RiskLevel_RISK_LEVEL_LOW,
		v1alpha1.RiskMedium:   rightsizerv1.RiskLevel_RISK_LEVEL_MEDIUM,
		v1alpha1.RiskHigh:     rightsizerv1.RiskLevel_RISK_LEVEL_HIGH,
		v1alpha1.RiskCritical: rightsizerv1.RiskLevel_RISK_LEVEL_CRITICAL,
	}
)

// maxAPICauses is how many causes the API shows.
const maxAPICauses = 64

// Proto is a Remediation as the API shows it.
func Proto(r *v1alpha1.Remediation) *rightsizerv1.Remediation {
	out := &rightsizerv1.Remediation{
		Namespace: r.Namespace, Name: r.Name, Uid: string(r.UID), Etag: r.ResourceVersion, Generation: r.Generation,
		State: states[r.Status.State], Action: protoAction(&r.Spec.Action),
		Workload:  &rightsizerv1.WorkloadRef{Kind: r.Spec.Workload.Kind, Name: string(r.Spec.Workload.Name)},
		Container: r.Spec.Container, CauseEventIds: causeIDs(r), Risk: risks[r.Spec.Risk],
		Diff: plan.Cut(r.Spec.Diff, 16384), Policy: policyName(r.Spec.Policy), RequestedBy: r.Spec.RequestedBy,
		Message: plan.Cut(r.Status.Message, 1024), CreateTime: timestamppb.New(r.CreationTimestamp.Time),
		UpdateTime: timestamppb.New(updated(r)), DryRun: r.Spec.DryRun,
		Patch: action.Patch(r),
	}
	for _, reason := range r.Spec.RiskReasons {
		out.RiskReasons = append(out.RiskReasons, string(reason))
	}
	if a := r.Status.Approval; a != nil {
		out.DecidedBy = a.User
	}
	if e := r.Spec.ExpireTime; e != nil {
		out.ExpireTime = timestamppb.New(e.Time)
	}
	for i := range r.Status.Targets {
		t := &r.Status.Targets[i]
		shown := &rightsizerv1.RemediationTarget{Pod: t.Pod, Uid: t.UID, Result: string(t.Result), Message: plan.Cut(t.Message, 1024)}
		if t.Time != nil {
			shown.UpdateTime = timestamppb.New(t.Time.Time)
		}
		out.Targets = append(out.Targets, shown)
	}
	return out
}

func updated(r *v1alpha1.Remediation) time.Time {
	if n := len(r.Status.Transitions); n > 0 {
		return r.Status.Transitions[n-1].Time.Time
	}
	return r.CreationTimestamp.Time
}

func causeIDs(r *v1alpha1.Remediation) []string {
	var out []string
	if c := r.Spec.Cause; c != nil {
		out = append(out, string(c.EventID))
	}
	for i := range r.Status.Causes {
		if len(out) < maxAPICauses {
			out = append(out, string(r.Status.Causes[i].EventID))
		}
	}
	return out
}

func policyName(p *v1alpha1.PolicyReference) string {
	switch {
	case p == nil:
		return ""
	case p.Namespace == "":
		return p.Kind + "/" + string(p.Name)
	}
	return p.Kind + "/" + p.Namespace + "/" + string(p.Name)
}

func protoAction(a *v1alpha1.RemediationAction) *rightsizerv1.RemediationAction {
	out := &rightsizerv1.RemediationAction{Kind: string(a.Kind), Requests: protoResources(a.Requests), Limits: protoResources(a.Limits)}
	if a.Replicas != nil {
		out.Replicas = *a.Replicas
	}
	for name, value := range a.Parameters {
		if out.Parameters == nil {
			out.Parameters = map[string]string{}
		}
		out.Parameters[name] = string(value)
	}
	return out
}

func protoResources(r *v1alpha1.Resources) *rightsizerv1.Resources {
	if r == nil {
		return nil
	}
	a := policy.FromResources(r)
	return &rightsizerv1.Resources{CpuMillis: a.CPUMillis, MemoryBytes: a.MemoryBytes}
}

// actionFrom reads an action of the API.
func actionFrom(in *rightsizerv1.RemediationAction) v1alpha1.RemediationAction {
	out := v1alpha1.RemediationAction{
		Kind:     v1alpha1.ActionKind(in.GetKind()),
		Requests: resourcesFrom(in.GetRequests()), Limits: resourcesFrom(in.GetLimits()),
	}
	if out.Kind == v1alpha1.ActionScale {
		out.Replicas = new(in.GetReplicas())
	}
	for name, value := range in.GetParameters() {
		if out.Parameters == nil {
			out.Parameters = map[string]v1alpha1.ParameterValue{}
		}
		out.Parameters[name] = v1alpha1.ParameterValue(value)
	}
	return out
}

func resourcesFrom(in *rightsizerv1.Resources) *v1alpha1.Resources {
	return policy.Amounts{CPUMillis: in.GetCpuMillis(), MemoryBytes: in.GetMemoryBytes()}.Resources()
}

// causeFrom is an event as a cause.
func causeFrom(ev *rightsizerv1.Event) v1alpha1.Cause {
	at := metav1.NewMicroTime(ev.GetOccurredTime().AsTime())
	c := v1alpha1.Cause{
		EventID: v1alpha1.EventID(ev.GetId()), ProblemID: v1alpha1.EventID(ev.GetProblemId()), Type: ev.GetType(), Time: &at,
	}
	if ev.GetObject().GetKind() == "Pod" {
		c.Pod = ev.GetObject().GetName()
	}
	return c
}

// short is the end of an enum's name: REMEDIATION_STATE_DRY_RUN → DRY_RUN.
func short(name, prefix string) string { return strings.TrimPrefix(name, prefix) }
