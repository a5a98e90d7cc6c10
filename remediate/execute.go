package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// maxTries is how often one effect is looked at again after the object changed.
const maxTries = 5

// execute records the first intent and makes the first effect, then the others.
// What is between the two writes is as little as there can be: the OOM-killed
// container waits for it.
func (e *Engine) execute(ctx context.Context, r *v1alpha1.Remediation, s *seen) (outcome, error) {
	key := objectKey{r.Namespace, r.Name}
	if out, stop, err := e.consult(ctx, r, s); stop {
		e.book.unclaim(key)
		return out, err
	}
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		e.book.unclaim(key)
		return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, fmt.Sprintf("there is no action %q", r.Spec.Action.Kind)))
	}
	intent := s.draft.First
	if intent == nil {
		var err error
		if intent, err = e.firstIntent(ctx, a, e.subject(r, s)); err != nil {
			e.book.unclaim(key)
			if action.Known(err) && !errors.Is(err, action.ErrChanged) && !errors.Is(err, action.ErrBusy) {
				return goOn(e.move(ctx, r, v1alpha1.StateAborted, e.opts.Identity, err.Error()))
			}
			return outcome{}, err
		}
	}
	e.stamp(intent)
	step := e.traceStep(ctx, r, tracing.Intent, intent)
	next, err := e.begin(ctx, r, s, intent)
	step.End(e.now(), err)
	if err != nil {
		e.book.unclaim(key)
		return outcome{}, err
	}
	return e.carryOut(ctx, next, s, a, true)
}

func (e *Engine) firstIntent(ctx context.Context, a action.Action, subject *action.Subject) (*v1alpha1.Target, error) {
	objects, err := a.Targets(ctx, subject)
	if err != nil {
		return nil, err
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("%w: every object is as it is to become", action.ErrAlready)
	}
	return a.Preconditions(ctx, subject, objects[0])
}

func (e *Engine) stamp(t *v1alpha1.Target) {
	at := metav1.NewMicroTime(e.now())
	t.Time = &at
}

// begin writes intent and holder by compare-and-set, and the audit record, at the
// same time; the effect waits for both.
func (e *Engine) begin(ctx context.Context, r *v1alpha1.Remediation, s *seen, intent *v1alpha1.Target) (*v1alpha1.Remediation, error) {
	var (
		wg       sync.WaitGroup
		auditErr error
	)
	wg.Go(func() {
		auditErr = e.record(ctx, r, v1alpha1.StateExecuting, e.opts.Identity, e.occasion(r), evidence(s, *intent))
	})
	next, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		now := e.now()
		if status.State == "" {
			if err := plan.Move(status, v1alpha1.StateProposed, e.proposer(r), e.occasion(r), now); err != nil {
				return err
			}
		}
		if status.State == v1alpha1.StateProposed {
			if err := plan.Move(status, v1alpha1.StateApproved, policyName(r.Spec.Policy), "the policy lets it be carried out by itself", now); err != nil {
				return err
			}
		}
		if err := plan.Move(status, v1alpha1.StateExecuting, e.opts.Identity, "every guard passed", now); err != nil {
			return err
		}
		status.Holder, status.Targets = plan.Cut(e.opts.Identity, 253), []v1alpha1.Target{*intent}
		return nil
	})
	wg.Wait()
	if err != nil {
		return nil, err
	}
	if auditErr != nil {
		e.logger.ErrorContext(ctx, "remediation: no effect without its audit record", slog.String("remediation", r.Namespace+"/"+r.Name), slog.Any("error", auditErr))
		return nil, auditErr
	}
	return next, nil
}

// executing goes on with what was begun: by this process a moment ago, or by one
// that is gone.
func (e *Engine) executing(ctx context.Context, r *v1alpha1.Remediation, s *seen) (outcome, error) {
	if left := e.resting.left(objectKey{r.Namespace, r.Name}, e.now()); left > 0 {
		return wait(left)
	}
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		return outcome{}, fmt.Errorf("there is no action %q", r.Spec.Action.Kind)
	}
	if s == nil {
		var err error
		s, err = e.revisit(ctx, r, false)
		if errors.Is(err, errChanged) {
			return goOn(e.giveUp(ctx, r, err.Error()))
		}
		if err != nil {
			return outcome{}, err
		}
	}
	if r.Status.Holder != e.opts.Identity {
		taken, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
			status.Holder = plan.Cut(e.opts.Identity, 253)
			return nil
		})
		if err != nil {
			return outcome{}, err
		}
		r = taken
	}
	return e.carryOut(ctx, r, s, a, false)
}

// carryOut makes every effect that is recorded as intended, then those of the other
// objects, and begins the verification. fresh says that the intents were recorded a
// moment ago by this very call; others are read back first.
func (e *Engine) carryOut(ctx context.Context, r *v1alpha1.Remediation, s *seen, a action.Action, fresh bool) (outcome, error) {
	subject := e.subject(r, s)
	r, held, err := e.effects(ctx, r, s, a, subject, fresh)
	if err != nil || held > 0 {
		return e.held(ctx, r, held, err)
	}
	if anyApplied(r) {
		rest, err := e.others(ctx, a, subject, r, s)
		if err != nil {
			return outcome{}, err
		}
		r.Status.Targets = append(r.Status.Targets, rest.left...)
		if len(rest.more) > 0 {
			if r, err = e.intend(ctx, r, s, rest.more); err != nil {
				return outcome{}, err
			}
			if r, held, err = e.effects(ctx, r, s, a, subject, true); err != nil || held > 0 {
				return e.held(ctx, r, held, err)
			}
		}
		if rest.held > 0 && !expired(r, e.now()) {
			return e.holdBack(ctx, r, "waits: "+rest.why, rest.held)
		}
	}
	if !anyApplied(r) {
		return goOn(e.giveUp(ctx, r, "no object could be changed: "+firstMessage(r)))
	}
	next, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets = r.Status.Targets
		return plan.Move(status, v1alpha1.StateVerifying, e.opts.Identity, fmt.Sprintf("%d of %d objects changed", applied(r), len(r.Status.Targets)), e.now())
	})
	if err != nil || told(r) {
		return goOn(next, err)
	}
	return wait(lookFirst) // at once it would be seen under way
}

// held keeps what was done so far, and says why the rest waits.
func (e *Engine) held(ctx context.Context, r *v1alpha1.Remediation, after time.Duration, err error) (outcome, error) {
	if err != nil {
		return outcome{}, err
	}
	for i := range r.Status.Targets {
		if t := &r.Status.Targets[i]; t.Result == v1alpha1.TargetIntended && t.Message != "" {
			return e.holdBack(ctx, r, "waits: "+t.Message, after)
		}
	}
	return wait(after)
}

func anyApplied(r *v1alpha1.Remediation) bool { return applied(r) > 0 }

func applied(r *v1alpha1.Remediation) int {
	n := 0
	for i := range r.Status.Targets {
		switch r.Status.Targets[i].Result {
		case v1alpha1.TargetApplied, v1alpha1.TargetConfirmed:
			n++
		default:
		}
	}
	return n
}

func firstMessage(r *v1alpha1.Remediation) string {
	for i := range r.Status.Targets {
		if m := r.Status.Targets[i].Message; m != "" {
			return m
		}
	}
	return "there is none"
}

// giveUp ends what has had no effect: Aborted where the objects are gone or
// changed, else Failed. What has had an effect is verified.
func (e *Engine) giveUp(ctx context.Context, r *v1alpha1.Remediation, why string) (*v1alpha1.Remediation, error) {
	to := v1alpha1.StateAborted
	for i := range r.Status.Targets {
		switch t := &r.Status.Targets[i]; t.Result {
		case v1alpha1.TargetApplied, v1alpha1.TargetConfirmed:
			to = v1alpha1.StateVerifying
		case v1alpha1.TargetFailed:
			if to != v1alpha1.StateVerifying && refusedText(t.Message) {
				to = v1alpha1.StateFailed
			}
		default:
		}
	}
	if err := e.record(ctx, r, to, e.opts.Identity, why, nil); err != nil {
		return nil, err
	}
	return e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets = r.Status.Targets
		return plan.Move(status, to, e.opts.Identity, why, e.now())
	})
}

// effects makes each effect that is intended. It returns r with their results,
// which are not written yet, and how long to wait where one cannot be made now.
func (e *Engine) effects(ctx context.Context, r *v1alpha1.Remediation, s *seen, a action.Action, subject *action.Subject, fresh bool) (*v1alpha1.Remediation, time.Duration, error) {
	r = r.DeepCopy()
	for i := range r.Status.Targets {
		if r.Status.Targets[i].Result != v1alpha1.TargetIntended {
			continue
		}
		next, held, err := e.effect(ctx, r, i, s, a, subject, fresh)
		if err != nil || held > 0 {
			return next, held, err
		}
		r = next
	}
	return r, 0, nil
}

// effect makes one effect.
func (e *Engine) effect(ctx context.Context, r *v1alpha1.Remediation, i int, s *seen, a action.Action, subject *action.Subject, fresh bool) (*v1alpha1.Remediation, time.Duration, error) {
	for try := range maxTries {
		t := &r.Status.Targets[i]
		if !fresh || try > 0 {
			step := e.traceStep(ctx, r, tracing.ReadBack, t)
			made, err := a.ReadBack(ctx, subject, t)
			step.End(e.now(), err, attribute.Bool("rightsizer.found", made))
			switch {
			case errors.Is(err, action.ErrGone), errors.Is(err, action.ErrChanged) && try == 0:
				return e.result(r, i, v1alpha1.TargetFailed, err.Error()), 0, nil
			case err != nil && !errors.Is(err, action.ErrChanged): // a try before was certainly not made
				return r, 0, err
			case made:
				return e.result(r, i, v1alpha1.TargetApplied, "found in the live object after an interruption"), 0, nil
			case expired(r, e.now()):
				return e.result(r, i, v1alpha1.TargetFailed, "it could not be carried out in time: "+t.Message), 0, nil
			}
			var held time.Duration
			if r, held, err = e.reconsider(ctx, r, i, s, a, subject); err != nil || held > 0 {
				return r, held, err
			}
			if t = &r.Status.Targets[i]; t.Result != v1alpha1.TargetIntended {
				return r, 0, nil
			}
		}
		if why := e.opts.Policies.Frozen(); why != "" {
			return r, retryLater, nil
		}
		if err := ctx.Err(); err != nil {
			return r, 0, err
		}
		step := e.traceStep(ctx, r, tracing.Apply, t)
		err := a.Apply(ctx, subject, t)
		step.End(e.now(), err)
		switch {
		case err == nil:
			e.metrics.effects.WithLabelValues(string(a.Kind()), "applied").Inc()
			e.took(s, i)
			return e.result(r, i, v1alpha1.TargetApplied, ""), 0, nil
		case errors.Is(err, action.ErrChanged):
			e.metrics.effects.WithLabelValues(string(a.Kind()), "conflict").Inc()
			continue
		case errors.Is(err, action.ErrBusy):
			e.metrics.effects.WithLabelValues(string(a.Kind()), "busy").Inc()
			t.Message = plan.Cut(err.Error(), 1024)
			return r, e.later(r, err), nil
		case action.Known(err):
			e.metrics.effects.WithLabelValues(string(a.Kind()), "refused").Inc()
			return e.result(r, i, v1alpha1.TargetFailed, err.Error()), 0, nil
		default: // nobody knows whether it was made: it is read back
			e.metrics.effects.WithLabelValues(string(a.Kind()), "unknown").Inc()
			return r, 0, err
		}
	}
	return e.result(r, i, v1alpha1.TargetFailed, "the object changed again and again"), 0, nil
}

func (e *Engine) result(r *v1alpha1.Remediation, i int, result v1alpha1.TargetResult, message string) *v1alpha1.Remediation {
	t := &r.Status.Targets[i]
	t.Result, t.Message = result, plan.Cut(message, 1024)
	e.stamp(t)
	return r
}

// took measures how long the first effect took that nobody had to approve.
func (e *Engine) took(s *seen, i int) {
	if i == 0 && !s.observed.IsZero() {
		e.metrics.seconds.Observe(e.now().Sub(s.observed).Seconds())
	}
}

// refusedText says whether a target's message is a refusal, not an absence.
func refusedText(message string) bool {
	return strings.Contains(message, action.ErrRefused.Error()) || strings.Contains(message, action.ErrUnsupported.Error())
}
