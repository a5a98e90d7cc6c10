package remediate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// apart are two replicas that hear nothing of each other.
func apart(t *testing.T) (w *world, one, other *operator) {
	t.Helper()
	w = quiet(t, 2)
	one, other = w.start("one", nil), w.start("other", nil)
	t.Cleanup(func() { one.stop(); other.stop() })
	time.Sleep(15 * time.Second) // both know all, and are warmed up
	w.api.Lag(true)
	return w, one, other
}

// A request that is made again at another replica, which has not heard of the first
// one, though that has come to its end: the same one has the same answer, another
// under its key is refused.
func TestARequestIsOneAtEveryReplica(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, one, other := apart(t)
		first, err := one.engine.Create(t.Context(), somebody, asked("rollout_restart", nil))
		require.NoError(t, err)
		require.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State)

		again, err := other.engine.Create(t.Context(), somebody, asked("rollout_restart", nil))
		require.NoError(t, err)
		assert.Equal(t, first.GetName(), again.GetName())
		w.only()

		wish := asked("rollout_restart", nil)
		wish.Hash = "hash-2"
		_, err = other.engine.Create(t.Context(), somebody, wish)
		require.ErrorIs(t, err, remediate.ErrRequest)
		w.only()
		assert.EqualValues(t, 2, w.deployment().Generation, "one rollout")

		w.api.Lag(false)
		wish.ID = "request-2" // is another one
		second, err := other.engine.Create(t.Context(), somebody, wish)
		require.NoError(t, err)
		assert.NotEqual(t, first.GetName(), second.GetName())
	})
}

// The other body is told apart where the first request is all that the replica hears
// of as it makes its own.
func TestAnotherRequestUnderAKeyIsRefusedThoughTheFirstIsNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, one, other := apart(t)
		_, err := one.engine.Create(t.Context(), somebody, asked("rollout_restart", nil))
		require.NoError(t, err)
		require.Equal(t, v1alpha1.StateSucceeded, w.settled().Status.State)
		wish := asked("rollout_restart", nil)
		wish.Hash = "hash-2"
		_, err = other.engine.Create(t.Context(), somebody, wish)
		require.ErrorIs(t, err, remediate.ErrRequest)
		w.only()
	})
}
