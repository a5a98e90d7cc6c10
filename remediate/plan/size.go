package plan

import (
	"errors"
	"fmt"
	"math"

	"github.com/rightsizer/rightsizer/remediate/policy"
)

// The bump rule. The first kill gives 1.6 times the limit; each one after it
// twice what was given, so that three kills reach 6.4 times and two 3.2 times.
const (
	firstFactor = 1.6
	laterFactor = 2.0
	leastStep   = 16 << 20
	mebibyte    = 1 << 20
)

// Errors of a cure that cannot be sized.
var (
	// ErrNoLimit: it has no memory limit, so that the node ran out of memory.
	ErrNoLimit = errors.New("it has no memory limit of its own: the node ran out of memory")
	// ErrCured: it has more than it had as it was killed.
	ErrCured = errors.New("it has more memory than it had as it was killed")
)

// Killed is a container that was OOM-killed.
type Killed struct {
	// Current is what its spec says now.
	Current policy.Size
	// Limit is its memory limit in force as it was killed, in bytes; 0 where that
	// is not known.
	Limit int64
	// Raises is how often its memory was raised for a kill recently.
	Raises int
	// Recommended is what the recommender says, zero where it says nothing.
	Recommended policy.Size
}

// CureOOM is what an OOM-killed container should have, and how that was found.
// CPU stays as it is. The memory request stays as it is, unless it equals the
// limit or a larger one is recommended; one below the limit stays below it, since
// the QoS class may hang on that alone. Its errors are ErrNoLimit and ErrCured.
func CureOOM(k Killed) (policy.Size, string, error) {
	limit := k.Current.Limits.MemoryBytes
	if limit <= 0 {
		return policy.Size{}, "", ErrNoLimit
	}
	if k.Limit > 0 && k.Limit < limit {
		return policy.Size{}, "", ErrCured
	}
	factor := firstFactor
	if k.Raises > 0 {
		factor = laterFactor
	}
	want := roundUp(max(scale(limit, factor), limit+min(leastStep, limit)))
	why := fmt.Sprintf("%s × %g = %s after %d earlier raises", bytes(limit), factor, bytes(want), k.Raises)
	if more := k.Recommended.Limits.MemoryBytes; more > want {
		want, why = more, fmt.Sprintf("%s is recommended, more than %s", bytes(more), why)
	}
	out := k.Current
	out.Limits.MemoryBytes = want
	request := k.Current.Requests.MemoryBytes
	switch {
	case request == limit:
		out.Requests.MemoryBytes = want
	case request > 0:
		out.Requests.MemoryBytes = max(request, min(k.Recommended.Requests.MemoryBytes, want-mebibyte))
	}
	return out, why, nil
}

// QoS is the class of a pod by its containers, init containers included.
type QoS string

// The classes.
const (
	Guaranteed QoS = "Guaranteed"
	Burstable  QoS = "Burstable"
	BestEffort QoS = "BestEffort"
)

// Class is the QoS class of a pod with these containers.
func Class(containers []policy.Size) QoS {
	guaranteed, nothing := len(containers) > 0, true
	for _, c := range containers {
		if c != (policy.Size{}) {
			nothing = false
		}
		if c.Limits.CPUMillis == 0 || c.Limits.MemoryBytes == 0 || c.Requests != c.Limits {
			guaranteed = false
		}
	}
	switch {
	case nothing:
		return BestEffort
	case guaranteed:
		return Guaranteed
	}
	return Burstable
}

func scale(value int64, factor float64) int64 {
	scaled := float64(value) * factor
	if scaled > math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return int64(math.Ceil(scaled))
}

func roundUp(value int64) int64 { return (value + mebibyte - 1) / mebibyte * mebibyte }

// bytes writes an amount of memory for a person.
func bytes(n int64) string {
	if n >= mebibyte {
		return fmt.Sprintf("%.4gMi", float64(n)/mebibyte)
	}
	return fmt.Sprintf("%dB", n)
}
