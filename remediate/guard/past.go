package guard

import (
	"time"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Past is what guards look at of a Remediation.
type Past struct {
	Name string
	// Namespace and WorkloadUID, and the container; empty for the whole workload.
	Namespace, WorkloadUID, Container string
	Action                            v1alpha1.ActionKind
	State                             v1alpha1.RemediationState
	// OOM says that an OOM kill caused it.
	OOM bool
	// Started is when it was carried out first, zero where it never was;
	// Finished when it came to an end, zero where it has not.
	Started, Finished time.Time
	// Disruptive and Disruptions: whether, and how many pods, it disrupted.
	Disruptive  bool
	Disruptions int32
	// Killed says that a container was OOM-killed since it had its effect.
	Killed bool
	// CPU and Memory say where it moved the container's, Replicas where it moved
	// the workload's.
	CPU, Memory, Replicas Direction
}

// Types of events that something is done about.
const (
	// TypeOOM tells of an OOM kill.
	TypeOOM = "pod.oom_killed"
	// TypeNotReady tells of a readiness probe that keeps failing.
	TypeNotReady = "pod.probe_failed.readiness"
	// TypeAtMaximum tells of an autoscaler that wants more replicas than it may have.
	TypeAtMaximum = "hpa.at_maximum"
)

// FromRemediation reads a Remediation, which it does not keep.
func FromRemediation(r *v1alpha1.Remediation) Past {
	p := Past{
		Name: r.Name, Namespace: r.Namespace, WorkloadUID: r.Spec.Workload.UID, Container: r.Spec.Container,
		Action: r.Spec.Action.Kind, State: r.Status.State, Disruptive: r.Spec.Disruptive,
		OOM: r.Spec.Cause != nil && r.Spec.Cause.Type == TypeOOM,
	}
	if t := r.Status.StartTime; t != nil {
		p.Started = t.Time
	}
	if t := r.Status.FinishTime; t != nil {
		p.Finished = t.Time
	}
	if v := r.Status.Verification; v != nil && v.OOMKills != nil {
		p.Killed = *v.OOMKills > 0
	}
	if len(r.Status.Targets) > 0 {
		d := Decision{Current: size(r.Status.Targets[0].Before), Desired: size(r.Status.Targets[0].Desired)}
		p.CPU, p.Memory = d.cpu(), d.memory()
		p.Replicas = direction(replicas(r.Status.Targets[0].Before), replicas(r.Status.Targets[0].Desired))
	}
	if p.Disruptive {
		// An intended effect counts: after a crash nobody knows yet. What failed
		// counts as well, since it may have had half of its effect.
		for i := range r.Status.Targets {
			p.Disruptions += max(1, int32(r.Status.Targets[i].Before.Number(v1alpha1.NoteDisrupts)))
		}
		if !p.Started.IsZero() {
			p.Disruptions = max(p.Disruptions, 1)
		}
		if p.Replicas == Lower { // each replica that was taken away
			t := &r.Status.Targets[0]
			p.Disruptions = max(p.Disruptions, int32(replicas(t.Before)-replicas(t.Desired)))
		}
	}
	return p
}

func size(v *v1alpha1.TargetValues) policy.Size {
	if v == nil {
		return policy.Size{}
	}
	return policy.Size{Requests: policy.FromResources(v.Requests), Limits: policy.FromResources(v.Limits)}
}

func replicas(v *v1alpha1.TargetValues) int64 {
	if v == nil || v.Replicas == nil {
		return 0
	}
	return int64(*v.Replicas)
}

// GaveMemory says whether it raised memory for an OOM kill since then. What failed, or
// was aborted, had no effect.
func (p *Past) GaveMemory(since time.Time) bool {
	return p.OOM && p.Memory == Raise && p.Started.After(since) && p.State != v1alpha1.StateFailed && p.State != v1alpha1.StateAborted
}

// underWay says whether it holds its place in a budget for what goes on at once.
func (p *Past) underWay() bool {
	return p.State == v1alpha1.StateExecuting || p.State == v1alpha1.StateVerifying
}

// failed says whether its verification did not go well, done that it went.
func (p *Past) failed() bool {
	return p.State == v1alpha1.StateRolledBack || p.State == v1alpha1.StateEscalated || p.State == v1alpha1.StateFailed
}

func (p *Past) done() bool { return p.State == v1alpha1.StateSucceeded || p.failed() }

// sameContainer says whether it was for what a decision is for. An action on the
// whole workload is for each of its containers.
func (p *Past) sameContainer(f *Facts) bool {
	return p.WorkloadUID == f.Workload.UID &&
		(p.Container == f.Decision.Container || p.Container == "" || f.Decision.Container == "")
}
