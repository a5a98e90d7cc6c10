package app

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/server/config"
)

func TestWhoLeads(t *testing.T) {
	for name, c := range map[string]struct {
		setting, kubeconfig, want string
	}{
		"in a cluster":          {"auto", "", leaderElected},
		"from outside":          {"auto", "/kubeconfig", leaderAlways},
		"from outside, on":      {"on", "/kubeconfig", leaderElected},
		"whatever policies say": {"never", "/kubeconfig", leaderNever},
	} {
		a := &App{cfg: config.Config{LeaderElect: c.setting, Kubeconfig: c.kubeconfig}}
		assert.Equal(t, c.want, a.leads(), name)
	}
}

// What never leads changes nothing, and measures and recommends all the same.
func TestWhoNeverLeadsDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, err := newLeader(&rest.Config{}, leaderNever, "ns", "me", slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		assert.False(t, never.Leading())
		assert.True(t, never.Measures())
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		led := false
		require.NoError(t, never.run(ctx, func(context.Context) error { led = true; return nil }))
		assert.False(t, led)

		always, err := newLeader(&rest.Config{}, leaderAlways, "ns", "me", slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		assert.True(t, always.Leading())
		require.NoError(t, always.run(t.Context(), func(context.Context) error { led = true; return nil }))
		assert.True(t, led)
	})
}
