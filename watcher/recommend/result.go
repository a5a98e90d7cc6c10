package recommend

import (
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// State says what a Result is worth.
type State uint8

const (
	// NoData: nothing was measured; there is no target.
	NoData State = iota
	// WarmingUp: too little was measured to change anything but after an OOM
	// kill; the target is what is known so far.
	WarmingUp
	// Stale: the newest sample is too old, or from a time to come; nothing
	// shrinks.
	Stale
	// Ready: the target stands.
	Ready
)

// Result is a recommendation. It is a plain value; Explain words it.
type Result struct {
	// State is the better of the two: what is not known of one resource says
	// nothing of the other.
	State                 State
	CPUState, MemoryState State
	// Requests and Limits proposed for one container. A limit of 0 is no limit.
	Requests, Limits object.Resources
	// Lower is below what harm is likely, Upper above what is waste; requests.
	Lower, Upper object.Resources
	// ChangeCPU and ChangeMemory say that the difference from what is in force is
	// worth a change now: large enough, stable, and not flapping.
	ChangeCPU, ChangeMemory bool
	// Confidence from 0 to 1.
	Confidence float64
	// OOMRisk is the expected probability of an OOM kill a day at the proposed
	// memory limit, 0 to 1.
	OOMRisk float64
	// DataAge is the age of the newest sample, of CPU or memory, DataSpan the longer
	// of the times that samples of each span.
	DataAge, DataSpan time.Duration
	// OOMKills taken into account.
	OOMKills uint32
	// StartupPeak is the highest use seen while starting.
	StartupPeak object.Resources
	// RestartRequired says that a restart is needed to get there.
	RestartRequired bool
	// Groups of nodes that were measured apart, of which this is for the neediest; 0
	// or 1 where there is but one.
	Groups int
	// Bound are what bound the target, Amounts what each of them allows.
	Bound   Bounds
	Amounts [boundKinds]int64
	// CPU and Memory are the terms of the formula.
	CPU    CPUTerms
	Memory MemoryTerms
}
