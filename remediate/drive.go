package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// maxSteps is how many steps one Remediation takes before others get their turn.
const maxSteps = 8

// outcome is what one step came to: the Remediation to go on with, or when to come
// back.
type outcome struct {
	next  *v1alpha1.Remediation
	after time.Duration
}

func goOn(r *v1alpha1.Remediation, err error) (outcome, error) { return outcome{next: r}, err }
func wait(d time.Duration) (outcome, error)                    { return outcome{after: d}, nil }

// drive carries a Remediation as far as it goes, and returns when to come back; 0
// is never, unless something changes.
func (e *Engine) drive(ctx context.Context, r *v1alpha1.Remediation, s *seen) time.Duration {
	for range maxSteps {
		if ctx.Err() != nil {
			return 0
		}
		out, err := e.step(ctx, r, s)
		switch {
		case ctx.Err() != nil:
			return 0
		case apierrors.IsConflict(err), apierrors.IsNotFound(err):
			if r = e.refresh(ctx, r); r == nil {
				return 0
			}
			s = nil
			continue
		case err != nil:
			e.state.failed(e.now(), err)
			e.logger.WarnContext(ctx, "remediation: a step waits", slog.String("remediation", r.Namespace+"/"+r.Name),
				slog.String("state", string(r.Status.State)), slog.Any("error", err))
			return retryLater
		}
		e.state.well(e.now())
		if out.next == nil {
			return out.after
		}
		if r = out.next; !plan.Open(r.Status.State) {
			return 0
		}
	}
	return retrySoon
}

// refresh reads a Remediation again after somebody else wrote it; nil where it is
// gone.
func (e *Engine) refresh(ctx context.Context, r *v1alpha1.Remediation) *v1alpha1.Remediation {
	e.book.unclaim(objectKey{r.Namespace, r.Name})
	fresh, err := e.client.Remediation(ctx, r.Namespace, r.Name)
	if apierrors.IsNotFound(err) {
		e.book.remove(objectKey{r.Namespace, r.Name})
		return nil
	}
	if err != nil {
		e.waiting.after(workloadOf(r), retrySoon)
		return nil
	}
	fresh.ManagedFields = nil
	e.book.put(fresh.DeepCopy())
	return fresh
}

func (e *Engine) step(ctx context.Context, r *v1alpha1.Remediation, s *seen) (outcome, error) {
	switch r.Status.State {
	case "", v1alpha1.StateProposed:
		return e.proposed(ctx, r, s)
	case v1alpha1.StatePendingApproval:
		return e.pending(ctx, r)
	case v1alpha1.StateApproved:
		return e.cleared(ctx, r, s)
	case v1alpha1.StateExecuting:
		return e.executing(ctx, r, s)
	case v1alpha1.StateVerifying:
		return e.verifying(ctx, r)
	case v1alpha1.StateSucceeded, v1alpha1.StateEscalated:
		return e.takenBack(ctx, r)
	default:
		return outcome{}, nil
	}
}

// write changes a Remediation's status by compare-and-set, and returns it as it is
// then. r is not changed.
func (e *Engine) write(ctx context.Context, r *v1alpha1.Remediation, change func(*v1alpha1.RemediationStatus) error) (*v1alpha1.Remediation, error) {
	next := r.DeepCopy()
	next.Status.ObservedGeneration = r.Generation
	if err := change(&next.Status); err != nil {
		return nil, err
	}
	after, err := e.client.UpdateStatus(ctx, next)
	if err != nil {
		return nil, err
	}
	after.ManagedFields = nil
	e.book.put(after.DeepCopy())
	return after, nil
}

// move changes the state, after the audit has the record of it.
func (e *Engine) move(ctx context.Context, r *v1alpha1.Remediation, to v1alpha1.RemediationState, by, why string) (_ *v1alpha1.Remediation, failure error) {
	end := e.traceMove(ctx, r, to, why)
	defer func() { end(failure) }()
	if plan.May(r.Status.State, to) || r.Status.State == "" {
		if err := e.record(ctx, r, to, by, why, nil); err != nil {
			return nil, err
		}
	}
	return e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		if status.State == "" && to != v1alpha1.StateProposed {
			if err := plan.Move(status, v1alpha1.StateProposed, e.proposer(r), e.occasion(r), e.now()); err != nil {
				return err
			}
		}
		return plan.Move(status, to, by, why, e.now())
	})
}

// proposer is who wanted it.
func (e *Engine) proposer(r *v1alpha1.Remediation) string {
	if r.Spec.RequestedBy != "" {
		return r.Spec.RequestedBy
	}
	return policyName(r.Spec.Policy)
}

// occasion is why.
func (*Engine) occasion(r *v1alpha1.Remediation) string {
	switch c := r.Spec.Cause; {
	case r.Spec.Reason != "":
		return r.Spec.Reason
	case c != nil && c.Pod != "":
		return c.Type + " of pod " + c.Pod
	case c != nil:
		return c.Type
	}
	return "asked for"
}

// errChanged: what the decision was made for is not there any more.
var errChanged = errors.New("the object changed")

// revisit reads what a decision is about again, and plans it anew.
func (e *Engine) revisit(ctx context.Context, r *v1alpha1.Remediation, planned bool) (*seen, error) {
	set, err := e.opts.Policies.Set()
	if err != nil {
		return nil, err
	}
	w, err := e.client.Workload(ctx, r.Namespace, r.Spec.Workload.Kind, string(r.Spec.Workload.Name))
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s %s is gone", errChanged, r.Spec.Workload.Kind, r.Spec.Workload.Name)
	}
	if err != nil {
		return nil, err
	}
	if w.UID != r.Spec.Workload.UID {
		return nil, fmt.Errorf("%w: %s %s is another one by now", errChanged, r.Spec.Workload.Kind, r.Spec.Workload.Name)
	}
	s := &seen{workload: w, policy: e.govern(set, w)}
	if !planned {
		return s, nil
	}
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		return nil, fmt.Errorf("%w: there is no action %q any more", errChanged, r.Spec.Action.Kind)
	}
	subject := e.subject(r, s)
	draft, err := a.Plan(ctx, subject)
	if errors.Is(err, action.ErrGone) && subject.Pod != "" && r.Spec.Action.Kind != v1alpha1.ActionRestartPod {
		subject.Pod, subject.PodUID = "", "" // its successors may need it as well
		draft, err = a.Plan(ctx, subject)
	}
	switch {
	case errors.Is(err, action.ErrBusy):
		return nil, err
	case err != nil && action.Known(err):
		return nil, fmt.Errorf("%w: %w", errChanged, err)
	case err != nil:
		return nil, err
	}
	s.draft = draft
	return s, nil
}

// subject is what an action is done for.
func (e *Engine) subject(r *v1alpha1.Remediation, s *seen) *action.Subject {
	sub := &action.Subject{
		Decision: r.Name, Container: r.Spec.Container, Want: r.Spec.Action, Workload: s.workload, Policy: s.policy,
	}
	if told(r) {
		sub.Record = Proto(r)
	}
	if c := r.Spec.Cause; c != nil {
		sub.Pod = c.Pod
	}
	if p := string(r.Spec.Action.Parameters[action.ParameterPod]); p != "" {
		sub.Pod = p
	}
	sub.PodUID = string(r.Spec.Action.Parameters[action.ParameterPodUID])
	for i := range r.Status.Targets {
		if t := &r.Status.Targets[i]; t.Pod != "" && t.Pod == sub.Pod {
			sub.PodUID = t.UID
		}
	}
	return sub
}

func expired(r *v1alpha1.Remediation, now time.Time) bool {
	return r.Spec.ExpireTime != nil && !now.Before(r.Spec.ExpireTime.Time)
}

// proposed asks the guards.
func (e *Engine) proposed(ctx context.Context, r *v1alpha1.Remediation, s *seen) (outcome, error) {
	if expired(r, e.now()) {
		return goOn(e.move(ctx, r, v1alpha1.StateExpired, e.opts.Identity, "it waited for too long"))
	}
	s, out, err := e.again(ctx, r, s)
	if s == nil {
		return out, err
	}
	verdict, err := e.ask(ctx, r, s)
	if err != nil {
		return outcome{}, err
	}
	d := verdict.Decisive()
	switch {
	case verdict.Outcome() == guard.Stop:
		return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, d.String()))
	case verdict.Outcome() == guard.DryRun || r.Spec.DryRun:
		return goOn(e.move(ctx, r, v1alpha1.StateDryRun, e.opts.Identity, strings.Join(append([]string{d.String()}, s.draft.Notes...), "; ")))
	case verdict.Needs(guard.Approve):
		for _, v := range verdict.Verdicts {
			if v.Outcome == guard.Approve {
				return e.needsApproval(ctx, r, s, v.String())
			}
		}
	case verdict.Outcome() == guard.Wait:
		return e.waits(ctx, r, verdict)
	case verdict.Outcome() == guard.Export && r.Spec.Action.Kind != v1alpha1.ActionExport:
		return e.handOut(ctx, r, s, d)
	}
	return e.execute(ctx, r, s)
}

// again is what was seen a moment ago, or is looked at now; nil where the step ends
// with the other two results.
func (e *Engine) again(ctx context.Context, r *v1alpha1.Remediation, s *seen) (*seen, outcome, error) {
	if s != nil && s.draft != nil {
		return s, outcome{}, nil
	}
	s, err := e.revisit(ctx, r, true)
	switch {
	case errors.Is(err, errChanged):
		out, err := goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, err.Error()))
		return nil, out, err
	case errors.Is(err, action.ErrBusy):
		return nil, outcome{after: retryLater}, nil
	case err != nil:
		return nil, outcome{}, err
	}
	return s, outcome{}, nil
}

// waits notes once why it waits, and comes back.
func (e *Engine) waits(ctx context.Context, r *v1alpha1.Remediation, verdict guard.Result) (outcome, error) {
	d := verdict.Decisive()
	why := plan.Cut("waits: "+d.Guard+": "+d.Reason, shownMessage)
	if r.Status.Message != why {
		_, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
			if status.State == "" {
				if err := plan.Move(status, v1alpha1.StateProposed, e.proposer(r), e.occasion(r), e.now()); err != nil {
					return err
				}
			}
			status.Message = why
			return nil
		})
		if err != nil {
			return outcome{}, err
		}
	}
	return wait(e.until(verdict))
}

// ask asks the guards, and notes what they let through, so that it counts for the
// next one at once.
func (e *Engine) ask(ctx context.Context, r *v1alpha1.Remediation, s *seen) (guard.Result, error) {
	facts, err := e.facts(ctx, r, s)
	if err != nil {
		return guard.Result{}, err
	}
	facts.Decision.Risk = e.riskNow(r, s)
	e.gate.Lock()
	defer e.gate.Unlock()
	facts.History = e.book.history()
	verdict := guard.Ask(facts)
	if verdict.Outcome() == guard.Pass && !r.Spec.DryRun {
		key := objectKey{r.Namespace, r.Name}
		p := guard.FromRemediation(r)
		p.Started, p.State = e.now(), v1alpha1.StateExecuting
		p.CPU, p.Memory, p.Replicas = facts.Decision.Moves()
		if p.Disruptive {
			p.Disruptions = max(s.draft.Restarts, 1)
		}
		e.book.claim(key, p)
	}
	s.verdict = verdict
	return verdict, nil
}

// cleared carries out what was approved, as soon as the guards let it.
func (e *Engine) cleared(ctx context.Context, r *v1alpha1.Remediation, s *seen) (outcome, error) {
	if expired(r, e.now()) {
		return goOn(e.move(ctx, r, v1alpha1.StateExpired, e.opts.Identity, "it was approved and could not be carried out in time: "+r.Status.Message))
	}
	if sure, err := e.vouched(ctx, originOf(r), v1alpha1.StateApproved); err != nil {
		return outcome{}, err
	} else if !sure {
		return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity,
			"its status says Approved, and the audit chain has no record that it was: approve through the API, or apply deploy/admission and approve by status.approval"))
	}
	s, out, err := e.again(ctx, r, s)
	if s == nil {
		return out, err
	}
	if s.draft.Diff != r.Spec.Diff && r.Status.Approval != nil {
		return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, "what was approved would have another effect by now: "+s.draft.Diff))
	}
	verdict, err := e.ask(ctx, r, s)
	if err != nil {
		return outcome{}, err
	}
	switch verdict.Outcome() {
	case guard.Pass:
		return e.execute(ctx, r, s)
	case guard.Wait:
		return e.waits(ctx, r, verdict)
	case guard.Export:
		return e.handOut(ctx, r, s, verdict.Decisive())
	default:
		d := verdict.Decisive()
		return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, d.String()))
	}
}

// handOut makes an export of what somebody else's manifests own, in place of the
// change itself.
func (e *Engine) handOut(ctx context.Context, r *v1alpha1.Remediation, s *seen, d guard.Verdict) (outcome, error) {
	why := "not carried out, and not exported: "
	if r.Spec.Action.Kind != v1alpha1.ActionExport {
		made := e.book.followed(row{r.Spec.Workload.UID, r.Spec.Container, v1alpha1.ActionExport}, r.Name) // by one that was cut off
		if !made {
			var err error
			if made, err = e.export(ctx, r, s); err != nil {
				return outcome{}, err
			}
		}
		if made {
			why = "exported instead: "
		}
	}
	return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, why+d.String()))
}
