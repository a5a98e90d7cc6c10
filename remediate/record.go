package remediate

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// record keeps an audit record of a change of state that is about to be made.
func (e *Engine) record(ctx context.Context, r *v1alpha1.Remediation, to v1alpha1.RemediationState, by, why string, evidence map[string]string) error {
	return e.recordBy(ctx, r, to, actor{name: by}, why, evidence)
}

// actor is who does something, with his groups where they are known.
type actor struct {
	name   string
	groups []string
}

func (e *Engine) recordBy(ctx context.Context, r *v1alpha1.Remediation, to v1alpha1.RemediationState, by actor, why string, evidence map[string]string) error {
	rec := &rightsizerv1.AuditRecord{
		Actor: by.name, ActorGroups: by.groups, Action: eventType(to), Namespace: r.Namespace,
		Target: plan.Cut(r.Spec.Workload.Kind+"/"+string(r.Spec.Workload.Name), 317), TargetUid: r.Spec.Workload.UID,
		Remediation: r.Name, StateBefore: states[r.Status.State], StateAfter: states[to],
		Reason: plan.Cut(why, 1024), CauseEventIds: shortIDs(r), Evidence: evidence,
		Policy: policyName(r.Spec.Policy), Replica: plan.Cut(e.opts.Identity, 253),
	}
	if r.Spec.Policy != nil {
		rec.PolicyGeneration = r.Spec.Policy.Generation
	}
	if to == v1alpha1.StateExecuting {
		rec.Diff = r.Spec.Diff
	}
	if rec.Evidence == nil {
		rec.Evidence = map[string]string{}
	}
	rec.Evidence["container"], rec.Evidence["kind"] = r.Spec.Container, string(r.Spec.Action.Kind)
	rec.Evidence["risk"] = string(r.Spec.Risk)
	if r.UID != "" {
		rec.Evidence[evidenceUID] = string(r.UID)
	}
	_, err := e.opts.Audit.Append(ctx, rec)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	e.words.note(rec)
	return nil
}

func shortIDs(r *v1alpha1.Remediation) []string {
	ids := causeIDs(r)
	for i := range ids {
		ids[i] = plan.Cut(ids[i], 32)
	}
	return ids
}

// evidence is what effects rest on: the first one's target and sizes, what else is
// intended in short, and each verdict with its numbers.
func evidence(s *seen, intents ...v1alpha1.Target) map[string]string {
	out := map[string]string{}
	putIntents(out, intents)
	if len(intents) > 0 {
		t := &intents[0]
		out["target"], out["target_uid"], out["resource_version"] = t.Pod, t.UID, t.ResourceVersion
		out["before"], out["desired"] = valueText(t.Before), valueText(t.Desired)
	}
	if s == nil {
		return out
	}
	for _, v := range s.verdict.Verdicts {
		out["guard_"+v.Guard] = plan.Cut(verdictText(v), 512)
	}
	if s.draft != nil && len(s.draft.Notes) > 0 {
		out["notes"] = plan.Cut(strings.Join(s.draft.Notes, "; "), 512)
	}
	return out
}

func verdictText(v guard.Verdict) string {
	return strings.TrimPrefix(v.Evidence(), v.Guard+": ")
}

func valueText(v *v1alpha1.TargetValues) string {
	if v == nil {
		return ""
	}
	var parts []string
	one := func(name string, r *v1alpha1.Resources) {
		a := policy.FromResources(r)
		if a.CPUMillis > 0 {
			parts = append(parts, name+".cpu="+strconv.FormatInt(a.CPUMillis, 10)+"m")
		}
		if a.MemoryBytes > 0 {
			parts = append(parts, name+".memory="+strconv.FormatInt(a.MemoryBytes, 10))
		}
	}
	one("requests", v.Requests)
	one("limits", v.Limits)
	if v.Replicas != nil {
		parts = append(parts, "replicas="+strconv.Itoa(int(*v.Replicas)))
	}
	return strings.Join(parts, " ")
}
