package remediate_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// busy is an error of a call that may succeed later.
type busy struct{}

func (busy) Error() string                { return "answered 503" }
func (busy) Retry() (time.Duration, bool) { return 0, true }

// hooked is a world whose policy has a webhook.
func hooked(t *testing.T, replicas int32, answer v1alpha1.WebhookAnswer) *world {
	w := newWorld(t, replicas)
	w.spec.Webhooks = []v1alpha1.Webhook{{Name: "board", URL: "https://board.example.com/in", Answer: answer}}
	return w
}

// A webhook whose answer decides is asked before anything is done; a veto stops it.
func TestAWebhookVetoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := hooked(t, 2, v1alpha1.WebhookVeto)
		w.answers = func(action.Purpose, string) (action.Answer, error) {
			return action.Answer{Veto: true, Reason: "a freeze of changes"}, nil
		}
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(w.ended))
		made := w.api.Remediations("shop")[0]
		assert.Equal(t, v1alpha1.StateRejected, made.Status.State)
		assert.Contains(t, made.Status.Message, "a freeze of changes")
		assert.Empty(t, w.api.Effects())
		assert.Equal(t, made.Name, w.called()[0].id)
	})
}

// Without an answer nothing is done; with one it goes on.
func TestNoAnswerHoldsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := hooked(t, 1, v1alpha1.WebhookVeto)
		up := false
		w.answers = func(action.Purpose, string) (action.Answer, error) {
			if !up {
				return action.Answer{}, busy{}
			}
			return action.Answer{}, nil
		}
		o := w.start("one", nil)
		defer o.stop()
		time.Sleep(5 * time.Minute)
		assert.Empty(t, w.api.Effects())
		assert.Contains(t, w.api.Remediations("shop")[0].Status.Message, "board gave no answer")
		w.mu.Lock()
		up = true
		w.mu.Unlock()
		require.True(t, until(w.ended))
		assert.Len(t, w.api.Effects(), 1)
		w.kept()
	})
}

// A webhook that may decide approves in a person's place: what it said, and that it
// was it, is in the record. One that has no opinion, or does not answer, leaves it
// to a person.
func TestAWebhookApproves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer action.Answer
		err    error
		want   v1alpha1.RemediationState
	}{
		"approves":   {action.Answer{Approve: true, Reason: "fine"}, nil, v1alpha1.StateSucceeded},
		"vetoes":     {action.Answer{Veto: true, Reason: "no"}, nil, v1alpha1.StateRejected},
		"no opinion": {action.Answer{}, nil, v1alpha1.StatePendingApproval},
		"no answer":  {action.Answer{}, busy{}, v1alpha1.StatePendingApproval},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := hooked(t, 1, v1alpha1.WebhookDecide)
				w.spec.Mode = v1alpha1.ModeApprove
				w.answers = func(action.Purpose, string) (action.Answer, error) { return c.answer, c.err }
				o := w.start("one", nil)
				defer o.stop()
				time.Sleep(2 * time.Minute)
				made := w.api.Remediations("shop")
				require.Len(t, made, 1)
				assert.Equal(t, c.want, made[0].Status.State, made[0].Status.Message)
				if c.want == v1alpha1.StateSucceeded {
					assert.Equal(t, "webhook:board", made[0].Status.Approval.User)
					assert.Equal(t, "fine", made[0].Status.Approval.Reason)
					assert.Len(t, w.api.Effects(), 1)
					assert.True(t, slices.ContainsFunc(w.audit, func(r *rightsizerv1.AuditRecord) bool {
						return r.GetActor() == "webhook:board" && r.GetAction() == "remediation.approved"
					}))
				} else {
					assert.Empty(t, w.api.Effects())
				}
				w.kept()
			})
		})
	}
}

// One whose answer decides nothing is told, again while that may help, and holds
// nobody up.
func TestATellingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := hooked(t, 1, v1alpha1.WebhookIgnore)
		tries := 0
		w.answers = func(action.Purpose, string) (action.Answer, error) {
			if tries++; tries < 4 {
				return action.Answer{}, busy{}
			}
			return action.Answer{Veto: true}, nil
		}
		o := w.start("one", nil)
		defer o.stop()
		require.True(t, until(func() bool { return len(w.api.Effects()) == 1 }))
		assert.Empty(t, w.called())
		require.True(t, until(w.ended))
		assert.Equal(t, v1alpha1.StateSucceeded, w.api.Remediations("shop")[0].Status.State)
		assert.Len(t, w.called(), 1)
		w.kept()
	})
}

// calling asks for the webhook of a policy to be called.
func calling() remediate.Wish { return asked("webhook", map[string]string{"webhook": "board"}) }

// alone is a world in which nothing is wrong, with a webhook.
func alone(t *testing.T) *world {
	w := hooked(t, 1, v1alpha1.WebhookVeto)
	w.problems = nil
	return w
}

// A webhook that is itself what was decided on is called at least once, whenever the
// operator is killed, always with the decision's name for its key.
func TestAWebhookIsCalledAtLeastOnce(t *testing.T) {
	t.Parallel()
	kills := killedAtEachWrite(t, story{world: alone, wish: new(calling()), check: func(w *world, when string) {
		r := w.only()
		assert.Equal(w.t, v1alpha1.StateSucceeded, r.Status.State, "%s: %s", when, r.Status.Message)
		assert.NotEmpty(w.t, w.called(), when)
		for _, c := range w.called() {
			assert.Equal(w.t, action.Perform, c.purpose)
			assert.Equal(w.t, r.Name, c.id)
		}
		assert.Empty(w.t, w.api.Effects())
	}})
	assert.GreaterOrEqual(t, kills, 6)
}

// What the webhook that is called vetoes has failed; what never answers is given up
// in the end, and is tried more and more rarely until then.
func TestAWebhookThatIsCalledMayRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer action.Answer
		err    error
		want   v1alpha1.RemediationState
		most   int
	}{
		"veto":      {action.Answer{Veto: true, Reason: "no"}, nil, v1alpha1.StateFailed, 1},
		"refused":   {action.Answer{}, errors.New("answered 404"), v1alpha1.StateFailed, 1},
		"no answer": {action.Answer{}, busy{}, v1alpha1.StateAborted, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := alone(t)
				tries := 0
				w.answers = func(action.Purpose, string) (action.Answer, error) { tries++; return c.answer, c.err }
				o := w.start("one", nil)
				defer o.stop()
				_, err := o.ask(calling())
				require.NoError(t, err)
				for range 2 {
					until(w.ended)
				}
				made := w.api.Remediations("shop")[0]
				assert.Equal(t, c.want, made.Status.State, made.Status.Message)
				assert.GreaterOrEqual(t, tries, 1)
				assert.LessOrEqual(t, tries, c.most)
			})
		})
	}
}
