package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const mi = 1 << 20

func quantity(text string) *resource.Quantity { return new(resource.MustParse(text)) }

func bounded(b v1alpha1.Bounds) *policy.Policy {
	return namespaced("shop", "p", func(p *v1alpha1.RightSizerPolicy) { p.Spec.Bounds = b })
}

func memory(request, limit int64) policy.Size {
	return policy.Size{Requests: policy.Amounts{MemoryBytes: request * mi}, Limits: policy.Amounts{MemoryBytes: limit * mi}}
}

func TestClamp(t *testing.T) {
	t.Parallel()
	p := bounded(v1alpha1.Bounds{
		Memory:     v1alpha1.ResourceBounds{Min: quantity("32Mi"), Max: quantity("1Gi")},
		Containers: []v1alpha1.ContainerBounds{{Name: "big", Memory: &v1alpha1.ResourceBounds{Max: quantity("4Gi"), MaxIncreasePercent: 300}}},
	})
	for _, c := range []struct {
		name          string
		container     string
		current, want policy.Size
		out           policy.Size
		note          string
	}{
		{name: "within", current: memory(64, 64), want: memory(100, 100), out: memory(100, 100)},
		{name: "one step up", current: memory(64, 64), want: memory(64, 512), out: memory(64, 128), note: "memory limit: raised by no more than 100% in one step"},
		{name: "one step down", current: memory(400, 400), want: memory(100, 100), out: memory(300, 300), note: "lowered by no more than 25% in one step"},
		{name: "max", current: memory(800, 800), want: memory(800, 1500), out: memory(800, 1024), note: "lowered to the policy's max 1Gi"},
		{name: "min", current: memory(40, 40), want: memory(4, 40), out: memory(32, 40), note: "raised to the policy's min 32Mi"},
		{name: "already above max", current: memory(64, 2048), want: memory(64, 3000), out: memory(64, 2048), note: "on the other side"},
		{name: "far below min, step by step", current: memory(8, 8), want: memory(10, 10), out: memory(16, 16)},
		{name: "a container of its own", container: "big", current: memory(64, 1000), want: memory(64, 3500), out: memory(64, 3500)},
		{name: "not added", current: memory(64, 0), want: memory(100, 200), out: memory(100, 0)},
		{name: "not removed", current: memory(64, 128), want: memory(0, 0), out: memory(64, 128)},
		{name: "a request stays below its limit", current: memory(600, 800), want: memory(2000, 3000), out: memory(1023, 1024), note: "request: stays below its limit"},
		{name: "a request far below its limit", current: memory(64, 100), want: memory(2000, 3000), out: memory(128, 200)},
		{name: "a request just below its limit", current: policy.Size{Requests: policy.Amounts{MemoryBytes: 800*mi - 1}, Limits: policy.Amounts{MemoryBytes: 800 * mi}}, want: memory(2000, 3000), out: memory(1023, 1024)},
		{name: "a request and its limit, to be equal", current: memory(600, 800), want: memory(3000, 3000), out: memory(1024, 1024)},
		{name: "a request not above its limit", current: memory(64, 64), want: memory(128, 64), out: memory(64, 64), note: "memory request: not above its limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, notes := p.Clamp(c.container, c.current, c.want)
			assert.Equal(t, c.out, out)
			if c.note == "" {
				return
			}
			assert.Contains(t, strings.Join(notes, "; "), c.note)
		})
	}
}

// Whatever is asked for, an action goes no further than a step, never to the side
// that was not asked for, and never further away from the bounds.
func TestClampHoldsItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Int64Range(1, 1<<12), rapid.Int64Range(1, 1<<62))
		low := amount.Draw(t, "min")
		high := rapid.Int64Range(low, 1<<62).Draw(t, "max")
		up, down := rapid.Int32Range(1, 900).Draw(t, "up"), rapid.Int32Range(1, 90).Draw(t, "down")
		p := bounded(v1alpha1.Bounds{Memory: v1alpha1.ResourceBounds{
			Min: resource.NewQuantity(low, resource.BinarySI), Max: resource.NewQuantity(high, resource.BinarySI),
			MaxIncreasePercent: up, MaxDecreasePercent: down,
		}})
		require.NoError(t, p.Err)
		current, want := amount.Draw(t, "current"), amount.Draw(t, "want")
		size := func(limit int64) policy.Size { return policy.Size{Limits: policy.Amounts{MemoryBytes: limit}} }
		got, _ := p.Clamp("app", size(current), size(want))
		out := got.Limits.MemoryBytes

		require.Positive(t, out)
		switch {
		case want >= current:
			require.GreaterOrEqual(t, out, current)
			require.LessOrEqual(t, float64(out), float64(current)*(1+float64(up)/100)*(1+1e-9))
		default:
			require.LessOrEqual(t, out, current)
			require.GreaterOrEqual(t, float64(out), float64(current)*(1-float64(down)/100)*(1-1e-9))
		}
		outside := func(v int64) int64 { return max(low-v, v-high, 0) }
		require.LessOrEqual(t, outside(out), outside(current))
		if outside(current) == 0 {
			require.Zero(t, outside(out))
		}
		if out == want {
			return
		}
		again, _ := p.Clamp("app", size(out), size(out))
		require.Equal(t, out, again.Limits.MemoryBytes)
	})
}

func TestClampReplicas(t *testing.T) {
	t.Parallel()
	p := bounded(v1alpha1.Bounds{MinReplicas: new(int32(2)), MaxReplicas: new(int32(5))})
	for _, c := range [][3]int32{{3, 4, 4}, {3, 9, 5}, {3, 0, 2}, {7, 8, 7}, {1, 0, 1}, {7, 6, 5}, {3, 3, 3}} {
		assert.Equal(t, c[2], p.ClampReplicas(c[0], c[1]), c)
	}
}

func TestBoundsThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	p := bounded(v1alpha1.Bounds{Containers: []v1alpha1.ContainerBounds{{Name: "app", CPU: &v1alpha1.ResourceBounds{Min: quantity("2"), Max: quantity("1")}}}})
	assert.ErrorContains(t, p.Err, "spec.bounds.containers[app].cpu: min 2 must not be more than max 1")
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	a := policy.Amounts{CPUMillis: 250, MemoryBytes: 64 * mi}
	assert.Equal(t, a, policy.FromResources(a.Resources()))
	assert.Equal(t, "64Mi", a.Resources().Memory.String())
	assert.Nil(t, policy.Amounts{}.Resources())
	assert.Zero(t, policy.FromResources(nil))
}

// A size that steps have led to is set at once, within min and max.
func TestHold(t *testing.T) {
	t.Parallel()
	p := bounded(v1alpha1.Bounds{Memory: v1alpha1.ResourceBounds{Max: quantity("400Mi"), MaxIncreasePercent: 100}})
	for want, held := range map[int64]int64{128: 128, 300: 300, 500: 400} {
		to, _ := p.Hold("app", memory(64, 64), memory(want, want))
		assert.Equal(t, memory(held, held), to)
	}
	to, notes := p.Clamp("app", memory(64, 64), memory(300, 300))
	assert.Equal(t, memory(128, 128), to)
	assert.NotEmpty(t, notes)
}
