package remediate

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// How often what is verified is looked at, whatever is heard of it meanwhile.
const (
	lookFirst = time.Second
	lookMost  = 10 * time.Second
)

// backOff is how long the kubelet leaves a container alone that keeps ending, at
// most, and what it takes to start it then.
const backOff = 6 * time.Minute

// verification is what is looked at and what was found.
type verification struct {
	e      *Engine
	r      *v1alpha1.Remediation
	s      *seen
	terms  v1alpha1.Verification
	a      action.Action
	now    time.Time
	change bool // the status is to be written

	settled, gone, open int
	intended            int       // what nobody knows to be made
	opened              time.Time // when the first of what is open was made …
	newest              time.Time // … and the last of all: a pod that came later has its own time
	lost, undone        string    // why something is gone, or is not as it was left
	note                string    // what is to be known of what has settled
	// stuck is the first of what is open, or the first that never settles where it
	// is; at is how far it is.
	stuck          *v1alpha1.Target
	at             action.Stage
	ready          bool
	asleep         bool      // a container waits to be started again
	started        time.Time // the last start of one
	restarts, ooms int32
	percent        int32 // of the memory limit that are used; 0 is not known
}

// verifying looks at the live objects until the window is over, or something is
// worse.
func (e *Engine) verifying(ctx context.Context, r *v1alpha1.Remediation) (outcome, error) {
	a, ok := e.opts.Actions.Get(r.Spec.Action.Kind)
	if !ok {
		return goOn(e.conclude(ctx, r, v1alpha1.StateEscalated, "there is no action of its kind any more, so nobody can verify it", nil))
	}
	if begun, err := e.vouched(ctx, originOf(r), v1alpha1.StateExecuting); err != nil {
		return outcome{}, err
	} else if !begun {
		return goOn(e.conclude(ctx, r, v1alpha1.StateEscalated, "its status says that it was carried out, and the audit chain has no record of it: nothing of it is verified or taken back", nil))
	}
	if told(r) && rollbackAsked(r) == "" {
		return goOn(e.conclude(ctx, r, v1alpha1.StateSucceeded, handedOut(r), nil))
	}
	if left := lookFirst - e.now().Sub(startOf(r)); left > 0 && rollbackAsked(r) == "" {
		return wait(left) // what is heard first is its own effect
	}
	s, err := e.revisit(ctx, r, false)
	if errors.Is(err, errChanged) {
		return goOn(e.conclude(ctx, r, v1alpha1.StateSucceeded, "the workload is gone: nothing remains to be verified", nil))
	}
	if err != nil {
		return outcome{}, err
	}
	switch why, forged, err := e.wanted(ctx, r); {
	case err != nil:
		return outcome{}, err
	case forged:
		return goOn(e.keep(ctx, r, unaskedRollback))
	case why != "":
		return e.rollBackWanted(ctx, r, s, a, why)
	}
	if r, err = e.settle(ctx, r, s, a); err != nil {
		return outcome{}, err
	}
	v := &verification{e: e, r: r.DeepCopy(), s: s, a: a, now: e.now(), ready: true}
	if r.Spec.Verification != nil {
		v.terms = *r.Spec.Verification
	}
	v.terms.SetDefaults()
	if err := v.look(ctx); err != nil {
		return outcome{}, err
	}
	return v.judge(ctx)
}

// told says that an action only tells somebody else: there is nothing to verify of
// it in the cluster.
func told(r *v1alpha1.Remediation) bool {
	return r.Spec.Action.Kind == v1alpha1.ActionExport || r.Spec.Action.Kind == v1alpha1.ActionWebhook
}

// handedOut is what became of such an action.
func handedOut(r *v1alpha1.Remediation) string {
	if r.Spec.Action.Kind == v1alpha1.ActionWebhook {
		return "webhook " + string(r.Spec.Action.Parameters[action.ParameterWebhook]) + " was called"
	}
	return "the patch is handed out: rightsizer remediations get " + r.Name + " -n " + r.Namespace + " -o patch"
}

// look looks at each target.
func (v *verification) look(ctx context.Context) error {
	subject := v.e.subject(v.r, v.s)
	since := v.since()
	v.intended = intended(v.r)
	for i := range v.r.Status.Targets {
		t := &v.r.Status.Targets[i]
		if t.Result != v1alpha1.TargetApplied && t.Result != v1alpha1.TargetConfirmed {
			continue
		}
		sight, err := v.a.Verify(ctx, subject, t)
		if err != nil {
			return err
		}
		made := startOf(v.r)
		if t.Time != nil && t.Time.After(made) {
			made = t.Time.Time
		}
		switch {
		case sight.Stage == action.Gone:
			v.gone++
			v.lost = sight.Message
			continue
		case sight.Stage == action.Undone:
			v.undone = sight.Message
			continue
		case t.Result == v1alpha1.TargetConfirmed:
			v.settled++
			v.tell(t, sight.Message)
			v.note = t.Message
			v.count(t, sight, since)
			v.see(sight, made)
		case sight.Stage == action.Settled:
			v.settled++
			v.change = true
			action.SetEnds(t, sight.Ends)
			v.e.result(v.r, i, v1alpha1.TargetConfirmed, sight.Message)
			v.see(sight, made)
		default:
			v.open++
			if v.opened.IsZero() || made.Before(v.opened) {
				v.opened = made
			}
			if v.stuck == nil || v.at != action.Infeasible && sight.Stage == action.Infeasible {
				v.stuck, v.at = t, sight.Stage
			}
			v.tell(t, stageText(sight))
		}
	}
	return nil
}

// tell keeps with a target what there is to know of it now.
func (v *verification) tell(t *v1alpha1.Target, text string) {
	if text = plan.Cut(text, 1024); t.Message != text {
		t.Message, v.change = text, true
	}
}

func stageText(s *action.Sight) string {
	name := map[action.Stage]string{
		action.Underway: "under way", action.Deferred: "deferred by the kubelet", action.Infeasible: "infeasible on this node",
		action.Erred: "the kubelet failed and tries again",
	}[s.Stage]
	if s.Message == "" {
		return name
	}
	return name + ": " + s.Message
}

// see notes what the live object of a settled target is like.
func (v *verification) see(sight *action.Sight, made time.Time) {
	v.ready = v.ready && sight.Ready
	if made.After(v.newest) {
		v.newest = made
	}
	v.asleep = v.asleep || sight.Started.IsZero()
	if sight.Started.After(v.started) {
		v.started = sight.Started
	}
}

// since is what an OOM kill comes after that is one since the effect: the start of
// the window, or of the effect, less the whole seconds that a status tells times in.
func (v *verification) since() time.Time {
	from := startOf(v.r)
	if ev := v.r.Status.Verification; ev != nil && ev.StartTime != nil {
		from = ev.StartTime.Time
	}
	return from.Add(-time.Second)
}

// count counts what ended since the effect was in force.
func (v *verification) count(t *v1alpha1.Target, sight *action.Sight, since time.Time) {
	ended := sight.Ends - action.Ends(t)
	switch {
	case ended <= 0:
	case sight.LastOOM.After(since):
		v.ooms += ended
	default:
		v.restarts += ended
	}
}

// late says that what is in force should be ready by now. A container that had been
// killed before waits for the kubelet to start it, and has its time from then on.
func (v *verification) late() bool {
	from, within := startOf(v.r), v.terms.ReadyWithin.Duration
	if v.newest.After(from) {
		from = v.newest
	}
	switch {
	case v.asleep:
		within = max(within, backOff)
	case v.started.After(from):
		from = v.started
	}
	return v.now.Sub(from) > within
}

// judge says what is to be made of it.
func (v *verification) judge(ctx context.Context) (outcome, error) {
	ev := v.evidence()
	switch {
	case v.undone != "":
		return v.escalate(ctx, ev, v.undone)
	case v.settled == 0 && v.open == 0 && v.intended == 0:
		why := v.lost
		if why == "" {
			why = "the pods that were changed are gone; new ones are looked after by its persistence"
		}
		return goOn(v.e.conclude(ctx, v.r, v1alpha1.StateSucceeded, why, ev))
	case v.open > 0 && v.at == action.Infeasible: // the kubelet does not try again
		return v.failed(ctx, ev, v.stuck.Message)
	case v.open > 0 && v.now.Sub(v.opened) > v.terms.ReadyWithin.Duration:
		return v.failed(ctx, ev, fmt.Sprintf("it did not take effect within %s: %s", v.terms.ReadyWithin.Duration, v.stuck.Message))
	case v.ooms > v.terms.MaxOOMKills:
		return v.failed(ctx, ev, fmt.Sprintf("%d OOM kills since it took effect, at most %d are put up with", v.ooms, v.terms.MaxOOMKills))
	case v.restarts > v.terms.MaxRestarts:
		return v.failed(ctx, ev, fmt.Sprintf("%d restarts since it took effect, at most %d are put up with", v.restarts, v.terms.MaxRestarts))
	case v.open == 0 && ev.StartTime == nil && !v.ready && v.late():
		return v.failed(ctx, ev, fmt.Sprintf("not ready within %s of its effect, or of its container's start", v.terms.ReadyWithin.Duration))
	}
	if v.open == 0 && v.ready && ev.StartTime == nil {
		start, end := metav1.NewMicroTime(v.now), metav1.NewMicroTime(v.now.Add(v.terms.Window.Duration))
		ev.StartTime, ev.EndTime, v.change = &start, &end, true
	}
	over := ev.EndTime != nil && v.open == 0 && v.intended == 0 && !v.now.Before(ev.EndTime.Time)
	if over && (v.ready || v.now.Sub(v.newest) > v.terms.ReadyWithin.Duration) {
		return v.atEnd(ctx, ev)
	}
	if v.change {
		next, err := v.e.write(ctx, v.r, func(status *v1alpha1.RemediationStatus) error {
			status.Targets, status.Verification = v.r.Status.Targets, ev
			return nil
		})
		if err != nil {
			return outcome{}, err
		}
		v.r = next
	}
	return wait(v.pause(ev))
}

// evidence is what was seen so far.
func (v *verification) evidence() *v1alpha1.VerificationEvidence {
	ev := &v1alpha1.VerificationEvidence{}
	if was := v.r.Status.Verification; was != nil {
		ev = was.DeepCopy()
	}
	ev.Ready, ev.Restarts, ev.OOMKills = new(v.ready), new(v.restarts), new(v.ooms)
	return ev
}

// atEnd judges what is known at the end of the window.
func (v *verification) atEnd(ctx context.Context, ev *v1alpha1.VerificationEvidence) (outcome, error) {
	if !v.ready {
		return v.failed(ctx, ev, "not ready at the end of the window")
	}
	key := workloadKey{v.r.Namespace, v.r.Spec.Workload.Kind, string(v.r.Spec.Workload.Name)}
	if kind := v.r.Spec.Action.Kind; kind == v1alpha1.ActionRestartPod || kind == v1alpha1.ActionRolloutRestart {
		return v.succeeded(ctx, ev) // what it uses is not a restart's doing
	}
	before, size := sizesOf(v.r)
	did := guard.FromRemediation(v.r)
	u, ok := v.e.usage(key, v.r.Spec.Container)
	if ok && u.MemoryBytes > 0 && size.Limits.MemoryBytes > 0 && u.Time.After(ev.StartTime.Time) {
		percent := int32(min(u.MemoryBytes*100/size.Limits.MemoryBytes, 1000))
		ev.MemoryPercent = new(percent)
		// How full it is that kept its limit is not this decision's doing.
		if v.percent = percent; percent > v.terms.MaxMemoryPercent && size.Limits.MemoryBytes != before.Limits.MemoryBytes {
			return v.failed(ctx, ev, fmt.Sprintf("%d %% of the memory limit are used, at most %d %% are put up with", percent, v.terms.MaxMemoryPercent))
		}
	}
	if ok && u.ThrottledPercent != nil && u.ThrottledTime.After(ev.StartTime.Time) && v.terms.MaxThrottledPercent != nil {
		ev.ThrottledPercent = u.ThrottledPercent
		// Nor is how much it is throttled that has as much CPU and as many replicas.
		if less := did.CPU == guard.Lower || did.Replicas == guard.Lower; less && *u.ThrottledPercent > *v.terms.MaxThrottledPercent {
			return v.failed(ctx, ev, fmt.Sprintf("throttled in %d %% of the periods, at most %d %% are put up with", *u.ThrottledPercent, *v.terms.MaxThrottledPercent))
		}
	}
	return v.succeeded(ctx, ev)
}

func (v *verification) succeeded(ctx context.Context, ev *v1alpha1.VerificationEvidence) (outcome, error) {
	v.e.waiting.look(workloadOf(v.r)) // it has to last
	why := fmt.Sprintf("ready, %d restarts and %d OOM kills in %s", v.restarts, v.ooms, v.terms.Window.Duration)
	if v.note != "" { // there were no pods to look at
		why = v.note
	}
	return goOn(v.e.conclude(ctx, v.r, v1alpha1.StateSucceeded, why, ev))
}

// pause is when to look again: soon at first, then by the window.
func (v *verification) pause(ev *v1alpha1.VerificationEvidence) time.Duration {
	if ev.EndTime == nil {
		age := v.now.Sub(startOf(v.r))
		return min(max(age/2, lookFirst), lookMost)
	}
	left := ev.EndTime.Sub(v.now)
	if left <= 0 { // something is not made, or not in force yet
		return lookFirst
	}
	return min(max(v.terms.Window.Duration/6, time.Second), lookMost, max(left, 10*time.Millisecond))
}

func startOf(r *v1alpha1.Remediation) time.Time {
	if r.Status.StartTime != nil {
		return r.Status.StartTime.Time
	}
	return r.CreationTimestamp.Time
}

// failed takes back what did not help, or calls a person. More memory after an OOM
// kill is never taken back.
func (v *verification) failed(ctx context.Context, ev *v1alpha1.VerificationEvidence, why string) (outcome, error) {
	if gave(v.r) || v.wants() {
		return v.escalate(ctx, ev, why+"; the memory it was given is not taken back")
	}
	if v.terms.OnFailure == v1alpha1.OnFailureEscalate {
		return v.escalate(ctx, ev, why+"; the policy wants a person to look")
	}
	if v.settled > 0 { // else nothing of it is in force
		switch keeps, err := v.e.keepsFromTakingBack(ctx, v.r, v.s); {
		case err != nil:
			return outcome{}, err
		case keeps != "":
			return v.escalate(ctx, ev, why+"; it is not taken back: "+keeps)
		}
	}
	out, err := v.e.rollBack(ctx, v.r, v.s, why)
	return out, err
}

// keepsFromTakingBack is what the guards of less say against taking from a container by
// itself what it was given, where it is memory: it may use what it has by now. Empty
// where they let it.
func (e *Engine) keepsFromTakingBack(ctx context.Context, r *v1alpha1.Remediation, s *seen) (string, error) {
	if guard.FromRemediation(r).Memory != guard.Raise {
		return "", nil
	}
	return e.keepsMemory(ctx, r, s, &r.Status.Targets[0], guard.AskLowering)
}

func (v *verification) escalate(ctx context.Context, ev *v1alpha1.VerificationEvidence, why string) (outcome, error) {
	if v.open > 0 {
		// What was patched is not in force: the node has no room, or never had, or
		// the kubelet got lost (kubernetes#138760). A new pod may help. It is asked
		// for before this ends, so that a crash between the two loses nothing.
		what, err := v.e.recreate(ctx, v.r, v.s, v.stuck, v.at)
		if err != nil {
			return outcome{}, err
		}
		why += what
	}
	return goOn(v.e.conclude(ctx, v.r, v1alpha1.StateEscalated, why, ev))
}

// wants says that memory was raised, and that it was killed for want of memory since,
// or uses most of it: less would be worse.
func (v *verification) wants() bool {
	return guard.FromRemediation(v.r).Memory == guard.Raise && (v.ooms > 0 || v.percent > v.terms.MaxMemoryPercent)
}

// gave says that a Remediation raised memory because of an OOM kill.
func gave(r *v1alpha1.Remediation) bool {
	p := guard.FromRemediation(r)
	return p.Memory == guard.Raise && (p.OOM || r.Spec.Action.Parameters[action.ParameterDirection] == action.DirectionRaise)
}

// conclude ends a Remediation.
func (e *Engine) conclude(ctx context.Context, r *v1alpha1.Remediation, to v1alpha1.RemediationState, why string, ev *v1alpha1.VerificationEvidence) (*v1alpha1.Remediation, error) {
	if err := e.record(ctx, r, to, e.opts.Identity, why, nil); err != nil {
		return nil, err
	}
	targets := r.Status.Targets
	next, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error {
		status.Targets = targets
		if ev != nil {
			ev.Findings = append(ev.Findings, v1alpha1.ShortText(plan.Cut(why, 256)))
			if over := len(ev.Findings) - 16; over > 0 {
				ev.Findings = ev.Findings[over:]
			}
			status.Verification = ev
		}
		if to != v1alpha1.StateRolledBack {
			endRollback(status, why, e.now())
		}
		return plan.Move(status, to, e.opts.Identity, why, e.now())
	})
	if err != nil {
		return nil, err
	}
	e.traceVerified(ctx, r, to, why)
	return next, nil
}
