package object

import "math"

// Resources is an amount of CPU (millicores) and memory (bytes), never
// negative.
type Resources struct {
	CPUMillis   int64
	MemoryBytes int64
}

// Plus adds, and stays at the largest number instead of overflowing: absurd
// quantities are allowed by the API and must not turn into negative sums.
func (r Resources) Plus(other Resources) Resources {
	return Resources{
		CPUMillis:   saturatingAdd(r.CPUMillis, other.CPUMillis),
		MemoryBytes: saturatingAdd(r.MemoryBytes, other.MemoryBytes),
	}
}

// Max is the larger of each.
func (r Resources) Max(other Resources) Resources {
	return Resources{
		CPUMillis:   max(r.CPUMillis, other.CPUMillis),
		MemoryBytes: max(r.MemoryBytes, other.MemoryBytes),
	}
}

func saturatingAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
