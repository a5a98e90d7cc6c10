package remediate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// What a person may be told. They are wrapped with why.
var (
	// ErrNotKnown: the Remediations are not all known yet, or cannot be followed now.
	ErrNotKnown = errors.New("the Remediations are not known yet")
	// ErrNotFound: there is no such Remediation, or no such workload.
	ErrNotFound = errors.New("not found")
	// ErrEtag: it changed since it was looked at.
	ErrEtag = errors.New("the Remediation changed since it was looked at")
	// ErrState: its state does not let it.
	ErrState = errors.New("not in this state")
	// ErrRequest: the key of the request stands for another request.
	ErrRequest = errors.New("another request had this key")
	// ErrOpen: a decision for the same is open already.
	ErrOpen = errors.New("a decision for the same is open already")
	// ErrStopped: a guard stops it, or it cannot be done.
	ErrStopped = errors.New("it cannot be done")
)

// FieldError is a value that is wrong.
type FieldError struct{ field, reason string }

// Field is its path in the request.
func (e FieldError) Field() string { return e.field }

// Reason is what would be right.
func (e FieldError) Reason() string { return e.reason }

// Error is both.
func (e FieldError) Error() string { return e.field + ": " + e.reason }

// Person is who asks or decides.
type Person struct {
	Name   string
	Groups []string
	// Via names who vouches for the name; empty where nobody was asked.
	Via string
}

// Wish is what a person asks for.
type Wish struct {
	Namespace, Kind, Name, Container string
	// Action is what to do; a resize leaves what is 0 as it is.
	Action *rightsizerv1.RemediationAction
	// Reason is why, for the audit; at most 1,024 bytes.
	Reason string
	// ID is the key of the request, empty for none; Hash that of its body.
	ID, Hash string
	// Only says to tell what would come of it, and to keep and change nothing.
	Only bool
}

// List lists all Remediations of the cluster, in any order; they belong to the
// caller.
func (e *Engine) List() ([]*rightsizerv1.Remediation, error) {
	if !e.book.isSynced() {
		return nil, ErrNotKnown
	}
	return e.book.entries(func(*held) bool { return true }), nil
}

// Get returns one Remediation.
func (e *Engine) Get(ctx context.Context, namespace, name string) (*rightsizerv1.Remediation, error) {
	for _, m := range e.book.entries(func(h *held) bool { return h.key == objectKey{namespace, name} }) {
		return m, nil
	}
	r, err := e.read(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return Proto(r), nil
}

func (e *Engine) read(ctx context.Context, namespace, name string) (*v1alpha1.Remediation, error) {
	r, err := e.client.Remediation(ctx, namespace, name)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: remediation %s in namespace %s", ErrNotFound, name, namespace)
	}
	if err != nil {
		return nil, err
	}
	r.ManagedFields = nil
	return r, nil
}

// Rights lists what somebody needs to be allowed to do by himself whom the operator
// does such an action for.
func (e *Engine) Rights(kind v1alpha1.ActionKind, workloadKind string) ([]action.Right, error) {
	a, ok := e.opts.Actions.Get(kind)
	if !ok {
		var kinds []string
		for _, k := range e.opts.Actions.Kinds() {
			kinds = append(kinds, string(k))
		}
		return nil, FieldError{"action.kind", fmt.Sprintf("%q is no action here; must be one of %s", kind, strings.Join(kinds, ", "))}
	}
	return a.Rights(workloadKind), nil
}

// Create makes the Remediation that a person asks for. The guards judge it as any
// other; whether it needs an approval is the policy's to say. Its errors wrap
// ErrNotKnown, ErrNotFound, ErrRequest, ErrOpen, ErrStopped or are a FieldError.
func (e *Engine) Create(ctx context.Context, by Person, w Wish) (*rightsizerv1.Remediation, error) {
	if err := e.known(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKnown, err)
	}
	begun, key := e.now(), request{by: by.Name, id: w.ID, hash: w.Hash}
	if !w.Only {
		if made, err := e.requested(w.Namespace, key); made != nil || err != nil {
			return made, err
		}
	}
	r, s, err := e.imagine(ctx, by, w)
	if err != nil {
		return nil, err
	}
	facts, err := e.facts(ctx, r, s)
	if err != nil {
		return nil, err
	}
	verdict := guard.Ask(facts)
	d := verdict.Decisive()
	r.Spec.DryRun = verdict.Outcome() == guard.DryRun
	switch {
	case w.Only:
		return e.told(ctx, r, verdict, s)
	case verdict.Outcome() == guard.Stop:
		return nil, fmt.Errorf("%w: %s", ErrStopped, d)
	}
	made, err := e.createFor(ctx, r, begun, by)
	switch {
	case errors.Is(err, errOpen):
		if there, err := e.requested(w.Namespace, key); there != nil || err != nil {
			return there, err // of this request, on another way
		}
		open, _ := e.book.row(rowOf(r))
		if open == nil {
			return nil, ErrOpen
		}
		return nil, fmt.Errorf("%w: remediation %s is %s", ErrOpen, open.Name, open.Status.State)
	case errors.Is(err, errFull):
		return nil, fmt.Errorf("%w: %w: %d", ErrStopped, err, MaxPerNamespace)
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: CustomResourceDefinition remediations.rightsizer.dev is not installed, or namespace %s is gone", ErrStopped, w.Namespace)
	case apierrors.IsInvalid(err):
		return nil, FieldError{"action", err.Error()}
	case err != nil:
		return nil, err
	}
	e.waiting.add(workloadOf(made))
	return Proto(made), nil
}

// requested is what came of a request before; nil where nothing did. Its error is
// ErrRequest, where that was another one under its key.
func (e *Engine) requested(namespace string, key request) (*rightsizerv1.Remediation, error) {
	if key.id == "" {
		return nil, nil
	}
	made, same := e.book.requested(namespace, key)
	if made != nil && !same {
		return nil, fmt.Errorf("%w: it made remediation %s", ErrRequest, made.GetName())
	}
	return made, nil
}

// imagine writes down what a person asks for.
func (e *Engine) imagine(ctx context.Context, by Person, w Wish) (*v1alpha1.Remediation, *seen, error) {
	want := actionFrom(w.Action)
	a, ok := e.opts.Actions.Get(want.Kind)
	if !ok {
		_, err := e.Rights(want.Kind, w.Kind)
		return nil, nil, err
	}
	if want.Parameters[action.ParameterFollows] != "" {
		return nil, nil, FieldError{"action.parameters", "follows must not be set: what a decision follows is the operator's own to say"}
	}
	if needsContainer(want.Kind) {
		switch {
		case w.Container == "":
			return nil, nil, FieldError{"container", "must be set for a resize"}
		case want.Requests == nil && want.Limits == nil:
			return nil, nil, FieldError{"action", "requests or limits must be set for a resize"}
		}
	}
	set, err := e.opts.Policies.Set()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNotKnown, err)
	}
	live, err := e.client.Workload(ctx, w.Namespace, w.Kind, w.Name)
	switch {
	case errors.Is(err, kube.ErrKind):
		return nil, nil, FieldError{"kind", fmt.Sprintf("%q cannot be repaired; %v", w.Kind, kube.ErrKind)}
	case apierrors.IsNotFound(err):
		return nil, nil, fmt.Errorf("%w: %s %s in namespace %s", ErrNotFound, w.Kind, w.Name, w.Namespace)
	case err != nil:
		return nil, nil, err
	}
	s := &seen{workload: live, policy: e.govern(set, live)}
	subject := &action.Subject{
		Container: w.Container, Want: want, Workload: live, Policy: s.policy,
		Pod: string(want.Parameters[action.ParameterPod]),
	}
	if s.draft, err = a.Plan(ctx, subject); err != nil {
		if action.Known(err) {
			return nil, nil, fmt.Errorf("%w: %w", ErrStopped, err)
		}
		return nil, nil, err
	}
	r := e.draft(s, subject)
	r.Spec.RequestedBy, r.Spec.Reason = plan.Cut(by.Name, 253), plan.Cut(w.Reason, 1024)
	r.Spec.RequestedVia = by.Via
	r.Spec.RequestID, r.Spec.RequestHash = w.ID, w.Hash
	return r, s, nil
}

func needsContainer(kind v1alpha1.ActionKind) bool {
	return kind == v1alpha1.ActionResizeInPlace || kind == v1alpha1.ActionResizeTemplate
}

// told is what would come of a wish: a Remediation that is nowhere, which the API
// server has found valid, and what each guard says that would hold it up.
func (e *Engine) told(ctx context.Context, r *v1alpha1.Remediation, verdict guard.Result, s *seen) (*rightsizerv1.Remediation, error) {
	_, last := e.book.row(rowOf(r))
	r.Spec.Episode = plan.Episode(last + 1)
	r.Name = e.nameOf(r)
	if _, err := e.client.CreateRemediation(ctx, r, true); err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
		if apierrors.IsInvalid(err) {
			return nil, FieldError{"action", err.Error()}
		}
		return nil, err
	}
	var why []string
	for _, v := range verdict.Verdicts {
		if v.Outcome != guard.Pass {
			why = append(why, v.Outcome.String()+": "+v.String())
		}
	}
	if len(why) == 0 {
		why = append(why, "it would be carried out by itself: every guard passes")
	}
	out := Proto(r)
	out.State, out.DryRun = rightsizerv1.RemediationState_REMEDIATION_STATE_DRY_RUN, true
	out.Message = plan.Cut(strings.Join(append(why, s.draft.Notes...), "; "), 1024)
	out.CreateTime, out.UpdateTime = nil, nil
	return out, nil
}

// Choice is what a person decides of one Remediation.
type Choice struct {
	Namespace, Name string
	// Etag is that of the Remediation as it was looked at; empty binds to nothing
	// but its spec, which never changes.
	Etag string
	// Reason is why, for the audit; at most 1,024 bytes.
	Reason string
}

// Approve lets a Remediation be carried out. To decide the same once more changes
// nothing. Its errors wrap ErrNotFound, ErrEtag, ErrState, ErrFourEyes or
// ErrNoApprover.
func (e *Engine) Approve(ctx context.Context, by Person, c Choice) (*rightsizerv1.Remediation, error) {
	return e.decideBy(ctx, by, c, v1alpha1.DecisionApprove, v1alpha1.StateApproved)
}

// Reject turns a Remediation down; as Approve.
func (e *Engine) Reject(ctx context.Context, by Person, c Choice) (*rightsizerv1.Remediation, error) {
	return e.decideBy(ctx, by, c, v1alpha1.DecisionReject, v1alpha1.StateRejected)
}

func (e *Engine) decideBy(ctx context.Context, by Person, c Choice, what v1alpha1.Decision, to v1alpha1.RemediationState) (*rightsizerv1.Remediation, error) {
	return e.change(ctx, by, c, func(r *v1alpha1.Remediation) (bool, error) {
		if a := r.Status.Approval; a != nil {
			if a.Decision == what && a.User == by.Name {
				return true, nil
			}
			return false, fmt.Errorf("%w: %s decided already: %s", ErrState, a.User, a.Decision)
		}
		if r.Status.State != v1alpha1.StatePendingApproval {
			return false, fmt.Errorf("%w: no decision is waited for, the state is %s", ErrState, shown(r))
		}
		if expired(r, e.now()) {
			return false, fmt.Errorf("%w: it was to be decided until %s", ErrState, r.Spec.ExpireTime.UTC())
		}
		return false, mayDecide(r, e.decision(r, by, c, what), by, false)
	}, to, func(r *v1alpha1.Remediation, status *v1alpha1.RemediationStatus) error {
		a := e.decision(r, by, c, what)
		status.Approval = a
		return plan.Move(status, to, by.Name, decided(a), e.now())
	})
}

func (e *Engine) decision(r *v1alpha1.Remediation, by Person, c Choice, what v1alpha1.Decision) *v1alpha1.ApprovalDecision {
	at := metav1.NewMicroTime(e.now())
	return &v1alpha1.ApprovalDecision{
		Decision: what, User: plan.Cut(by.Name, 253), Generation: r.Generation, Reason: plan.Cut(c.Reason, 1024), Time: &at,
	}
}

// Cancel takes a Remediation back that was not carried out; as Approve.
func (e *Engine) Cancel(ctx context.Context, by Person, c Choice) (*rightsizerv1.Remediation, error) {
	why := "cancelled by " + by.Name + because(c.Reason)
	return e.change(ctx, by, c, func(r *v1alpha1.Remediation) (bool, error) {
		if n := len(r.Status.Transitions); r.Status.State == v1alpha1.StateCancelled && n > 0 && r.Status.Transitions[n-1].By == by.Name {
			return true, nil
		}
		if r.Status.State != "" && !plan.May(r.Status.State, v1alpha1.StateCancelled) {
			return false, fmt.Errorf("%w: what is %s cannot be cancelled; a rollback may be possible", ErrState, shown(r))
		}
		return false, nil
	}, v1alpha1.StateCancelled, func(r *v1alpha1.Remediation, status *v1alpha1.RemediationStatus) error {
		if status.State == "" {
			if err := plan.Move(status, v1alpha1.StateProposed, e.proposer(r), e.occasion(r), e.now()); err != nil {
				return err
			}
		}
		return plan.Move(status, v1alpha1.StateCancelled, by.Name, why, e.now())
	})
}

// Rollback asks for the effect of a Remediation to be taken back; the leader does
// it. As Approve.
func (e *Engine) Rollback(ctx context.Context, by Person, c Choice) (*rightsizerv1.Remediation, error) {
	why := plan.Cut(by.Name+" asks for it to be taken back"+because(c.Reason), 1024)
	return e.change(ctx, by, c, func(r *v1alpha1.Remediation) (bool, error) {
		asked := meta.FindStatusCondition(r.Status.Conditions, conditionRollback)
		switch {
		case asked != nil && asked.Status == metav1.ConditionTrue:
			return true, nil
		case !plan.May(r.Status.State, v1alpha1.StateRolledBack):
			return false, fmt.Errorf("%w: what is %s has no effect to take back", ErrState, shown(r))
		}
		return false, nil
	}, v1alpha1.StateRolledBack, func(_ *v1alpha1.Remediation, status *v1alpha1.RemediationStatus) error {
		status.Message = why
		noteRollback(status, metav1.ConditionTrue, rollbackAskedFor, why, e.now())
		return nil
	})
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func shown(r *v1alpha1.Remediation) string {
	if r.Status.State == "" {
		return string(v1alpha1.StateProposed)
	}
	return string(r.Status.State)
}

// maxWrites is how often a change is tried again after somebody else's.
const maxWrites = 5

// change reads a Remediation, checks whether it may be changed or was so already,
// keeps the audit record, and writes by compare-and-set.
func (e *Engine) change(
	ctx context.Context, by Person, c Choice, check func(*v1alpha1.Remediation) (done bool, err error), to v1alpha1.RemediationState,
	apply func(*v1alpha1.Remediation, *v1alpha1.RemediationStatus) error,
) (_ *rightsizerv1.Remediation, failure error) {
	for try := range maxWrites {
		r, err := e.read(ctx, c.Namespace, c.Name)
		if err != nil {
			return nil, err
		}
		done, err := check(r)
		switch {
		case done:
			return Proto(r), nil
		case c.Etag != "" && c.Etag != r.ResourceVersion:
			return nil, fmt.Errorf("%w: it is %s now, etag %s", ErrEtag, shown(r), r.ResourceVersion)
		case err != nil:
			return nil, err
		}
		if try == 0 {
			end := e.traceMove(ctx, r, to, "")
			defer func() { end(failure) }()
			if err := e.recordBy(ctx, r, to, actor{by.Name, by.Groups}, c.Reason, nil); err != nil {
				return nil, err
			}
		}
		next, err := e.write(ctx, r, func(status *v1alpha1.RemediationStatus) error { return apply(r, status) })
		switch {
		case apierrors.IsConflict(err):
			continue
		case apierrors.IsNotFound(err):
			return nil, fmt.Errorf("%w: remediation %s in namespace %s", ErrNotFound, c.Name, c.Namespace)
		case err != nil:
			return nil, err
		}
		e.waiting.add(workloadOf(next))
		return Proto(next), nil
	}
	return nil, fmt.Errorf("%w: again and again", ErrEtag)
}
