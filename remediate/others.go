package remediate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// rest is what is to become of the objects of a decision that it has not come to yet.
type rest struct {
	more []v1alpha1.Target // intents that the guards let through
	left []v1alpha1.Target // what is left as it is, each with why
	// held is when to look again at what has to wait, with why; 0 where nothing has.
	held time.Duration
	why  string
}

// others asks the guards about each object that has no intent yet, within the bounds.
func (e *Engine) others(ctx context.Context, a action.Action, subject *action.Subject, r *v1alpha1.Remediation, s *seen) (rest, error) {
	out := rest{}
	objects, err := a.Targets(ctx, subject)
	if err != nil {
		return out, err
	}
	have := map[string]bool{}
	for i := range r.Status.Targets {
		have[r.Status.Targets[i].UID] = true
	}
	asked := map[change]guard.Result{} // of pods that are alike once
	for _, o := range objects {
		if have[o.UID] {
			continue
		}
		if len(have) >= v1alpha1.MaxTargets {
			e.metrics.dropped.WithLabelValues("target").Inc()
			break
		}
		intent, err := a.Preconditions(ctx, subject, o)
		switch {
		case err != nil && action.Known(err):
			continue
		case err != nil:
			return out, err
		}
		if !e.book.meant(r, intent) {
			continue
		}
		have[o.UID] = true
		e.stamp(intent)
		if why := beyond(&r.Status.Targets[0], intent); why != "" {
			out.leave(intent, why)
			continue
		}
		verdict, ok := asked[changeOf(intent)]
		if !ok {
			if verdict, err = e.judge(ctx, r, s, intent); err != nil {
				return out, err
			}
			asked[changeOf(intent)] = verdict
		}
		switch d := verdict.Decisive(); verdict.Outcome() {
		case guard.Pass:
			out.more = append(out.more, *intent)
		case guard.Wait:
			out.held, out.why = e.until(verdict), d.Guard+": "+d.Reason
		default:
			out.leave(intent, d.String())
		}
	}
	return out, nil
}

func (o *rest) leave(t *v1alpha1.Target, why string) {
	t.Result, t.Message = v1alpha1.TargetFailed, plan.Cut(why, 1024)
	o.left = append(o.left, *t)
}

// change is what guards look at of an effect on a pod.
type change struct {
	from, to        policy.Size
	restarts, ready int32
}

func changeOf(t *v1alpha1.Target) change {
	c := change{}
	c.from, c.to = action.SizesOf(t)
	c.restarts, c.ready = action.Disrupts(t)
	return c
}

// beyond is why an effect takes more away than the first one of its decision, which
// is what the guards judged and a person saw; empty where it does not.
func beyond(judged, own *v1alpha1.Target) string {
	was, will := action.SizesOf(judged)
	from, to := action.SizesOf(own)
	for _, v := range []struct {
		name                string
		from, to, was, will int64
	}{
		{"CPU request", from.Requests.CPUMillis, to.Requests.CPUMillis, was.Requests.CPUMillis, will.Requests.CPUMillis},
		{"CPU limit", limit(from.Limits.CPUMillis), limit(to.Limits.CPUMillis), limit(was.Limits.CPUMillis), limit(will.Limits.CPUMillis)},
		{"memory request", from.Requests.MemoryBytes, to.Requests.MemoryBytes, was.Requests.MemoryBytes, will.Requests.MemoryBytes},
		{"memory limit", limit(from.Limits.MemoryBytes), limit(to.Limits.MemoryBytes), limit(was.Limits.MemoryBytes), limit(will.Limits.MemoryBytes)},
	} {
		if v.to < v.from && (v.will >= v.was || v.from > v.was) {
			return "left as it is: its " + v.name + " would be lowered further than was judged; ask for it by itself"
		}
	}
	return ""
}

// limit is a limit as an amount: without one there is no end.
func limit(amount int64) int64 {
	if amount == 0 {
		return math.MaxInt64
	}
	return amount
}

// meant says whether an effect is for a pod that its decision means: one that gives
// new pods a cure means those that begin as they do, not what somebody set by hand.
func (b *book) meant(r *v1alpha1.Remediation, t *v1alpha1.Target) bool {
	if c := r.Spec.Cause; c == nil || c.Type != TypeLasts || t.Pod == "" {
		return true
	}
	from, _ := action.SizesOf(t)
	return slices.ContainsFunc(b.cures(workloadOf(r)), func(c *cure) bool {
		return c.uid == r.Spec.Workload.UID && c.container == r.Spec.Container && c.isFor(t.UID, from)
	})
}

// intend records further intents, with the results so far, and their audit record.
func (e *Engine) intend(ctx context.Context, r *v1alpha1.Remediation, s *seen, more []v1alpha1.Target) (next *v1alpha1.Remediation, err error) {
	step := e.traceStep(ctx, r, tracing.Intent, &more[0])
	defer func() { step.End(e.now(), err, attribute.Int("rightsizer.targets", len(more))) }()
	if err := e.record(ctx, r, v1alpha1.StateExecuting, e.opts.Identity, fmt.Sprintf("%d more pods of the workload", len(more)), evidence(s, more...)); err != nil {
		return nil, err
	}
	results := r.Status.Targets
	return e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets = append(results, more...)
		return nil
	})
}

// extend gives pods that came later what an open decision gives: a replica that was
// killed, or a new one.
func (e *Engine) extend(ctx context.Context, r *v1alpha1.Remediation, s *seen) {
	if r.Status.State != v1alpha1.StateVerifying || rollbackAsked(r) != "" || e.opts.Policies.Frozen() != "" {
		return
	}
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		return
	}
	if begun, err := e.vouched(ctx, originOf(r), v1alpha1.StateExecuting); err != nil || !begun {
		return // its verification says so
	}
	key, subject := workloadOf(r), e.subject(r, s)
	r, err := e.settle(ctx, r, s, a)
	if err != nil || intended(r) > 0 { // read back first, before anything is taken for new
		e.waiting.lookAfter(key, retrySoon)
		return
	}
	rest, err := e.others(ctx, a, subject, r, s)
	if err == nil && len(rest.more) > 0 {
		if r, err = e.intend(ctx, r, s, rest.more); err == nil {
			done, _, failure := e.effects(ctx, r, s, a, subject, true)
			_, err = e.keepResults(ctx, done)
			err = errors.Join(failure, err)
		}
	}
	switch {
	case err != nil: // what was intended is read back as it is verified
		e.waiting.lookAfter(key, retrySoon)
	case rest.held > 0:
		e.waiting.lookAfter(key, rest.held)
	}
}

// settle goes on with what was intended for later pods, and was interrupted: as while
// it is carried out, that is read back first.
func (e *Engine) settle(ctx context.Context, r *v1alpha1.Remediation, s *seen, a action.Action) (*v1alpha1.Remediation, error) {
	open := intended(r)
	if open == 0 || e.resting.left(objectKey{r.Namespace, r.Name}, e.now()) > 0 {
		return r, nil
	}
	next, _, err := e.effects(ctx, r, s, a, e.subject(r, s), false)
	if intended(next) == open {
		return next, err
	}
	kept, failure := e.keepResults(ctx, next)
	return kept, errors.Join(err, failure)
}

// keepResults writes what became of effects, also where those after them failed.
func (e *Engine) keepResults(ctx context.Context, r *v1alpha1.Remediation) (*v1alpha1.Remediation, error) {
	return e.write(ctx, r, func(*v1alpha1.RemediationStatus) error { return nil })
}

// intended is how many effects are intended of which nobody has noted whether they
// were made.
func intended(r *v1alpha1.Remediation) int {
	n := 0
	for i := range r.Status.Targets {
		if r.Status.Targets[i].Result == v1alpha1.TargetIntended {
			n++
		}
	}
	return n
}
