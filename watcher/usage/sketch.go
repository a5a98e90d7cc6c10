package usage

import (
	"math"
	"time"
)

// SketchBytes bounds the size of a Sketch in memory.
const SketchBytes = 600

// How much the rings hold.
const (
	// Blocks of maxima of memory, each of BlockHours: ten days.
	Blocks = 120
)

// BlockHours is the length of a block; blocks begin at even hours UTC.
const BlockHours = 2

const (
	blockSeconds = BlockHours * 3600
	daySeconds   = 24 * 3600
	// heldSeconds is how far back the ring of memory reaches.
	heldSeconds = Blocks * blockSeconds
)

// Bounds of a sample: above them it is an error of the source.
const (
	// MaxCPUMillis is 65,536 cores.
	MaxCPUMillis = 1 << 26
	// MaxMemoryBytes is 1 PiB.
	MaxMemoryBytes = 1 << 50
)

// startupSeconds is how young a container is while its use counts as that of
// its start.
const startupSeconds = 600

// Unknown is the age of a container whose start nobody knows.
const Unknown = time.Duration(-1)

// Sample is what was measured of one container at one time.
type Sample struct {
	// Time in Unix seconds, from one day after 1970 to 2^32-1.
	Time int64
	// CPUMillis is the mean use since the sample before, in millicores; NaN
	// where it was not measured (the first sample of a counter, one that was
	// reset).
	CPUMillis float64
	// MemoryBytes is the working set; NaN where it was not measured.
	MemoryBytes float64
	// Age of the container at Time; Unknown where the source does not say.
	Age time.Duration
}

// Sketch is what is kept of one container of a workload. The zero value is
// empty and ready to use.
type Sketch struct {
	cpu      histogram
	memBlock [Blocks]code
	// newestBlock is the latest slot of memBlock; 0 while it is empty.
	newestBlock uint32

	// firstCPU to lastCPU and firstMemory to lastMemory are the times of samples of
	// each, without what was before an absence of heldSeconds; 0 while there is
	// none.
	firstCPU, firstMemory uint32
	lastCPU, lastMemory   uint32
	cpuSamples            uint32
	memorySamples         uint32
	refused               uint32

	// startupCPU and startupMemory are the highest use of young containers,
	// in the present period of startupDays and in the one before.
	startupCPU, startupMemory [2]code
	startupPeriod             uint32

	oom oomMarks
}

// startupDays is how long a startup peak counts at least; it is forgotten after
// twice as long.
const startupDays = 14

// Observe adds a sample and reports whether it was taken. One that has neither
// CPU nor memory, an amount that cannot be, or a time that is no longer held is
// refused and counted.
func (s *Sketch) Observe(x Sample) bool {
	if !validTime(x.Time) {
		return s.refuse()
	}
	hasCPU, okCPU := plausible(x.CPUMillis, MaxCPUMillis)
	hasMemory, okMemory := plausible(x.MemoryBytes, MaxMemoryBytes)
	if !okCPU || !okMemory || !hasCPU && !hasMemory {
		return s.refuse()
	}
	t := uint32(x.Time)
	if last := max(s.lastCPU, s.lastMemory); last > t && last-t > heldSeconds {
		return s.refuse()
	}
	if hasCPU {
		s.observeCPU(t, x.CPUMillis)
	}
	if hasMemory {
		s.observeMemory(t, x.MemoryBytes)
	}
	if x.Age >= 0 && x.Age < startupSeconds*time.Second {
		s.observeStart(t, x, hasCPU, hasMemory)
	}
	return true
}

// validTime leaves out slot 0 of the rings, which stands for nothing.
func validTime(t int64) bool { return t >= daySeconds && t <= math.MaxUint32 }

func (s *Sketch) refuse() bool {
	s.refused = addCount(s.refused, 1)
	return false
}

// stamp takes a time to the range of those of a resource. After an absence that
// nothing is held of from before, the range begins anew.
func stamp(first, last *uint32, t uint32) {
	if *first == 0 || t < *first || t > *last && t-*last > heldSeconds {
		*first = t
	}
	*last = max(*last, t)
}

// earliest of two times, of which 0 is none.
func earliest(a, b uint32) uint32 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// plausible says whether an amount was measured, and whether it can be.
func plausible(x, bound float64) (measured, ok bool) {
	if x >= 0 && x <= bound {
		return true, true
	}
	return false, math.IsNaN(x)
}

func (s *Sketch) observeCPU(t uint32, millis float64) {
	s.cpu.add(int64(t), millis)
	stamp(&s.firstCPU, &s.lastCPU, t)
	s.cpuSamples = addCount(s.cpuSamples, 1)
}

func (s *Sketch) observeMemory(t uint32, bytes float64) {
	c := encode(max(bytes, 1))                           // a measured 0 is a sample, not a gap
	if slot := t / blockSeconds; slot == s.newestBlock { // as nearly always
		if at := slot % Blocks; c > s.memBlock[at] {
			s.memBlock[at] = c
		}
	} else {
		s.newestBlock = put(s.memBlock[:], s.newestBlock, slot, c)
	}
	stamp(&s.firstMemory, &s.lastMemory, t)
	s.memorySamples = addCount(s.memorySamples, 1)
}

func (s *Sketch) observeStart(t uint32, x Sample, hasCPU, hasMemory bool) {
	at, ok := s.startup(t / (startupDays * daySeconds))
	if !ok {
		return
	}
	if hasCPU {
		s.startupCPU[at] = max(s.startupCPU[at], encode(x.CPUMillis))
	}
	if hasMemory {
		s.startupMemory[at] = max(s.startupMemory[at], encode(x.MemoryBytes))
	}
}

// startup turns the two periods to one that is at least period, and returns
// where period is; false where it is forgotten.
func (s *Sketch) startup(period uint32) (int, bool) {
	switch {
	case period == s.startupPeriod+1:
		s.startupCPU[1], s.startupMemory[1] = s.startupCPU[0], s.startupMemory[0]
		s.startupCPU[0], s.startupMemory[0] = 0, 0
		s.startupPeriod = period
	case period > s.startupPeriod:
		s.startupCPU, s.startupMemory = [2]code{}, [2]code{}
		s.startupPeriod = period
	}
	back := s.startupPeriod - period
	return int(back), back < 2
}

// ObserveOOM adds an OOM kill: the time, and the memory limit in force in bytes,
// 0 where it is not known. It reports whether it was taken; the same time and
// limit count once.
func (s *Sketch) ObserveOOM(t int64, limitBytes float64) bool {
	if !validOOM(t, limitBytes) {
		return s.refuse()
	}
	return s.oom.add(uint32(t), encode(limitBytes))
}

// RecallOOM is ObserveOOM of a kill that happened before the start and may have
// been observed then: one from before all that are marked counts as one that was.
func (s *Sketch) RecallOOM(t int64, limitBytes float64) bool {
	if !validOOM(t, limitBytes) {
		return s.refuse()
	}
	if oldest := s.oom.at[OOMMarks-1]; oldest != 0 && t < int64(oldest) {
		return false
	}
	return s.oom.add(uint32(t), encode(limitBytes))
}

func validOOM(t int64, limitBytes float64) bool {
	return validTime(t) && limitBytes >= 0 && limitBytes <= MaxMemoryBytes
}

// Merge adds what another Sketch holds. The order of merges does not matter,
// but for the rounding of sums in float32, and for OOMCount where both know of
// kills that one of them no longer marks: those count twice.
func (s *Sketch) Merge(from *Sketch) {
	s.cpu.merge(&from.cpu)
	s.newestBlock = mergeRing(s.memBlock[:], s.newestBlock, from.memBlock[:], from.newestBlock)
	s.firstCPU, s.firstMemory = earliest(s.firstCPU, from.firstCPU), earliest(s.firstMemory, from.firstMemory)
	s.lastCPU, s.lastMemory = max(s.lastCPU, from.lastCPU), max(s.lastMemory, from.lastMemory)
	s.cpuSamples = addCount(s.cpuSamples, from.cpuSamples)
	s.memorySamples = addCount(s.memorySamples, from.memorySamples)
	s.refused = addCount(s.refused, from.refused)
	for back := range uint32(2) {
		if back > from.startupPeriod {
			break
		}
		if at, ok := s.startup(from.startupPeriod - back); ok {
			s.startupCPU[at] = max(s.startupCPU[at], from.startupCPU[back])
			s.startupMemory[at] = max(s.startupMemory[at], from.startupMemory[back])
		}
	}
	s.oom.merge(&from.oom)
}

// TakeCPU replaces what is known of CPU by what another Sketch knows.
func (s *Sketch) TakeCPU(from *Sketch) {
	s.cpu, s.firstCPU, s.lastCPU, s.cpuSamples = from.cpu, from.firstCPU, from.lastCPU, from.cpuSamples
	peak, _ := from.StartupPeak()
	s.startupCPU = [2]code{encode(peak), 0}
}

// addCount adds, and stays at the largest number.
func addCount(a, b uint32) uint32 {
	if b > math.MaxUint32-a {
		return math.MaxUint32
	}
	return a + b
}
