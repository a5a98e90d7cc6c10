package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Names last for as long as Remediations do: another release finds the same ones.
func TestNamesDoNotChange(t *testing.T) {
	t.Parallel()
	k := plan.Key{Cluster: "c-1", WorkloadUID: "u-1", Container: "app", Action: v1alpha1.ActionResizeInPlace}
	assert.Equal(t, "cfadfd9d8f09196f0787", plan.Name(k, plan.Episode(1)))
	assert.Equal(t, "rightsizer-abc", plan.Manager("abc"))
}

// Two decisions have one name only where all of it is the same: no two fields run
// into each other.
func TestNamesTellDecisionsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 3, -1)
		draw := func(which string) (plan.Key, string) {
			return plan.Key{
				Cluster: part.Draw(t, which+" cluster"), WorkloadUID: part.Draw(t, which+" uid"),
				Container: part.Draw(t, which+" container"), Action: v1alpha1.ActionKind(part.Draw(t, which+" action")),
			}, part.Draw(t, which+" episode")
		}
		a, ae := draw("one")
		b, be := draw("other")
		require.Equal(t, a == b && ae == be, plan.Name(a, ae) == plan.Name(b, be))
		require.Regexp(t, "^[0-9a-f]{20}$", plan.Name(a, ae))
	})
}

func TestEpisodes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 9, 10, 500} {
		assert.Equal(t, n, plan.EpisodeNumber(plan.Episode(n)))
	}
	for _, other := range []string{"", "0", "-1", "one", "1.5", "99999999999999999999"} {
		assert.Zero(t, plan.EpisodeNumber(other), other)
	}
}
