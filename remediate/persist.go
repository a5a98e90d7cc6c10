package remediate

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// TypeLasts is the cause of a decision that gives new pods what their workload was
// given.
const TypeLasts = "remediation.lasts"

// parameterFollows names the decision whose cure is made to last.
const parameterFollows = action.ParameterFollows

// sizesOf is what a Remediation changed, by its first target.
func sizesOf(r *v1alpha1.Remediation) (from, to policy.Size) {
	if len(r.Status.Targets) == 0 {
		return from, to
	}
	return action.SizesOf(&r.Status.Targets[0])
}

// cureOf is the size that lasts after a Remediation; nil where none does.
func cureOf(r *v1alpha1.Remediation) *cure {
	if r.Spec.Action.Kind != v1alpha1.ActionResizeInPlace || !plan.Began(r.Status.State) || r.Status.State == v1alpha1.StateRolledBack {
		return nil
	}
	from, to := sizesOf(r)
	if from == to {
		return nil
	}
	c := &cure{
		decision: objectKey{r.Namespace, r.Name}, uid: r.Spec.Workload.UID, container: r.Spec.Container, before: from, size: to,
		want: r.Spec.Action, oom: r.Spec.Cause != nil && r.Spec.Cause.Type == guard.TypeOOM, finished: startOf(r),
		persistence: r.Spec.Persistence, proven: r.Status.State == v1alpha1.StateSucceeded && lookedAt(r),
	}
	for i := range r.Status.Targets {
		switch t := &r.Status.Targets[i]; t.Result {
		case v1alpha1.TargetApplied, v1alpha1.TargetConfirmed, v1alpha1.TargetReverted:
			c.given = append(c.given, t.UID)
		default:
		}
	}
	if a := r.Status.Approval; a != nil && a.Decision == v1alpha1.DecisionApprove {
		c.approval = a.DeepCopy()
	}
	return c
}

// reverted is a decision that was taken back, and the pods of which that was: they are
// left as they are, whatever else gave them the same.
type reverted struct {
	decision       objectKey
	uid, container string
	pods           []string // their UIDs
}

// revertedOf is what was taken back; nil where nothing was.
func revertedOf(r *v1alpha1.Remediation) *reverted {
	if r.Spec.Action.Kind != v1alpha1.ActionResizeInPlace || r.Status.State != v1alpha1.StateRolledBack {
		return nil
	}
	out := &reverted{decision: objectKey{r.Namespace, r.Name}, uid: r.Spec.Workload.UID, container: r.Spec.Container}
	for i := range r.Status.Targets {
		if t := &r.Status.Targets[i]; t.Result == v1alpha1.TargetReverted {
			out.pods = append(out.pods, t.UID)
		}
	}
	return out
}

// lookedAt says that its effect was in force to the end of the window.
func lookedAt(r *v1alpha1.Remediation) bool {
	v := r.Status.Verification
	return v != nil && v.EndTime != nil && r.Status.FinishTime != nil && !r.Status.FinishTime.Before(v.EndTime)
}

// lasts says whether new pods of a workload may need a cure.
func (b *book) lasts(key workloadKey) bool { return len(b.cures(key)) > 0 }

// busy says whether something is open for a workload.
func (b *book) busy(key workloadKey) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, h := range b.items {
		if h.open && h.workload == key {
			return true
		}
	}
	return false
}

// cures lists the latest cure of each container of a workload, with the sizes that
// led to it: a new pod begins with the first of them. With the decision that a cure goes
// back to it is taken back for new pods as well.
func (b *book) cures(key workloadKey) []*cure {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*cure
	var back []*reverted
	over := map[objectKey]bool{}
	for _, h := range b.items {
		if h.reverted != nil && h.workload == key {
			back = append(back, h.reverted)
			over[h.reverted.decision] = true
		}
	}
	for _, h := range b.items {
		if h.cure == nil || h.workload != key || over[h.cure.first()] {
			continue
		}
		i := slices.IndexFunc(out, func(o *cure) bool { return o.container == h.cure.container && o.uid == h.cure.uid })
		if i < 0 {
			c := *h.cure
			c.led = []policy.Size{c.before}
			out = append(out, &c)
			continue
		}
		at, later := out[i], h.cure.finished.After(out[i].finished)
		led, given := append(at.led, h.cure.before), at.given
		switch {
		case h.cure.size == at.size:
			given = slices.Concat(given, h.cure.given)
		case later:
			given = h.cure.given
		}
		if later {
			*at = *h.cure
		}
		at.led, at.given = led, given
	}
	for _, c := range out {
		for _, r := range back {
			if r.uid == c.uid && r.container == c.container {
				c.given = append(slices.Clip(c.given), r.pods...)
			}
		}
	}
	return out
}

// curedWorkloads lists the workloads that have a cure.
func (b *book) curedWorkloads() []workloadKey {
	b.mu.RLock()
	defer b.mu.RUnlock()
	have := map[workloadKey]bool{}
	var out []workloadKey
	for _, h := range b.items {
		if h.cure != nil && !have[h.workload] {
			have[h.workload] = true
			out = append(out, h.workload)
		}
	}
	return out
}

// renew gives new pods of a workload what it was given. While a decision is open
// they join it; else a new one is made that follows it.
func (e *Engine) renew(ctx context.Context, key workloadKey) time.Duration {
	set, err := e.opts.Policies.Set()
	if err != nil {
		return retrySoon
	}
	cures := e.book.cures(key)
	if len(cures) == 0 || !acts(set, key.namespace) {
		return 0
	}
	w, err := e.client.Workload(ctx, key.namespace, key.kind, key.name)
	if err != nil {
		return 0 // it comes again with the next of its pods
	}
	pods, err := action.Pods(ctx, e.client, w)
	if err != nil {
		return retryLater
	}
	wake := alarm{}
	s := &seen{workload: w, policy: e.govern(set, w)}
	for _, c := range cures {
		if c.uid != w.UID {
			continue // another workload had this name
		}
		wake.in(e.keepInTemplate(ctx, key, s, c))
		e.handOver(ctx, s, c)
		pod := needs(pods, c)
		if pod == nil {
			continue
		}
		if open, _ := e.book.row(row{w.UID, c.container, v1alpha1.ActionResizeInPlace}); open != nil {
			if open.Status.State == v1alpha1.StateVerifying {
				e.extend(ctx, open, s)
			}
			continue
		}
		wake.in(e.renewOne(ctx, key, s, c, pod))
	}
	return wake.soonest
}

// needs is a pod that the cure is for: one that began with a size that the cured ones
// had. Where it is another one, somebody has decided anew, and the cure is over. One
// that was given the cure and has it no more is left as it is: somebody wants that.
func needs(pods []corev1.Pod, c *cure) *corev1.Pod {
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		size, ok := action.SizeOf(pod, c.container)
		// One that was there already is left alone where it would be restarted: it
		// has not been killed.
		old := pod.CreationTimestamp.Time.Before(c.finished) && action.WouldRestart(pod, c.container, c.size)
		if ok && c.isFor(string(pod.UID), size) && !old {
			return pod
		}
	}
	return nil
}

// isFor says whether a cure is for a pod of such a size.
func (c *cure) isFor(uid string, size policy.Size) bool {
	return !slices.Contains(c.given, uid) && slices.Contains(c.led, size) && size != c.size && size.Limits.MemoryBytes <= c.size.Limits.MemoryBytes
}

func (e *Engine) renewOne(ctx context.Context, key workloadKey, s *seen, c *cure, pod *corev1.Pod) time.Duration {
	if !policy.Acts(s.policy.ModeFor(v1alpha1.ActionResizeInPlace)) || e.full(key, c.container) {
		return 0 // it comes again with the next look
	}
	want := *c.want.DeepCopy()
	if want.Parameters == nil {
		want.Parameters = map[string]v1alpha1.ParameterValue{}
	}
	first := c.first()
	want.Parameters[parameterFollows] = v1alpha1.ParameterValue(first.name)
	action.SetSize(&want, policy.Size{}, c.size)
	a, ok := e.opts.Actions.Get(v1alpha1.ActionResizeInPlace)
	if !ok {
		return 0
	}
	own := *s
	own.pod = pod
	subject := &action.Subject{
		Container: c.container, Want: want, Workload: s.workload, Policy: s.policy,
		Pod: pod.Name, PodUID: string(pod.UID), Live: pod,
	}
	draft, err := a.Plan(ctx, subject)
	if err != nil {
		if action.Known(err) {
			e.refuse(key, c.container, "lasting", err.Error())
			return 0
		}
		return retryLater
	}
	own.draft = draft
	r := e.draft(&own, subject)
	at := metav1.NewMicroTime(e.now())
	r.Spec.Cause = &v1alpha1.Cause{
		EventID:   v1alpha1.EventID(hash(TypeLasts, c.decision.name, string(pod.UID))),
		ProblemID: v1alpha1.EventID(hash(TypeLasts, c.decision.name)), Type: TypeLasts, Pod: pod.Name, Time: &at,
	}
	if by := e.book.approver(first); by != "" {
		r.Spec.Reason = plan.Cut(fmt.Sprintf("follows %s, which %s approved", first.name, by), 1024)
	}
	made, after, err := e.follow(ctx, key, r, &own)
	switch {
	case err != nil:
		e.logger.WarnContext(ctx, "remediation: a lasting cure was not made", slog.String("workload", key.String()), slog.Any("error", err))
		return retryLater
	case made == nil:
		return after
	}
	return e.drive(ctx, made, &own)
}

// full says whether a namespace has no room for another decision, and tells so once in
// a while: before anything is asked of the API server for it.
func (e *Engine) full(key workloadKey, container string) bool {
	if e.book.inNamespace(key.namespace) < MaxPerNamespace {
		return false
	}
	e.refuse(key, container, "full", fmt.Sprintf("%v: %d", errFull, MaxPerNamespace))
	return true
}

// first is the decision that a cure goes back to, through however many waves of new
// pods: what a person approved is that one, and stands for all of them.
func (c *cure) first() objectKey {
	if name := c.want.Parameters[parameterFollows]; name != "" {
		return objectKey{c.decision.namespace, string(name)}
	}
	return c.decision
}

// approver is who approved a decision that has a cure; empty where nobody did.
func (b *book) approver(key objectKey) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if h := b.items[key]; h != nil && h.cure != nil && h.cure.approval != nil {
		return h.cure.approval.User
	}
	return ""
}

// inherits returns the decision that one follows whose approval stands for it: the
// same row, by nobody's request, and no other size.
func (b *book) inherits(r *v1alpha1.Remediation) (origin, bool) {
	c := r.Spec.Cause
	if c == nil || c.Type != TypeLasts || r.Spec.RequestedBy != "" {
		return origin{}, false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	h := b.items[objectKey{r.Namespace, string(r.Spec.Action.Parameters[parameterFollows])}]
	if h == nil || h.cure == nil || h.row != rowOf(r) || h.cure.approval == nil {
		return origin{}, false
	}
	want := v1alpha1.RemediationAction{}
	action.SetSize(&want, policy.Size{}, h.cure.size)
	return origin{h.key, h.uid, h.created}, partOf(policy.FromResources(r.Spec.Action.Requests), policy.FromResources(want.Requests)) &&
		partOf(policy.FromResources(r.Spec.Action.Limits), policy.FromResources(want.Limits))
}

// partOf says whether all that is set, which is what differed, is as in whole.
func partOf(set, whole policy.Amounts) bool {
	return (set.CPUMillis == 0 || set.CPUMillis == whole.CPUMillis) && (set.MemoryBytes == 0 || set.MemoryBytes == whole.MemoryBytes)
}
