package remediate_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// README begins.

// PauseRollout pauses the rollout of a Deployment.
type PauseRollout struct{ action.OfWorkload }

func (PauseRollout) Kind() v1alpha1.ActionKind { return "pause_rollout" }

func (PauseRollout) Rights(string) []action.Right {
	return []action.Right{{Group: "apps", Resource: "deployments", Verb: "patch"}}
}

func (a PauseRollout) Plan(ctx context.Context, s *action.Subject) (*action.Draft, error) {
	first, err := a.Preconditions(ctx, s, action.Object{UID: s.Workload.UID})
	return &action.Draft{Action: s.Want, Diff: `[{"op":"add","path":"/spec/paused","value":true}]`, First: first}, err
}

func (a PauseRollout) Preconditions(ctx context.Context, s *action.Subject, o action.Object) (*v1alpha1.Target, error) {
	w, err := a.Fresh(ctx, s, o.UID)
	switch {
	case err != nil:
		return nil, err
	case w.Kind != "Deployment":
		return nil, fmt.Errorf("%w: %s has no rollout that can be paused", action.ErrUnsupported, w)
	case w.Paused:
		return nil, action.ErrAlready
	}
	return a.Intent(w), nil
}

func (a PauseRollout) Apply(ctx context.Context, s *action.Subject, t *v1alpha1.Target) error {
	return a.Patch(ctx, s, t, map[string]any{"paused": true})
}

func (PauseRollout) Verify(_ context.Context, s *action.Subject, _ *v1alpha1.Target) (*action.Sight, error) {
	if !s.Workload.Paused { // it was read a moment ago
		return &action.Sight{Stage: action.Undone, Message: "somebody else has resumed it"}, nil
	}
	return &action.Sight{Stage: action.Settled, Ready: true}, nil
}

func (a PauseRollout) Revert(ctx context.Context, s *action.Subject, _ *v1alpha1.Target) error {
	return a.Patch(ctx, s, a.Intent(s.Workload), map[string]any{"paused": false})
}

// README ends.

// The action that the README shows is the one above, to the letter.
func TestTheActionInTheREADME(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("custom_test.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "// README begins.\n\n")
	code, _, _ = strings.Cut(code, "\n// README ends.")
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "```go\n"+code+"```\n")
}

// paused is an operator that has paused a rollout, and how to ask for that to be taken
// back.
func paused(t *testing.T, w *world) (o *operator, takeBack func()) {
	t.Helper()
	o = w.start("one", nil)
	_, err := o.ask(asked("pause_rollout", nil))
	require.NoError(t, err)
	r := w.settled()
	require.Equal(t, v1alpha1.StateSucceeded, r.Status.State, r.Status.Message)
	require.True(t, w.deployment().Spec.Paused)
	return o, func() {
		t.Helper()
		_, err := o.engine.Rollback(context.Background(), somebody, remediate.Choice{Namespace: "shop", Name: r.Name})
		require.NoError(t, err)
	}
}

// It is guarded, audited, verified and taken back like any other.
func TestAnActionOfAnInstallationsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 2)
		o, takeBack := paused(t, w)
		defer o.stop()
		assert.Equal(t, []string{"remediation.proposed", "remediation.executing", "remediation.succeeded"}, w.trail())
		takeBack()
		w.in(v1alpha1.StateRolledBack)
		assert.False(t, w.deployment().Spec.Paused)
	})
}

// What cannot be taken back now is tried ever more rarely: each try is a record in the
// audit chain.
func TestARollbackThatHasToWaitTriesMoreAndMoreRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quiet(t, 2)
		o, takeBack := paused(t, w)
		defer o.stop()
		time.Sleep(time.Hour)
		w.api.Throttle(true)
		takeBack()
		time.Sleep(time.Hour)
		tries := 0
		w.mu.Lock()
		for _, r := range w.audit {
			if strings.HasPrefix(r.GetReason(), "taking back") {
				tries++
			}
		}
		w.mu.Unlock()
		assert.True(t, tries > 5 && tries < 40, "%d tries", tries)
		w.api.Throttle(false)
		w.in(v1alpha1.StateRolledBack)
	})
}

func TestAnActionOfAnInstallationsOwnSurvivesAKillAtAnyWrite(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{
		world: func(t *testing.T) *world { return quiet(t, 2) }, wish: new(asked("pause_rollout", nil)),
		check: func(w *world, when string) {
			w.doneOnce(when)
			assert.True(w.t, w.deployment().Spec.Paused)
		},
	})
	assert.GreaterOrEqual(t, kills, 8)
}
