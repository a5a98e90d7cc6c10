package plan_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const mi = 1 << 20

func amounts(cpu, memory int64) policy.Amounts {
	return policy.Amounts{CPUMillis: cpu, MemoryBytes: memory}
}

// defaults is a policy as a user gets it who sets nothing but a mode: one step at
// most doubles.
func defaults() *policy.Policy {
	in := &v1alpha1.RightSizerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default"}}
	in.Spec.Mode = v1alpha1.ModeAuto
	in.Spec.SetDefaults()
	return policy.FromNamespaced(in)
}

// A container that needs up to four times its limit is killed three times at most,
// by the bump rule alone and as far as a policy's defaults let one step go.
func TestANeedOfFourTimesIsMetAfterThreeKills(t *testing.T) {
	t.Parallel()
	p := defaults()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(mi, 64<<30).Draw(t, "limit")
		need := int64(float64(limit) * rapid.Float64Range(1.001, 4).Draw(t, "times"))
		size := policy.Size{Requests: amounts(100, rapid.Int64Range(0, limit).Draw(t, "request")), Limits: amounts(200, limit)}
		kills := 0
		for size.Limits.MemoryBytes < need {
			kills++
			require.LessOrEqual(t, kills, 3, "at %d of %d, from %d", size.Limits.MemoryBytes, need, limit)
			to, _, err := plan.CureOOM(plan.Killed{Current: size, Limit: size.Limits.MemoryBytes, Raises: kills - 1})
			require.NoError(t, err)
			size, _ = p.Clamp("app", size, to)
		}
	})
}

// Whatever is recommended and whatever was before: a cure never takes anything
// away, always gives memory, keeps CPU and the QoS class, keeps requests at or below
// limits, and neither adds nor removes what is unset.
func TestACureOnlyGives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, math.MaxInt64/8).Draw(t, "limit")
		cpu := rapid.Int64Range(0, 4000).Draw(t, "cpu")
		k := plan.Killed{
			Current:     policy.Size{Requests: amounts(cpu, rapid.Int64Range(0, limit).Draw(t, "request")), Limits: amounts(cpu*rapid.Int64Range(0, 2).Draw(t, "cpu limit"), limit)},
			Limit:       rapid.SampledFrom([]int64{0, limit, limit + 1}).Draw(t, "killed at"),
			Raises:      rapid.IntRange(0, 9).Draw(t, "raises"),
			Recommended: policy.Size{Requests: amounts(9, rapid.Int64Range(0, math.MaxInt64/8).Draw(t, "recommended request")), Limits: amounts(9, rapid.Int64Range(0, math.MaxInt64/8).Draw(t, "recommended"))},
		}
		to, how, err := plan.CureOOM(k)
		require.NoError(t, err)
		require.NotEmpty(t, how)
		require.Greater(t, to.Limits.MemoryBytes, limit)
		require.GreaterOrEqual(t, to.Limits.MemoryBytes, k.Recommended.Limits.MemoryBytes)
		require.GreaterOrEqual(t, to.Requests.MemoryBytes, k.Current.Requests.MemoryBytes)
		require.LessOrEqual(t, to.Requests.MemoryBytes, to.Limits.MemoryBytes)
		require.Equal(t, k.Current.Requests.MemoryBytes == 0, to.Requests.MemoryBytes == 0)
		require.Equal(t, k.Current.Requests.CPUMillis, to.Requests.CPUMillis)
		require.Equal(t, k.Current.Limits.CPUMillis, to.Limits.CPUMillis)
		if k.Current.Requests.MemoryBytes == limit {
			require.Equal(t, to.Limits.MemoryBytes, to.Requests.MemoryBytes, "a request that equals its limit keeps doing so")
		} else {
			require.Less(t, to.Requests.MemoryBytes, to.Limits.MemoryBytes, "and one below it, too")
		}
		require.Equal(t, plan.Class([]policy.Size{k.Current}), plan.Class([]policy.Size{to}))
	})
}

func TestCureOOM(t *testing.T) {
	t.Parallel()
	app := policy.Size{Requests: amounts(100, 64*mi), Limits: amounts(200, 100*mi)}
	for name, c := range map[string]struct {
		killed plan.Killed
		want   policy.Amounts // request, limit of memory in bytes, as CPUMillis and MemoryBytes
		err    error
	}{
		"first":            {plan.Killed{Current: app, Limit: 100 * mi}, amounts(64*mi, 160*mi), nil},
		"again":            {plan.Killed{Current: app, Limit: 100 * mi, Raises: 1}, amounts(64*mi, 200*mi), nil},
		"more recommended": {plan.Killed{Current: app, Recommended: policy.Size{Requests: amounts(0, 90*mi), Limits: amounts(0, 300*mi)}}, amounts(90*mi, 300*mi), nil},
		"a limit for both": {plan.Killed{Current: app, Recommended: policy.Size{Requests: amounts(0, 300*mi), Limits: amounts(0, 300*mi)}}, amounts(299*mi, 300*mi), nil},
		"less recommended": {plan.Killed{Current: app, Recommended: policy.Size{Requests: amounts(0, 10*mi), Limits: amounts(0, 20*mi)}}, amounts(64*mi, 160*mi), nil},
		"small":            {plan.Killed{Current: policy.Size{Limits: amounts(0, 20*mi)}}, amounts(0, 36*mi), nil},
		"killed at less":   {plan.Killed{Current: app, Limit: 50 * mi}, policy.Amounts{}, plan.ErrCured},
		"no limit":         {plan.Killed{Current: policy.Size{Requests: amounts(100, 64*mi)}}, policy.Amounts{}, plan.ErrNoLimit},
	} {
		to, _, err := plan.CureOOM(c.killed)
		require.ErrorIs(t, err, c.err, name)
		assert.Equal(t, c.want, amounts(to.Requests.MemoryBytes, to.Limits.MemoryBytes), name)
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	full := policy.Size{Requests: amounts(100, mi), Limits: amounts(100, mi)}
	for name, c := range map[string]struct {
		containers []policy.Size
		want       plan.QoS
	}{
		"all equal":         {[]policy.Size{full, full}, plan.Guaranteed},
		"one without":       {[]policy.Size{full, {}}, plan.Burstable},
		"no CPU limit":      {[]policy.Size{{Requests: amounts(100, mi), Limits: amounts(0, mi)}}, plan.Burstable},
		"request below":     {[]policy.Size{{Requests: amounts(50, mi), Limits: amounts(100, mi)}}, plan.Burstable},
		"only a request":    {[]policy.Size{{Requests: amounts(50, 0)}, {}}, plan.Burstable},
		"nothing":           {[]policy.Size{{}, {}}, plan.BestEffort},
		"no container":      {nil, plan.BestEffort},
		"one of two equals": {[]policy.Size{full, {Limits: amounts(0, mi)}}, plan.Burstable},
	} {
		assert.Equal(t, c.want, plan.Class(c.containers), name)
	}
}
