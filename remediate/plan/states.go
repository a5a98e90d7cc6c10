package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/plain"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// follows says which states may come after each. What is not here is impossible.
//
//	Proposed → PendingApproval → Approved → Executing → Verifying → Succeeded | RolledBack | Escalated
//
// An end is left only for RolledBack, which a person asks for.
var follows = map[v1alpha1.RemediationState][]v1alpha1.RemediationState{
	"": {v1alpha1.StateProposed},
	v1alpha1.StateProposed: {
		v1alpha1.StatePendingApproval, v1alpha1.StateApproved, v1alpha1.StateDryRun, v1alpha1.StateRejected,
		v1alpha1.StateExpired, v1alpha1.StateCancelled, v1alpha1.StateAborted, v1alpha1.StateFailed,
	},
	v1alpha1.StatePendingApproval: {
		v1alpha1.StateApproved, v1alpha1.StateRejected, v1alpha1.StateExpired,
		v1alpha1.StateCancelled, v1alpha1.StateAborted, v1alpha1.StateFailed,
	},
	v1alpha1.StateApproved: {
		v1alpha1.StateExecuting, v1alpha1.StateRejected, v1alpha1.StateExpired,
		v1alpha1.StateCancelled, v1alpha1.StateAborted, v1alpha1.StateFailed,
	},
	v1alpha1.StateExecuting:  {v1alpha1.StateVerifying, v1alpha1.StateAborted, v1alpha1.StateFailed},
	v1alpha1.StateVerifying:  {v1alpha1.StateSucceeded, v1alpha1.StateRolledBack, v1alpha1.StateEscalated},
	v1alpha1.StateSucceeded:  {v1alpha1.StateRolledBack},
	v1alpha1.StateEscalated:  {v1alpha1.StateRolledBack},
	v1alpha1.StateRolledBack: {},
	v1alpha1.StateRejected:   {},
	v1alpha1.StateExpired:    {},
	v1alpha1.StateCancelled:  {},
	v1alpha1.StateAborted:    {},
	v1alpha1.StateFailed:     {},
	v1alpha1.StateDryRun:     {},
}

// IllegalMoveError is a change of state that the table does not have.
type IllegalMoveError struct{ From, To v1alpha1.RemediationState }

// Error says what may follow.
func (e *IllegalMoveError) Error() string {
	var may []string
	for _, s := range follows[e.From] {
		may = append(may, string(s))
	}
	if len(may) == 0 {
		return fmt.Sprintf("state %s is an end: %s cannot follow", shown(e.From), e.To)
	}
	return fmt.Sprintf("state %s cannot follow %s; what may is %s", e.To, shown(e.From), strings.Join(may, ", "))
}

func shown(s v1alpha1.RemediationState) string {
	if s == "" {
		return "none"
	}
	return string(s)
}

// May says whether one state may follow another.
func May(from, to v1alpha1.RemediationState) bool { return slices.Contains(follows[from], to) }

// Open says that a Remediation in this state goes on by itself, or by a person's
// decision: causes join it.
func Open(s v1alpha1.RemediationState) bool {
	switch s {
	case "", v1alpha1.StateProposed, v1alpha1.StatePendingApproval, v1alpha1.StateApproved, v1alpha1.StateExecuting, v1alpha1.StateVerifying:
		return true
	default:
		return false
	}
}

// Began says that the effect of a Remediation in this state may be there.
func Began(s v1alpha1.RemediationState) bool {
	switch s {
	case v1alpha1.StateExecuting, v1alpha1.StateVerifying, v1alpha1.StateSucceeded, v1alpha1.StateRolledBack, v1alpha1.StateEscalated:
		return true
	default:
		return false
	}
}

// maxReason and maxMessage are the CRD's bounds.
const (
	maxReason  = 256
	maxMessage = 1024
	maxBy      = 253
)

// Move changes the state, and notes who brought it about and why. Its error is an
// IllegalMoveError, and then nothing was changed.
func Move(s *v1alpha1.RemediationStatus, to v1alpha1.RemediationState, by, why string, now time.Time) error {
	if !May(s.State, to) {
		return &IllegalMoveError{From: s.State, To: to}
	}
	at := metav1.NewMicroTime(now)
	s.Transitions = append(s.Transitions, v1alpha1.Transition{
		From: s.State, To: to, Time: at, By: Cut(by, maxBy), Reason: v1alpha1.ShortText(Cut(why, maxReason)),
	})
	if over := len(s.Transitions) - v1alpha1.MaxTransitions; over > 0 {
		s.Transitions = slices.Delete(s.Transitions, 0, over)
	}
	s.State, s.Message = to, Cut(why, maxMessage)
	if to == v1alpha1.StateExecuting && s.StartTime == nil {
		s.StartTime = &at
	}
	if !Open(to) {
		s.FinishTime = &at
	}
	conditions(s, to, now)
	return nil
}

// conditions are for kubectl wait.
func conditions(s *v1alpha1.RemediationStatus, to v1alpha1.RemediationState, now time.Time) {
	set := func(kind string, status metav1.ConditionStatus) {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: string(to), Message: s.Message,
			ObservedGeneration: s.ObservedGeneration, LastTransitionTime: metav1.NewTime(now),
		})
	}
	switch to {
	case v1alpha1.StateApproved:
		set("Approved", metav1.ConditionTrue)
	case v1alpha1.StatePendingApproval, v1alpha1.StateRejected, v1alpha1.StateExpired:
		set("Approved", metav1.ConditionFalse)
	case v1alpha1.StateVerifying:
		set("Executed", metav1.ConditionTrue)
	case v1alpha1.StateFailed, v1alpha1.StateAborted, v1alpha1.StateCancelled:
		set("Executed", metav1.ConditionFalse)
	case v1alpha1.StateSucceeded:
		set("Verified", metav1.ConditionTrue)
	case v1alpha1.StateRolledBack, v1alpha1.StateEscalated:
		set("Verified", metav1.ConditionFalse)
	default:
	}
}

// Cut bounds a text to bytes, and makes one harmless line of it.
func Cut(text string, most int) string { return plain.Line(text, most) }
