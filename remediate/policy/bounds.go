package policy

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Amounts are CPU in thousandths of a core and memory in bytes; 0 is unset.
type Amounts struct {
	CPUMillis   int64
	MemoryBytes int64
}

// Size is what a container asks for and may use.
type Size struct {
	Requests Amounts
	Limits   Amounts
}

// FromResources reads Resources as Amounts; a fraction is rounded up.
func FromResources(in *v1alpha1.Resources) Amounts {
	var out Amounts
	if in != nil && in.CPU != nil {
		out.CPUMillis = in.CPU.MilliValue()
	}
	if in != nil && in.Memory != nil {
		out.MemoryBytes = in.Memory.Value()
	}
	return out
}

// Resources is the other way round; nil where nothing is set.
func (a Amounts) Resources() *v1alpha1.Resources {
	if a == (Amounts{}) {
		return nil
	}
	out := &v1alpha1.Resources{}
	if a.CPUMillis != 0 {
		out.CPU = resource.NewMilliQuantity(a.CPUMillis, resource.DecimalSI)
	}
	if a.MemoryBytes != 0 {
		out.Memory = resource.NewQuantity(a.MemoryBytes, resource.BinarySI)
	}
	return out
}

// Clamp returns what the policy lets an action set for a container that has
// current and is to get want, and a note for each value that it changed.
//
// A value that is unset in want or in current is left as current has it: an
// action neither adds nor removes requests and limits. Otherwise the outcome lies
// between the bounds, no further from current than one step allows, and on the
// same side of it as want; where all three cannot be had, the step wins and the
// next action goes on, and a change to the wrong side is no change. A request is
// never above its limit, and stays below it by [StayBelow].
func (p *Policy) Clamp(container string, current, want Size) (Size, []string) {
	return p.clamp(container, current, want, true)
}

// Hold is Clamp for a size that steps have led to already: it is set at once, within
// min and max.
func (p *Policy) Hold(container string, current, want Size) (Size, []string) {
	return p.clamp(container, current, want, false)
}

func (p *Policy) clamp(container string, current, want Size, steps bool) (Size, []string) {
	cpu, memory := boundsFor(&p.Spec.Bounds, container)
	c := clamping{steps: steps}
	out := Size{
		Requests: Amounts{
			CPUMillis:   c.value("CPU request", &cpu, current.Requests.CPUMillis, want.Requests.CPUMillis, millis),
			MemoryBytes: c.value("memory request", &memory, current.Requests.MemoryBytes, want.Requests.MemoryBytes, whole),
		},
		Limits: Amounts{
			CPUMillis:   c.value("CPU limit", &cpu, current.Limits.CPUMillis, want.Limits.CPUMillis, millis),
			MemoryBytes: c.value("memory limit", &memory, current.Limits.MemoryBytes, want.Limits.MemoryBytes, whole),
		},
	}
	c.order("CPU request", &out.Requests.CPUMillis, out.Limits.CPUMillis)
	c.order("memory request", &out.Requests.MemoryBytes, out.Limits.MemoryBytes)
	below := StayBelow(current, want, out)
	if below != out {
		c.note("request: stays below its limit, which the QoS class may hang on")
	}
	return below, c.notes
}

// StayBelow keeps requests below their limits where they are now and are wanted to be,
// but where what bounds limits bounds them to the same: the QoS class may hang on it.
func StayBelow(current, want, to Size) Size {
	one := func(request *int64, limit int64, current, limited, want, wantLimit, step int64) {
		if *request >= limit && current < min(limit, limited) && want < wantLimit {
			*request = max(limit-step, current)
		}
	}
	one(&to.Requests.CPUMillis, to.Limits.CPUMillis, current.Requests.CPUMillis, current.Limits.CPUMillis, want.Requests.CPUMillis, want.Limits.CPUMillis, 1)
	one(&to.Requests.MemoryBytes, to.Limits.MemoryBytes, current.Requests.MemoryBytes, current.Limits.MemoryBytes, want.Requests.MemoryBytes, want.Limits.MemoryBytes, 1<<20)
	return to
}

// ClampReplicas is the same for replicas.
func (p *Policy) ClampReplicas(current, want int32) int32 {
	out := want
	if least := p.Spec.Bounds.MinReplicas; least != nil {
		out = max(out, *least)
	}
	if most := p.Spec.Bounds.MaxReplicas; most != nil {
		out = min(out, *most)
	}
	if want == current || (want > current) != (out > current) {
		return current
	}
	return out
}

type clamping struct {
	steps bool
	notes []string
}

func (c *clamping) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func (c *clamping) value(name string, b *v1alpha1.ResourceBounds, current, want int64, read func(*resource.Quantity) int64) int64 {
	if current <= 0 || want <= 0 || current == want {
		return max(current, 0)
	}
	out := want
	if b.Min != nil && out < read(b.Min) {
		out = read(b.Min)
		c.note("%s: raised to the policy's min %s", name, b.Min)
	}
	if b.Max != nil && out > read(b.Max) {
		out = read(b.Max)
		c.note("%s: lowered to the policy's max %s", name, b.Max)
	}
	if (want > current) != (out > current) {
		if out != current {
			c.note("%s: left as it is, since the policy's bounds lie on the other side of it", name)
		}
		return current
	}
	if !c.steps {
		return out
	}
	if most := current + percent(current, b.MaxIncreasePercent); out > most {
		out = most
		c.note("%s: raised by no more than %d%% in one step", name, b.MaxIncreasePercent)
	}
	if least := current - percent(current, b.MaxDecreasePercent); out < least {
		out = least
		c.note("%s: lowered by no more than %d%% in one step", name, b.MaxDecreasePercent)
	}
	return out
}

func (c *clamping) order(name string, request *int64, limit int64) {
	if limit > 0 && *request > limit {
		*request = limit
		c.note("%s: not above its limit", name)
	}
}

// percent is a share of a value, rounded down, without overflow.
func percent(value int64, share int32) int64 {
	hi, lo := bits.Mul64(uint64(value), uint64(share))
	if hi >= 100 {
		return math.MaxInt64 - value
	}
	quotient, _ := bits.Div64(hi, lo, 100)
	return int64(min(quotient, uint64(math.MaxInt64-value)))
}

func millis(q *resource.Quantity) int64 { return q.MilliValue() }
func whole(q *resource.Quantity) int64  { return q.Value() }

// boundsFor are the bounds of one container.
func boundsFor(b *v1alpha1.Bounds, container string) (cpu, memory v1alpha1.ResourceBounds) {
	cpu, memory = b.CPU, b.Memory
	for i := range b.Containers {
		c := &b.Containers[i]
		if c.Name != container {
			continue
		}
		if c.CPU != nil {
			cpu = *c.CPU
		}
		if c.Memory != nil {
			memory = *c.Memory
		}
	}
	return cpu, memory
}

type namedBounds struct {
	path   string
	bounds *v1alpha1.ResourceBounds
}

func boundsOf(b *v1alpha1.Bounds) []namedBounds {
	out := []namedBounds{{"cpu", &b.CPU}, {"memory", &b.Memory}}
	for i := range b.Containers {
		c := &b.Containers[i]
		if c.CPU != nil {
			out = append(out, namedBounds{"containers[" + c.Name + "].cpu", c.CPU})
		}
		if c.Memory != nil {
			out = append(out, namedBounds{"containers[" + c.Name + "].memory", c.Memory})
		}
	}
	return out
}

func check(b *v1alpha1.ResourceBounds) error {
	for _, q := range []*resource.Quantity{b.Min, b.Max} {
		if q != nil && q.Sign() <= 0 {
			return fmt.Errorf("%s must be more than 0", q)
		}
	}
	if b.Min != nil && b.Max != nil && b.Min.Cmp(*b.Max) > 0 {
		return errors.New("min " + b.Min.String() + " must not be more than max " + b.Max.String())
	}
	return nil
}
