package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/watcher/correlate"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

// What the command line has for a default is what the packages have, and every
// value that the command line lets through they take.
func TestDetectionIsConfigured(t *testing.T) {
	c := config.Default()
	assert.Equal(t, detect.DefaultThresholds(), thresholds(&c))
	assert.Equal(t, correlate.DefaultOptions(), incidentOptions(&c))

	for _, edge := range []struct{ settle, keep, linger time.Duration }{
		{0, 10 * time.Minute, time.Second}, {time.Minute, 7 * 24 * time.Hour, 24 * time.Hour},
	} {
		c.IncidentSettle, c.IncidentKeep, c.IncidentLinger = edge.settle, edge.keep, edge.linger
		require.NoError(t, incidentOptions(&c).Validate())
	}
	c.IncidentSettle = 0
	assert.Negative(t, incidentOptions(&c).Settle, "none, not the default")
}
