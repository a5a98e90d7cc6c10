package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// dryRunAgain is how long a row is left alone after a dry run of it.
const dryRunAgain = time.Hour

// declinedFor is how long nothing is proposed for a row again by itself after a person
// or a webhook said no, or nobody said anything.
const declinedFor = 6 * time.Hour

var declined = []v1alpha1.RemediationState{v1alpha1.StateRejected, v1alpha1.StateCancelled, v1alpha1.StateExpired}

// errFull: the namespace holds as many Remediations as it may.
var errFull = errors.New("the namespace holds as many Remediations as it may")

// make makes a Remediation of a draft, unless a guard stops it, and carries it as
// far as it goes.
func (e *Engine) make(ctx context.Context, key workloadKey, s *seen, subject *action.Subject, events []*rightsizerv1.Event) ([]*rightsizerv1.Event, time.Duration) {
	ev := events[len(events)-1]
	r := e.draft(s, subject)
	if state := e.book.ended(rowOf(r), e.now().Add(-declinedFor), declined...); state != "" {
		e.decline(ctx, key, s.begun, events, "declined", fmt.Sprintf("the last decision for it was %s within %s: ask for one, or wait", state, declinedFor))
		return nil, 0
	}
	cause := causeFrom(ev)
	r.Spec.Cause = &cause
	facts, err := e.facts(ctx, r, s)
	if err != nil {
		return events, retrySoon
	}
	verdict := guard.Ask(facts)
	switch verdict.Outcome() {
	case guard.Stop:
		d := verdict.Decisive()
		e.decline(ctx, key, s.begun, events, d.Guard, d.String())
		return nil, 0
	case guard.DryRun:
		if e.book.ended(rowOf(r), e.now().Add(-dryRunAgain), v1alpha1.StateDryRun) != "" {
			return nil, 0
		}
		r.Spec.DryRun = true
	case guard.Wait:
		// Left for later without a record, or each of its causes would make one:
		// only what a person can act on meanwhile is worth it.
		if !verdict.Needs(guard.Approve) {
			return events, e.until(verdict)
		}
	default:
	}
	made, err := e.create(ctx, r, s.begun)
	switch {
	case errors.Is(err, errFull):
		e.decline(ctx, key, s.begun, events, "full", fmt.Sprintf("%v: %d", err, MaxPerNamespace))
		return nil, 0
	case errors.Is(err, errOpen):
		return events, retrySoon // another replica's: they join it
	case err != nil:
		e.logger.WarnContext(ctx, "remediation: it was not made", slog.String("workload", key.String()), slog.Any("error", err))
		return events, retrySoon
	}
	e.tracer.Event(ctx, ev, s.begun)
	e.traceCauses(ctx, key, s.begun, events[:len(events)-1], tracing.Decision{Outcome: tracing.Joined, Joined: e.ref(made)})
	if after := e.drive(ctx, made, s); after > 0 {
		e.waiting.after(key, after)
	}
	return nil, 0
}

// until is how long a verdict makes wait.
func (e *Engine) until(v guard.Result) time.Duration {
	until := v.Until()
	if until.IsZero() {
		return retryLater
	}
	return min(max(until.Sub(e.now()), 10*time.Millisecond), time.Minute)
}

// draft writes down a decision, without a name.
func (e *Engine) draft(s *seen, subject *action.Subject) *v1alpha1.Remediation {
	d, w, p := s.draft, s.workload, s.policy
	risk, reasons := plan.Risk(e.riskFacts(s, subject))
	r := &v1alpha1.Remediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace},
		Spec: v1alpha1.RemediationSpec{
			Workload: v1alpha1.WorkloadReference{APIVersion: w.APIVersion, Kind: w.Kind, Name: v1alpha1.ObjectName(w.Name), UID: w.UID},
			Action:   d.Action, Mode: p.ModeFor(d.Action.Kind), Persistence: p.Spec.Persistence,
			Disruptive: d.Restarts > 0, Risk: risk, RiskReasons: reasons, Diff: d.Diff,
			Approval:     v1alpha1.ApprovalTerms{FourEyes: p.Spec.Approval.FourEyes == nil || *p.Spec.Approval.FourEyes, Approvers: p.Spec.Approval.Approvers},
			ExpireTime:   new(metav1.NewTime(e.now().Add(p.Spec.Approval.Expiry.Duration))),
			Verification: p.Spec.Verification.DeepCopy(),
		},
	}
	if subject.Container != "" && aboutContainer(d.Action.Kind) {
		r.Spec.Container = subject.Container
	}
	if !policy.Acts(r.Spec.Mode) {
		r.Spec.Mode = v1alpha1.ModeApprove // a person asked for it
	}
	if p.Governs() {
		ref := p.Ref
		r.Spec.Policy = &ref
	}
	return r
}

func aboutContainer(kind v1alpha1.ActionKind) bool {
	return kind != v1alpha1.ActionScale && kind != v1alpha1.ActionRolloutRestart
}

// riskNow is the risk that a decision says it has, or the one that it has now where
// that is more: whoever may create Remediations can write any into one.
func (e *Engine) riskNow(r *v1alpha1.Remediation, s *seen) v1alpha1.RiskLevel {
	own := *s
	own.budgets = nil // the guard of them waits, which is no risk
	if now, _ := plan.Risk(e.riskFacts(&own, &action.Subject{Container: r.Spec.Container})); policy.Above(now, r.Spec.Risk) {
		return now
	}
	return r.Spec.Risk
}

func (e *Engine) riskFacts(s *seen, subject *action.Subject) plan.RiskFacts {
	d, w := s.draft, s.workload
	f := plan.RiskFacts{
		Action: d.Action.Kind, Namespace: w.Namespace, NamespaceLabels: e.opts.Policies.NamespaceLabels(w.Namespace), Kind: w.Kind,
		Replicas: w.Replicas, Ready: w.Ready, Restarts: d.Restarts, RestartsReady: d.RestartsReady,
		From: d.From, To: d.To, FromReplicas: d.FromReplicas, ToReplicas: d.ToReplicas, DataAge: -1,
	}
	f.Budgets = len(s.budgets) > 0
	for i, b := range s.budgets {
		if i == 0 || b.Allowed < f.Headroom {
			f.Headroom = b.Allowed
		}
	}
	if u, ok := e.usageOf(s, subject.Container); ok && !u.Time.IsZero() {
		f.DataAge = e.now().Sub(u.Time)
	}
	return f
}

func (e *Engine) usage(key workloadKey, container string) (Measured, bool) {
	if e.opts.Usage == nil || container == "" {
		return Measured{}, false
	}
	return e.opts.Usage.Usage(key.namespace, key.kind, key.name, container)
}

// usageOf is usage of a workload that was read a moment ago.
func (e *Engine) usageOf(s *seen, container string) (Measured, bool) {
	if s.measured == nil || s.measured.container != container {
		m := &measurement{container: container}
		m.Measured, m.known = e.usage(workloadKey{s.workload.Namespace, s.workload.Kind, s.workload.Name}, container)
		s.measured = m
	}
	return s.measured.Measured, s.measured.known
}

// sampled is how far back all containers of a workload were measured: the oldest of
// their latest samples; zero where one has none.
func (e *Engine) sampled(w *kube.Workload) (oldest time.Time) {
	if w.Template == nil {
		return time.Time{}
	}
	for i := range w.Template.Spec.Containers {
		u, ok := e.usage(workloadKey{w.Namespace, w.Kind, w.Name}, w.Template.Spec.Containers[i].Name)
		if !ok || u.Time.IsZero() {
			return time.Time{}
		}
		if oldest.IsZero() || u.Time.Before(oldest) {
			oldest = u.Time
		}
	}
	return oldest
}

// errOpen: another decision of the row is open already.
var errOpen = errors.New("another decision for the same is open")

// create names a decision, which began to be made at begun, and makes its object. An
// episode that is taken is over, and the next one is tried; or it is open, or came of
// the same request, and then errOpen.
func (e *Engine) create(ctx context.Context, r *v1alpha1.Remediation, begun time.Time) (*v1alpha1.Remediation, error) {
	return e.createAfter(ctx, r, begun, nil)
}

// createFor is create for a person, whose wish is recorded before.
func (e *Engine) createFor(ctx context.Context, r *v1alpha1.Remediation, begun time.Time, by Person) (*v1alpha1.Remediation, error) {
	return e.createAfter(ctx, r, begun, func() error {
		return e.recordBy(ctx, r, v1alpha1.StateProposed, actor{by.Name, by.Groups}, e.occasion(r), nil)
	})
}

// nameOf is the name of a decision by what it says.
func (e *Engine) nameOf(r *v1alpha1.Remediation) string {
	at := rowOf(r)
	return plan.Name(plan.Key{
		Cluster: e.opts.Cluster.ClusterID(), WorkloadUID: at.uid, Container: at.container, Action: at.action,
	}, r.Spec.Episode)
}

func (e *Engine) createAfter(ctx context.Context, r *v1alpha1.Remediation, begun time.Time, before func() error) (*v1alpha1.Remediation, error) {
	if e.book.inNamespace(r.Namespace) >= MaxPerNamespace {
		return nil, errFull
	}
	open, last := e.book.row(rowOf(r))
	if open != nil {
		return nil, errOpen
	}
	for range 4 {
		last++
		r.Spec.Episode = plan.Episode(last)
		r.Name = e.nameOf(r)
		if before != nil {
			if err := before(); err != nil {
				return nil, err
			}
		}
		made, err := e.client.CreateRemediation(ctx, r, false)
		if err == nil {
			e.book.put(made.DeepCopy())
			e.traceMade(ctx, made, begun)
			return made, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, err
		}
		there, err := e.client.Remediation(ctx, r.Namespace, r.Name)
		if err != nil {
			return nil, err
		}
		e.book.see(there)
		if plan.Open(there.Status.State) || sameKey(there, r) {
			return nil, errOpen
		}
	}
	return nil, errOpen
}

// sameKey says that both are what one person asked for under one key.
func sameKey(a, b *v1alpha1.Remediation) bool {
	return a.Spec.RequestID != "" && a.Spec.RequestID == b.Spec.RequestID && a.Spec.RequestedBy == b.Spec.RequestedBy
}

// facts is what guards look at.
func (e *Engine) facts(ctx context.Context, r *v1alpha1.Remediation, s *seen) (guard.Facts, error) {
	set, err := e.opts.Policies.Set()
	if err != nil {
		return guard.Facts{}, err
	}
	approved, err := e.approved(ctx, r)
	if err != nil {
		return guard.Facts{}, err
	}
	w, d := s.workload, s.draft
	f := guard.Facts{
		Now: e.now(), Operator: guard.Operator{Started: e.sees(), Frozen: e.opts.Policies.Frozen()},
		Policy: s.policy, OutOfReach: set.OutOfReach(w.Namespace), Limits: e.opts.Limits,
		Decision: guard.Decision{
			Name: r.Name, Action: r.Spec.Action.Kind, Container: r.Spec.Container, Person: r.Spec.RequestedBy != "",
			Approved: approved, Risk: r.Spec.Risk, Current: d.From, Desired: d.To,
			CurrentReplicas: d.FromReplicas, DesiredReplicas: d.ToReplicas,
			Disrupts: d.Restarts, DisruptsReady: d.RestartsReady, Proposed: r.CreationTimestamp.Time,
		},
		Workload: guard.Workload{
			Namespace: w.Namespace, Kind: w.Kind, Name: w.Name, UID: w.UID, Replicas: w.Replicas, Ready: w.Ready,
			GitOps: w.GitOps(), RollingOut: w.RollingOut, RolledOut: w.RolledOut,
		},
	}
	if b, ok := set.ClusterBudget(); ok {
		f.ClusterBudget = &b
	}
	if c := r.Spec.Cause; c != nil {
		f.Decision.OOM = c.Type == guard.TypeOOM
		if c.Time != nil {
			f.Decision.Cause = c.Time.Time
		}
	}
	if d.Restarts > 0 && s.budgets == nil {
		if s.budgets, err = e.budgets(ctx, w); err != nil {
			return f, err
		}
	}
	f.Workload.Budgets = s.budgets
	if d.Owner != nil {
		f.Workload.GitOps = *d.Owner
	}
	if u, ok := e.usageOf(s, r.Spec.Container); ok {
		f.Usage = u.Usage
	} else if r.Spec.Container == "" {
		f.Usage.Time = e.sampled(w)
	}
	if s.lastOOM.After(f.Usage.LastOOM) {
		f.Usage.LastOOM = s.lastOOM
	}
	f.History = e.book.history()
	return f, nil
}

// budgets lists the disruption budgets that cover a workload's pods.
func (e *Engine) budgets(ctx context.Context, w *kube.Workload) ([]guard.DisruptionBudget, error) {
	all, err := e.client.Budgets(ctx, w.Namespace)
	if err != nil {
		return nil, err
	}
	out := []guard.DisruptionBudget{}
	for i := range all {
		b := &all[i]
		if !w.Covered(b.Spec.Selector) {
			continue
		}
		out = append(out, budgetOf(&all[i]))
	}
	return out, nil
}

// budgetOf reads a disruption budget as the eviction API does.
func budgetOf(b *policyv1.PodDisruptionBudget) guard.DisruptionBudget {
	out := guard.DisruptionBudget{Name: b.Name, Allowed: b.Status.DisruptionsAllowed}
	always := b.Spec.UnhealthyPodEvictionPolicy != nil && *b.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow
	enough := b.Status.DesiredHealthy > 0 && b.Status.CurrentHealthy >= b.Status.DesiredHealthy
	if b.Status.ObservedGeneration < b.Generation {
		out.Allowed, enough = 0, false
	}
	out.SparesReady = always || enough
	return out
}

// approved says whether a valid approval was given, to it or to one whose approval
// stands for it.
func (e *Engine) approved(ctx context.Context, r *v1alpha1.Remediation) (bool, error) {
	if from, ok := e.book.inherits(r); ok {
		if ok, err := e.vouched(ctx, from, v1alpha1.StateApproved); ok || err != nil {
			return ok, err
		}
	}
	a := r.Status.Approval
	if a == nil || a.Decision != v1alpha1.DecisionApprove || a.Generation != r.Generation ||
		r.Status.State != v1alpha1.StateApproved && !plan.Began(r.Status.State) {
		return false, nil
	}
	return e.vouched(ctx, originOf(r), v1alpha1.StateApproved)
}
