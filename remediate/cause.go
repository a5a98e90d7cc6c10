package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/tracing"
)

// Pauses before something is tried again.
const (
	retrySoon  = time.Second
	retryLater = 5 * time.Second
)

// take looks at an event: a cause, a pod that may need a lasting cure, or news of
// a workload that is being repaired.
func (e *Engine) take(ev *rightsizerv1.Event) {
	w := ev.GetWorkload()
	if w.GetName() == "" || ev.GetObject().GetKind() == v1alpha1.KindRemediation {
		return
	}
	key := workloadKey{ev.GetNamespace(), w.GetKind(), w.GetName()}
	if isCause(ev) {
		e.waiting.cause(key, ev)
		return
	}
	switch ev.GetType() {
	case "pod.started", "deployment.scaled", "statefulset.scaled", "deployment.rollout_started", "statefulset.rollout_started", "daemonset.rollout_started":
		if e.book.lasts(key) {
			e.waiting.look(key)
		}
	default:
		if e.book.busy(key) {
			e.waiting.add(key)
		}
	}
}

// process does what there is to do for one workload.
func (e *Engine) process(ctx context.Context, key workloadKey) {
	causes, look := e.waiting.take(key)
	wake, open := alarm{}, e.book.of(key) // what its causes make is driven as it is made
	for _, container := range containersOf(causes) {
		if again, after := e.decide(ctx, key, container.name, container.events); len(again) > 0 {
			e.waiting.again(key, again, after)
		}
	}
	for _, r := range open {
		if r = e.book.current(objectKey{r.Namespace, r.Name}); r != nil {
			wake.in(e.drive(ctx, r, nil))
		}
	}
	if look {
		wake.in(e.renew(ctx, key))
	}
	if wake.set {
		e.waiting.after(key, wake.soonest)
	}
}

// alarm is the soonest of several times to come back.
type alarm struct {
	set     bool
	soonest time.Duration
}

// in takes another one; 0 is none.
func (a *alarm) in(d time.Duration) {
	if d > 0 && (!a.set || d < a.soonest) {
		a.set, a.soonest = true, d
	}
}

type containerCauses struct {
	name   string
	events []*rightsizerv1.Event
}

// containersOf groups causes that have one answer, the latest last: by container and
// type, and where each pod is answered for itself by pod.
func containersOf(causes []*rightsizerv1.Event) []containerCauses {
	var out []containerCauses
	for _, ev := range causes {
		i := slices.IndexFunc(out, func(c containerCauses) bool {
			first := c.events[0]
			alone := ev.GetType() == guard.TypeNotReady && first.GetObject().GetUid() != ev.GetObject().GetUid()
			return c.name == ev.GetContainer() && first.GetType() == ev.GetType() && !alone
		})
		if i < 0 {
			out = append(out, containerCauses{name: ev.GetContainer()})
			i = len(out) - 1
		}
		out[i].events = append(out[i].events, ev)
	}
	for i := range out {
		slices.SortStableFunc(out[i].events, func(a, b *rightsizerv1.Event) int {
			return a.GetOccurredTime().AsTime().Compare(b.GetOccurredTime().AsTime())
		})
	}
	return out
}

// decide makes of the causes of one container a decision, or lets them join one.
// It returns the causes that could not be judged now, and when to try again.
func (e *Engine) decide(ctx context.Context, key workloadKey, container string, events []*rightsizerv1.Event) ([]*rightsizerv1.Event, time.Duration) {
	set, err := e.opts.Policies.Set()
	if err != nil {
		return events, retrySoon
	}
	if !acts(set, key.namespace) {
		return nil, 0 // without a policy nothing is done, and nothing is read
	}
	begun := e.now()
	s, err := e.look(ctx, set, key, events[len(events)-1])
	switch {
	case errors.Is(err, kube.ErrKind):
		e.decline(ctx, key, begun, events, "kind", "a "+key.kind+" cannot be repaired")
		return nil, 0
	case apierrors.IsNotFound(err):
		return nil, 0
	case err != nil:
		e.logger.WarnContext(ctx, "remediation: a cause waits", slog.String("workload", key.String()), slog.Any("error", err))
		return events, retrySoon
	}
	s.begun = begun
	if events[len(events)-1].GetType() == guard.TypeNotReady {
		if now, again, after := e.deadlocked(ctx, key, s, container, events); !now {
			return again, after
		}
	}
	if again := e.join(ctx, s, container, events); !again || e.answered(s, container, events[len(events)-1]) {
		return nil, 0
	}
	return e.propose(ctx, key, s, container, events)
}

// acts says whether any policy makes Remediations in a namespace.
func acts(set *policy.Set, namespace string) bool {
	if set.OutOfReach(namespace) != "" {
		return false
	}
	return slices.ContainsFunc(set.Policies(), func(p *policy.Policy) bool {
		if p.Ref.Namespace != "" && p.Ref.Namespace != namespace {
			return false
		}
		return policy.Acts(p.Spec.Mode) || slices.ContainsFunc(p.Spec.Modes, func(m v1alpha1.ActionMode) bool { return policy.Acts(m.Mode) })
	})
}

// look reads the workload, and the pod of a cause, at the same time. A pod that is
// gone is nil.
func (e *Engine) look(ctx context.Context, set *policy.Set, key workloadKey, ev *rightsizerv1.Event) (*seen, error) {
	var (
		wg       sync.WaitGroup
		workload *kube.Workload
		pod      *corev1.Pod
		wErr     error
		pErr     error
	)
	wg.Go(func() { workload, wErr = e.client.Workload(ctx, key.namespace, key.kind, key.name) })
	if ev.GetObject().GetKind() == "Pod" {
		pod, pErr = e.client.Pod(ctx, key.namespace, ev.GetObject().GetName())
	}
	wg.Wait()
	switch {
	case wErr != nil:
		return nil, wErr
	case pErr != nil && !apierrors.IsNotFound(pErr):
		return nil, pErr
	case pErr != nil, pod != nil && string(pod.UID) != ev.GetObject().GetUid():
		pod = nil
	}
	return &seen{workload: workload, pod: pod, policy: e.govern(set, workload), observed: ev.GetObservedTime().AsTime()}, nil
}

func (e *Engine) govern(set *policy.Set, w *kube.Workload) *policy.Policy {
	return set.Govern(&policy.Workload{
		Namespace: w.Namespace, Kind: w.Kind, Name: w.Name, Labels: w.Labels, NamespaceLabels: e.opts.Policies.NamespaceLabels(w.Namespace),
	})
}

// cures are the kinds of actions that give memory, the first choice first.
var cures = []v1alpha1.ActionKind{v1alpha1.ActionResizeInPlace, v1alpha1.ActionResizeTemplate}

// answers are the kinds of actions that are an answer to a cause, the first choice
// first.
func answers(ev *rightsizerv1.Event) []v1alpha1.ActionKind {
	switch ev.GetType() {
	case guard.TypeAtMaximum:
		return []v1alpha1.ActionKind{v1alpha1.ActionScale}
	case guard.TypeNotReady:
		return []v1alpha1.ActionKind{v1alpha1.ActionRestartPod}
	}
	return cures
}

// propose makes a decision and carries it as far as it goes.
func (e *Engine) propose(ctx context.Context, key workloadKey, s *seen, container string, events []*rightsizerv1.Event) ([]*rightsizerv1.Event, time.Duration) {
	ev := events[len(events)-1]
	var why []string
	for _, kind := range answers(ev) {
		if !policy.Acts(s.policy.ModeFor(kind)) {
			why = append(why, fmt.Sprintf("%s: %s goes no further than %s", kind, s.policy, s.policy.ModeFor(kind)))
			continue
		}
		a, ok := e.opts.Actions.Get(kind)
		if !ok {
			why = append(why, string(kind)+": there is no such action here")
			continue
		}
		subject, err := e.answer(key, s, container, kind, ev)
		if err == nil {
			var draft *action.Draft
			if draft, err = a.Plan(ctx, subject); err == nil {
				own := *s
				own.draft = draft
				return e.make(ctx, key, &own, subject, events)
			}
		}
		switch {
		case errors.Is(err, plan.ErrCured):
			e.stillKilled(ctx, key, s, container, ev)
			return nil, 0
		case errors.Is(err, plan.ErrNoLimit):
			e.decline(ctx, key, s.begun, events, "no_limit", err.Error())
			return nil, 0
		case errors.Is(err, action.ErrUnsupported), errors.Is(err, action.ErrRefused), errors.Is(err, action.ErrAlready), errors.Is(err, action.ErrGone):
			why = append(why, fmt.Sprintf("%s: %v", kind, err))
		default:
			e.logger.WarnContext(ctx, "remediation: a plan waits", slog.String("workload", key.String()), slog.Any("error", err))
			return events, retrySoon
		}
	}
	if s.policy.Governs() {
		e.decline(ctx, key, s.begun, events, "no_action", strings.Join(why, "; "))
	}
	return nil, 0
}

// answer is the subject of an action that answers a cause.
func (e *Engine) answer(key workloadKey, s *seen, container string, kind v1alpha1.ActionKind, ev *rightsizerv1.Event) (*action.Subject, error) {
	switch ev.GetType() {
	case guard.TypeAtMaximum:
		return roomFor(s, ev)
	case guard.TypeNotReady:
		return restartOf(s, container), nil
	}
	return e.cureFor(key, s, container, kind, ev)
}

// roomFor is the subject of an action that lets an autoscaler go further: by half,
// as far as the policy says. Where it says nothing, how far is a person's to say.
func roomFor(s *seen, ev *rightsizerv1.Event) (*action.Subject, error) {
	if s.policy.Spec.Bounds.MaxReplicas == nil {
		return nil, fmt.Errorf("%w: bounds.maxReplicas of %s is not set, so that nobody has said how far", action.ErrUnsupported, s.policy)
	}
	most := ev.GetHpa().GetMaxReplicas()
	return &action.Subject{
		Workload: s.workload, Policy: s.policy,
		Want: v1alpha1.RemediationAction{
			Kind: v1alpha1.ActionScale, Replicas: new(most + max(most/2, 1)),
			Parameters: map[string]v1alpha1.ParameterValue{action.ParameterBound: action.BoundMaximum},
		},
	}, nil
}

// cureFor is the subject of an action that gives a killed container more memory.
func (e *Engine) cureFor(key workloadKey, s *seen, container string, kind v1alpha1.ActionKind, ev *rightsizerv1.Event) (*action.Subject, error) {
	current, ok := policy.Size{}, false
	if kind == v1alpha1.ActionResizeInPlace && s.pod != nil {
		current, ok = action.SizeOf(s.pod, container)
	}
	if !ok && s.workload.Template != nil {
		current, ok = action.SizeOfTemplate(s.workload.Template, container)
	}
	if !ok {
		return nil, fmt.Errorf("%w: there is no container %q to resize", action.ErrUnsupported, container)
	}
	killed := plan.Killed{
		Current: current, Limit: ev.GetOomKilled().GetMemoryLimitBytes(),
		Raises:      e.book.raises(row{s.workload.UID, container, kind}, e.now().Add(-e.opts.Limits.LeakWithin)),
		Recommended: e.recommended(key, container),
	}
	to, how, err := plan.CureOOM(killed)
	if err != nil {
		return nil, err
	}
	want := v1alpha1.RemediationAction{
		Kind:       kind,
		Parameters: map[string]v1alpha1.ParameterValue{action.ParameterDirection: action.DirectionRaise, "size": v1alpha1.ParameterValue(how)},
	}
	action.SetSize(&want, current, to)
	subject := &action.Subject{Container: container, Want: want, Workload: s.workload, Policy: s.policy}
	if s.pod != nil {
		subject.Pod, subject.PodUID, subject.Live = s.pod.Name, string(s.pod.UID), s.pod
	}
	return subject, nil
}

func (e *Engine) recommended(key workloadKey, container string) policy.Size {
	if e.opts.Recommender == nil {
		return policy.Size{}
	}
	r, ok := e.opts.Recommender.Recommendation(key.namespace, key.kind, key.name, container)
	if !ok {
		return policy.Size{}
	}
	return policy.Size{
		Requests: policy.Amounts{CPUMillis: r.GetTargetRequests().GetCpuMillis(), MemoryBytes: r.GetTargetRequests().GetMemoryBytes()},
		Limits:   policy.Amounts{CPUMillis: r.GetTargetLimits().GetCpuMillis(), MemoryBytes: r.GetTargetLimits().GetMemoryBytes()},
	}
}

// refusals remembers what was told, so that the same is not told again and again.
type refusals struct {
	mu   sync.Mutex
	told map[string]time.Time
}

const (
	refusalAgain = 10 * time.Minute
	maxRefusals  = 1024
)

// first says whether this was not told lately.
func (r *refusals) first(what string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.told[what]; ok && now.Sub(at) < refusalAgain {
		return false
	}
	if r.told == nil || len(r.told) >= maxRefusals {
		r.told = map[string]time.Time{}
	}
	r.told[what] = now
	return true
}

// decline refuses what events of one container are causes for.
func (e *Engine) decline(ctx context.Context, key workloadKey, begun time.Time, events []*rightsizerv1.Event, why, text string) {
	e.refuse(key, events[len(events)-1].GetContainer(), why, text)
	e.traceCauses(ctx, key, begun, events, tracing.Decision{Outcome: tracing.Refused, Reason: why + ": " + text})
}

// refuse counts and tells a cause for which nothing is done.
func (e *Engine) refuse(key workloadKey, container, why, text string) {
	e.metrics.refused.WithLabelValues(why).Inc()
	if !e.refused.first(key.String()+"/"+container+"/"+why, e.now()) {
		return
	}
	e.logger.Info("remediation: nothing is done", slog.String("workload", key.String()), slog.String("container", container),
		slog.String("why", why), slog.String("reason", text))
	e.teller.refusal(key, container, why, text)
}
