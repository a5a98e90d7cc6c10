package meter

import "time"

// Fields says which fields of a Sample or Reading are set.
type Fields uint8

// The fields. Each is refused or taken by itself.
const (
	// CPU is Sample.CPUMillis or Sample.CPUSeconds.
	CPU Fields = 1 << iota
	// CPUCounter says that CPU is the cumulative CPUSeconds.
	CPUCounter
	// Memory is Sample.MemoryBytes.
	Memory
	// Throttling is Sample.Periods and Sample.ThrottledPeriods.
	Throttling
	// Pressure is the Sample's *Waiting.
	Pressure
	// Kills is Sample.Kills.
	Kills
)

// Has says that all of the fields are set.
func (f Fields) Has(fields Fields) bool { return f&fields == fields }

// Sample is what a source says of one container, or of one node where Pod is
// empty.
type Sample struct {
	// Namespace, Pod and Container name the container.
	Namespace, Pod, Container string
	// PodUID is empty where the source does not say.
	PodUID string
	// Node is its machine; empty where the source does not say.
	Node string
	// Time is when it was measured, by the source's clock.
	Time time.Time
	// Started is when the container started; zero where the source does not say.
	Started time.Time
	// Has says which of the fields below are set.
	Has Fields
	// CPUMillis is the mean of CPU in use over Window before Time, in millicores.
	CPUMillis float64
	Window    time.Duration
	// CPUSeconds is the CPU time used since Started, in seconds.
	CPUSeconds float64
	// MemoryBytes is the working set: what the kernel cannot take back, which is
	// what the kubelet evicts and the kernel kills by.
	MemoryBytes float64
	// Periods counts the periods of the CPU quota so far, ThrottledPeriods those
	// in which the container ran into it.
	Periods, ThrottledPeriods float64
	// CPUWaiting, MemoryWaiting and IOWaiting are the time in which at least one
	// task waited for the resource, so far, in seconds (PSI `some`).
	CPUWaiting, MemoryWaiting, IOWaiting float64
	// Kills counts the processes of the container that the kernel's OOM killer
	// ended, the container's own included.
	Kills float64
}

// Reading is what a Sample adds to what was known.
type Reading struct {
	// Time is that of the Sample.
	Time time.Time
	// Has says which of the fields below are set; CPUCounter never is.
	Has Fields
	// CPUMillis is the mean of CPU in use since the reading before, in millicores.
	CPUMillis float64
	// MemoryBytes is the working set.
	MemoryBytes float64
	// Throttled is the share of quota periods since the reading before in which
	// the container ran into its CPU limit, 0 to 1.
	Throttled float64
	// CPUPressure, MemoryPressure and IOPressure are the share of the time since
	// the reading before in which at least one task waited, 0 to 1.
	CPUPressure, MemoryPressure, IOPressure float64
	// Killed is how many processes the OOM killer ended since the reading before,
	// Kills how many so far.
	Killed, Kills int64
}

// Verdict says what became of a sample or a part of it.
type Verdict uint8

// The verdicts.
const (
	// Taken is the good case.
	Taken Verdict = iota
	// First says that a counter was seen for the first time, or anew after its
	// container restarted: it tells a rate from the next one on.
	First
	// Duplicate says that the same moment was told before.
	Duplicate
	// OutOfOrder says that a later moment was told before.
	OutOfOrder
	// Ahead says that the moment is in the future: a clock is wrong.
	Ahead
	// Stale says that the moment is long past, or before the container started.
	Stale
	// Invalid says NaN, infinite, negative or absurd.
	Invalid
	// Reset says that a counter went back: its container began anew.
	Reset
	// Outranked says that a better source tells this.
	Outranked

	// Verdicts is how many there are.
	Verdicts
)

// String is the verdict as a label of metrics has it.
func (v Verdict) String() string {
	switch v {
	case Taken:
		return "taken"
	case First:
		return "first"
	case Duplicate:
		return "duplicate"
	case OutOfOrder:
		return "out_of_order"
	case Ahead:
		return "ahead"
	case Stale:
		return "stale"
	case Invalid:
		return "invalid"
	case Reset:
		return "reset"
	case Outranked:
		return "outranked"
	default:
		return "unknown"
	}
}
