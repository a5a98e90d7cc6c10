package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// every state there is.
var every = []v1alpha1.RemediationState{
	"", v1alpha1.StateProposed, v1alpha1.StatePendingApproval, v1alpha1.StateApproved, v1alpha1.StateExecuting, v1alpha1.StateVerifying,
	v1alpha1.StateSucceeded, v1alpha1.StateRolledBack, v1alpha1.StateEscalated, v1alpha1.StateRejected, v1alpha1.StateExpired,
	v1alpha1.StateCancelled, v1alpha1.StateAborted, v1alpha1.StateFailed, v1alpha1.StateDryRun,
}

// Whatever is asked for, in whatever order: a Remediation never takes a step that
// the table does not have, has no effect without an approval, its own or the
// policy's, and never leaves an end but to be taken back.
func TestNoWayLeadsAroundTheTable(t *testing.T) {
	t.Parallel()
	straight := []v1alpha1.RemediationState{
		v1alpha1.StateProposed, v1alpha1.StateApproved, v1alpha1.StateExecuting, v1alpha1.StateVerifying, v1alpha1.StateSucceeded,
	}
	ends, effects := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var s v1alpha1.RemediationStatus
		been := map[v1alpha1.RemediationState]bool{}
		way := rapid.IntRange(0, len(straight)).Draw(t, "so far straight ahead")
		for i := range way + rapid.IntRange(1, 40).Draw(t, "steps") {
			to := rapid.SampledFrom(every).Draw(t, "to")
			if i < way { // most of what is drawn blindly is refused
				to = straight[i]
			}
			before, at := *s.DeepCopy(), now.Add(time.Duration(i)*time.Second)
			err := plan.Move(&s, to, "who", "why", at)
			if err != nil {
				var illegal *plan.IllegalMoveError
				require.ErrorAs(t, err, &illegal)
				require.False(t, plan.May(before.State, to))
				require.Equal(t, before, s, "a refused move changes nothing")
				continue
			}
			require.True(t, plan.May(before.State, to))
			require.True(t, plan.Open(before.State) || to == v1alpha1.StateRolledBack, "%s was left for %s", before.State, to)
			require.False(t, been[to], "%s twice", to)
			been[to] = true
			require.Equal(t, to, s.State)
			last := s.Transitions[len(s.Transitions)-1]
			require.Equal(t, v1alpha1.Transition{From: before.State, To: to, Time: metav1.NewMicroTime(at), By: "who", Reason: "why"}, last)
			require.Equal(t, !plan.Open(to), s.FinishTime != nil)
			if plan.Began(to) {
				effects++
				require.True(t, been[v1alpha1.StateApproved] && been[v1alpha1.StateExecuting], "an effect without approval and intent")
				require.NotNil(t, s.StartTime)
			}
			if !plan.Open(to) {
				ends++
			}
		}
	})
	assert.Positive(t, ends)
	assert.Positive(t, effects)
}

// From every state that is open an end can be reached, and what has begun never
// ends as if nothing had been done.
func TestEveryStateLeadsToAnEnd(t *testing.T) {
	t.Parallel()
	reach := func(from v1alpha1.RemediationState) map[v1alpha1.RemediationState]bool {
		seen := map[v1alpha1.RemediationState]bool{}
		queue := []v1alpha1.RemediationState{from}
		for len(queue) > 0 {
			at := queue[0]
			queue = queue[1:]
			for _, to := range every {
				if plan.May(at, to) && !seen[to] {
					seen[to] = true
					queue = append(queue, to)
				}
			}
		}
		return seen
	}
	for _, s := range every {
		there := reach(s)
		assert.False(t, there[s], "%s comes back to itself", s)
		if plan.Open(s) {
			assert.True(t, there[v1alpha1.StateSucceeded] || there[v1alpha1.StateRolledBack], s)
		}
		for _, never := range []v1alpha1.RemediationState{v1alpha1.StateCancelled, v1alpha1.StateRejected, v1alpha1.StateExpired, v1alpha1.StateDryRun} {
			if plan.Began(s) {
				assert.False(t, there[never], "%s after %s", never, s)
			}
		}
	}
	assert.Len(t, reach(""), len(every)-1, "every state can be reached")
}

func TestAMoveSaysWhatMayFollow(t *testing.T) {
	t.Parallel()
	s := v1alpha1.RemediationStatus{State: v1alpha1.StateVerifying}
	require.EqualError(t, plan.Move(&s, v1alpha1.StateApproved, "", "", now),
		"state Approved cannot follow Verifying; what may is Succeeded, RolledBack, Escalated")
	s.State = v1alpha1.StateRejected
	require.EqualError(t, plan.Move(&s, v1alpha1.StateApproved, "", "", now), "state Rejected is an end: Approved cannot follow")
	s.State = ""
	require.ErrorContains(t, plan.Move(&s, v1alpha1.StateExecuting, "", "", now), "cannot follow none")
}

// What is written fits the bounds of the API, whatever somebody says.
func TestAMoveKeepsToTheBounds(t *testing.T) {
	t.Parallel()
	s := v1alpha1.RemediationStatus{State: v1alpha1.StateProposed, ObservedGeneration: 1}
	for range v1alpha1.MaxTransitions {
		s.Transitions = append(s.Transitions, v1alpha1.Transition{To: v1alpha1.StateProposed})
	}
	long := strings.Repeat("é", 2000)
	require.NoError(t, plan.Move(&s, v1alpha1.StateApproved, long, long, now))
	require.Len(t, s.Transitions, v1alpha1.MaxTransitions)
	last := s.Transitions[v1alpha1.MaxTransitions-1]
	assert.Equal(t, v1alpha1.StateApproved, last.To)
	assert.LessOrEqual(t, len(last.By), 253)
	assert.LessOrEqual(t, len(last.Reason), 256)
	assert.LessOrEqual(t, len(s.Message), 1024)
	for _, text := range []string{last.By, string(last.Reason), s.Message} {
		assert.NotContains(t, text, "\uFFFD", "cut at a character")
	}
}

func TestConditionsFollowTheState(t *testing.T) {
	t.Parallel()
	is := func(s *v1alpha1.RemediationStatus, kind string) metav1.ConditionStatus {
		if c := meta.FindStatusCondition(s.Conditions, kind); c != nil {
			assert.EqualValues(t, 3, c.ObservedGeneration)
			return c.Status
		}
		return ""
	}
	s := v1alpha1.RemediationStatus{ObservedGeneration: 3}
	for _, step := range []struct {
		to                           v1alpha1.RemediationState
		approved, executed, verified metav1.ConditionStatus
	}{
		{v1alpha1.StateProposed, "", "", ""},
		{v1alpha1.StatePendingApproval, "False", "", ""},
		{v1alpha1.StateApproved, "True", "", ""},
		{v1alpha1.StateExecuting, "True", "", ""},
		{v1alpha1.StateVerifying, "True", "True", ""},
		{v1alpha1.StateSucceeded, "True", "True", "True"},
		{v1alpha1.StateRolledBack, "True", "True", "False"},
	} {
		require.NoError(t, plan.Move(&s, step.to, "who", "why", now))
		assert.Equal(t, step.approved, is(&s, "Approved"), step.to)
		assert.Equal(t, step.executed, is(&s, "Executed"), step.to)
		assert.Equal(t, step.verified, is(&s, "Verified"), step.to)
	}
}
