package e2e_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Memory is taken away where enough samples speak for it, and nowhere else: not as
// long as too little is measured, not down to what is used, and not after a kill.
func TestMemoryIsTakenAwayOnEvidenceAlone(t *testing.T) {
	const namespace = "lowered"
	governed(t, namespace, "auto", nil)
	hungry(t, namespace, "calm", 12, "256Mi", "10", `sim.rightsizer.dev/usage-memory: 40Mi`)
	hungry(t, namespace, "tight", 12, "64Mi", "10", `sim.rightsizer.dev/usage-memory: 60Mi`)
	hungry(t, namespace, "killed", 1, "64Mi", "80", `sim.rightsizer.dev/usage-memory: 40Mi`)
	o := serve(t, cluster.KubeconfigPath(), "--usage-interval=1s").ready()
	lower := func(name string, to int64) error {
		_, err := o.remediationClient().CreateRemediation(t.Context(), &rightsizerv1.CreateRemediationRequest{
			Namespace: namespace, Kind: "Deployment", Name: name, Container: "app", Reason: "an exercise",
			Action: &rightsizerv1.RemediationAction{Kind: "resize_in_place", Limits: &rightsizerv1.Resources{MemoryBytes: to * mi}},
		})
		return err
	}
	refused := func(name string, to int64, why string) {
		t.Helper()
		var err error
		require.Eventually(t, func() bool { // the first samples are too few
			err = lower(name, to)
			return err == nil || strings.Contains(err.Error(), why)
		}, patience, poll)
		require.ErrorContains(t, err, why)
		assert.Equal(t, connect.CodeFailedPrecondition, connect.CodeOf(err))
	}

	o.waitState(namespace, "killed", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	refused("killed", 64, "it was OOM-killed recently")
	refused("tight", 50, "the memory limit would be too close to what is used")

	require.Eventually(t, func() bool { return rolledOutLongAgo(t, namespace, "calm") }, patience, poll)
	require.Eventually(t, func() bool { return lower("calm", 96) == nil }, patience, poll)
	o.waitState(namespace, "calm", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	calm := podsOf(t, namespace, "app=calm")
	for i := range calm {
		assert.Less(t, memoryLimit(&calm[i]), int64(256), "by as much as one step may be")
	}
	assert.Zero(t, restarts(calm))
	assert.EqualValues(t, 64, memoryLimit(&podsOf(t, namespace, "app=tight")[0]))
	assert.Greater(t, memoryLimit(&podsOf(t, namespace, "app=killed")[0]), int64(64))
}
