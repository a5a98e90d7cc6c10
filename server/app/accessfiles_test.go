package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// A file of who gets in that is refused, or gone, leaves those in who were taken
// out of it: the health and a figure say so until it is mended.
func TestAFileOfTokensThatIsRefusedIsTold(t *testing.T) {
	cfg := loopback()
	cfg.StaticTokenFile = filepath.Join(t.TempDir(), "tokens")
	write := func(text string) { require.NoError(t, os.WriteFile(cfg.StaticTokenFile, []byte(text), 0o600)) }
	write("# none\n")
	o := start(t, cfg)
	expect := func(state rightsizerv1.HealthState, figure string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			parts := o.accessHealth()
			require.Len(c, parts, 1)
			assert.Equal(c, state, parts[0].GetState())
			_, text := get(t, o.url("http", KeyOps)+"/metrics")
			assert.Contains(c, text, `rightsizer_access_file_refused{file="static tokens"} `+figure)
		}, 10*time.Second, 20*time.Millisecond)
	}
	const ok, degraded = rightsizerv1.HealthState_HEALTH_STATE_OK, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED
	expect(ok, "0")
	write("a line that is none\n")
	expect(degraded, "1")
	assert.Contains(t, o.accessHealth()[0].GetReason(), "line 1")
	write("# none, again\n")
	expect(ok, "0")
	require.NoError(t, os.Remove(cfg.StaticTokenFile))
	expect(degraded, "1")
}
