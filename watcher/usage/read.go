package usage

import "time"

// Empty is true where no sample was ever taken.
func (s *Sketch) Empty() bool { return s.Last() == 0 }

// First and Last are the Unix seconds of the oldest and the newest sample, of CPU or
// memory; 0 where there is none. What was before an absence of ten days does not
// count.
func (s *Sketch) First() int64 { return int64(earliest(s.firstCPU, s.firstMemory)) }

// Last is the newest sample's time in Unix seconds.
func (s *Sketch) Last() int64 { return int64(max(s.lastCPU, s.lastMemory)) }

// CPUTimes are the times of the first and the last CPU sample in Unix seconds, as
// First and Last; 0 where there is none.
func (s *Sketch) CPUTimes() (first, last int64) { return int64(s.firstCPU), int64(s.lastCPU) }

// MemoryTimes are those of memory.
func (s *Sketch) MemoryTimes() (first, last int64) { return int64(s.firstMemory), int64(s.lastMemory) }

// Span is the time from the first to the last sample.
func (s *Sketch) Span() time.Duration { return time.Duration(s.Last()-s.First()) * time.Second }

// Samples returns how many samples of CPU and of memory were taken.
func (s *Sketch) Samples() (cpu, memory uint32) { return s.cpuSamples, s.memorySamples }

// Refused is how many samples were refused.
func (s *Sketch) Refused() uint32 { return s.refused }

// MemoryMax is the highest memory of the blocks from first to before end, in
// bytes; 0 where none of them has a sample. Blocks are counted in BlockHours since
// 1970.
func (s *Sketch) MemoryMax(first, end int64) float64 {
	newest := int64(s.newestBlock)
	first, end = max(first, newest-Blocks+1, 1), min(end, newest+1)
	var most code
	for slot := first % Blocks; first < end; first++ {
		most = max(most, s.memBlock[slot])
		if slot++; slot == Blocks {
			slot = 0
		}
	}
	return decode(most)
}

// MemoryTypical is the mean of the maxima of all blocks with a sample, in bytes.
func (s *Sketch) MemoryTypical() float64 {
	sum, n := 0.0, 0
	for _, c := range s.memBlock {
		if c != 0 {
			sum += decode(c)
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// CPUQuantile is the amount of CPU in millicores that the share q (0 to 1) of
// samples does not exceed, newer samples weighing more; 0 where there is none.
func (s *Sketch) CPUQuantile(q float64) float64 { return s.cpu.quantile(q) }

// StartupPeak is the highest use of containers in the first minutes of their
// life; 0 where none was seen.
func (s *Sketch) StartupPeak() (cpuMillis, memoryBytes float64) {
	return decode(max(s.startupCPU[0], s.startupCPU[1])), decode(max(s.startupMemory[0], s.startupMemory[1]))
}

// OOM is one OOM kill: its time in Unix seconds, and the limit in force in
// bytes, 0 where it is not known.
type OOM struct {
	Time       int64
	LimitBytes float64
}

// OOMCount is how many OOM kills were observed.
func (s *Sketch) OOMCount() uint32 { return s.oom.count }

// OOM returns the i-th newest OOM kill, i below OOMMarks; false where there is
// none.
func (s *Sketch) OOM(i int) (OOM, bool) {
	return OOM{Time: int64(s.oom.at[i]), LimitBytes: decode(s.oom.limits[i])}, s.oom.at[i] != 0
}

func (h *histogram) quantile(q float64) float64 {
	var total float64
	for _, w := range h.weights {
		total += float64(w)
	}
	if total == 0 {
		return 0
	}
	rest := min(max(q, 0), 1) * total
	last := 0.0
	for i, w := range h.weights {
		if w == 0 {
			continue
		}
		from, to := bucketStart(i), bucketStart(i+1)
		if float64(w) >= rest {
			return from + (to-from)*rest/float64(w)
		}
		rest -= float64(w)
		last = to
	}
	return last // rounding left a rest
}
