package meter

import (
	"math"
	"time"
)

const (
	// maxAhead is how far a source's clock may be ahead of ours.
	maxAhead = time.Minute
	// maxAge is how old a sample may be: what is older says nothing of now, and
	// is the last word of a source that hangs.
	maxAge = 10 * time.Minute
	// maxGap is the longest time that a counter's mean may stand for, three of the
	// longest intervals of polls. Beyond it the counter starts over: a mean over
	// hours is no reading of now.
	maxGap = 30 * time.Minute
	// minGap is the shortest: a rate over less is noise, and kubelets measure
	// every 10 to 15 s.
	minGap = time.Second

	// What no machine has: more is a broken source.
	maxCPUMillis   = 1 << 24 // 16,777 cores
	maxMemoryBytes = 1 << 50 // 1 PiB
	maxKills       = 1 << 40
)

// Meter is what must be remembered of one container or node between two samples:
// 88 bytes, and 88 more where throttling, pressure or kills are told.
type Meter struct {
	started int64 // Unix nanoseconds of the container that the counters belong to
	cpu     counter
	memory  int64 // time of the latest, Unix nanoseconds
	// ranked is when a source of a rank better than 0 was heard last, rank its rank.
	ranked int64
	rank   uint8
	gauge  bool // CPU comes as a gauge: cpu.value is the reading
	detail *detail
}

type counter struct {
	at    int64 // Unix nanoseconds; 0 is never
	value float64
}

type detail struct {
	throttling counter // value counts periods
	throttled  float64
	pressure   counter // value is the CPU's
	memoryWait float64
	ioWait     float64
	kills      counter
}

// Take adds a sample. rank is the source's, higher is better: while a better one
// is fresh, others are not taken for CPU and memory. The tally counts what became
// of each part. What was told at times that are yet to come, and a start then, is of a
// clock that was ahead until it was set back: it is forgotten.
func (m *Meter) Take(s *Sample, rank uint8, fresh time.Duration, now time.Time, tally *Tally) Reading {
	out := Reading{Time: s.Time}
	at, latest, started := s.Time.UnixNano(), now.Add(maxAhead), s.Started
	if started.After(latest) {
		started = time.Time{}
	}
	m.setBack(latest.UnixNano())
	switch {
	case s.Time.After(latest):
		tally.add(Ahead)
		return out
	case now.Sub(s.Time) > maxAge:
		tally.add(Stale)
		return out
	case !started.IsZero() && s.Time.Before(started):
		tally.add(Stale) // It is about the container before this one.
		return out
	}
	m.restarted(started)
	if s.Has&(CPU|Memory) != 0 {
		if rank < m.rank && at-m.ranked < int64(fresh) {
			tally.add(Outranked)
		} else {
			m.takeUsage(s, at, &out, tally)
			if rank >= m.rank || out.Has != 0 {
				m.rank, m.ranked = rank, at
			}
		}
	}
	if s.Has.Has(Throttling) {
		tally.add(m.takeThrottling(s, at, &out))
	}
	if s.Has.Has(Pressure) {
		tally.add(m.takePressure(s, at, &out))
	}
	if s.Has.Has(Kills) {
		tally.add(m.takeKills(s, at, &out))
	}
	return out
}

// setBack forgets what is later than the latest that can be.
func (m *Meter) setBack(latest int64) {
	if m.cpu.at > latest {
		m.cpu, m.gauge = counter{}, false
	}
	if m.memory > latest {
		m.memory = 0
	}
	if m.ranked > latest {
		m.ranked, m.rank = 0, 0
	}
	if m.started > latest {
		m.started = 0
	}
	if d := m.detail; d != nil && max(d.throttling.at, d.pressure.at, d.kills.at) > latest {
		m.detail = nil
	}
}

// restarted forgets the counters of a container that has started anew.
func (m *Meter) restarted(start time.Time) {
	if start.IsZero() {
		return
	}
	started := start.UnixNano()
	// Sources round, and differ in it by up to a second.
	if m.started != 0 && started > m.started+int64(2*time.Second) {
		m.cpu, m.gauge = counter{}, false
		m.detail = nil
	}
	if m.started == 0 || started > m.started {
		m.started = started
	}
}

func (m *Meter) takeUsage(s *Sample, at int64, out *Reading, tally *Tally) {
	if s.Has.Has(CPU) {
		tally.add(m.takeCPU(s, at, out))
	}
	if s.Has.Has(Memory) {
		v := order(m.memory, at)
		switch {
		case !good(s.MemoryBytes, maxMemoryBytes):
			v = Invalid
		case v == Taken:
			m.memory = at
			out.MemoryBytes, out.Has = s.MemoryBytes, out.Has|Memory
		}
		tally.add(v)
	}
}

func (m *Meter) takeCPU(s *Sample, at int64, out *Reading) Verdict {
	if v := order(m.cpu.at, at); v != Taken {
		return v
	}
	if !s.Has.Has(CPUCounter) {
		if !good(s.CPUMillis, maxCPUMillis) {
			return Invalid
		}
		m.cpu, m.gauge = counter{at, s.CPUMillis}, true
		out.CPUMillis, out.Has = s.CPUMillis, out.Has|CPU
		return Taken
	}
	if m.gauge {
		m.cpu, m.gauge = counter{}, false // A counter after a gauge begins.
	}
	used, v := m.cpu.rate(s.CPUSeconds, at)
	if v != Taken {
		return v
	}
	if used*1000 > maxCPUMillis {
		return Invalid
	}
	out.CPUMillis, out.Has = used*1000, out.Has|CPU
	return Taken
}

func (m *Meter) takeThrottling(s *Sample, at int64, out *Reading) Verdict {
	if !good(s.ThrottledPeriods, math.MaxFloat64) {
		return Invalid
	}
	if m.detail == nil {
		m.detail = &detail{}
	}
	d := m.detail
	before, throttled := d.throttling, d.throttled
	if _, v := d.throttling.rate(s.Periods, at); v != Taken {
		if v == First || v == Reset {
			d.throttled = s.ThrottledPeriods
		}
		return v
	}
	d.throttled = s.ThrottledPeriods
	periods, hit := s.Periods-before.value, s.ThrottledPeriods-throttled
	if hit < 0 {
		return Reset
	}
	out.Throttled, out.Has = 0, out.Has|Throttling
	if periods > 0 {
		out.Throttled = min(hit/periods, 1)
	}
	return Taken
}

func (m *Meter) takePressure(s *Sample, at int64, out *Reading) Verdict {
	if !good(s.MemoryWaiting, math.MaxFloat64) || !good(s.IOWaiting, math.MaxFloat64) {
		return Invalid
	}
	if m.detail == nil {
		m.detail = &detail{}
	}
	d := m.detail
	before := *d
	cpu, v := d.pressure.rate(s.CPUWaiting, at)
	if v == Taken || v == First || v == Reset {
		d.memoryWait, d.ioWait = s.MemoryWaiting, s.IOWaiting
	}
	if v != Taken {
		return v
	}
	seconds := time.Duration(at - before.pressure.at).Seconds()
	memory, io := (s.MemoryWaiting-before.memoryWait)/seconds, (s.IOWaiting-before.ioWait)/seconds
	if memory < 0 || io < 0 {
		return Reset
	}
	out.CPUPressure, out.MemoryPressure, out.IOPressure = min(cpu, 1), min(memory, 1), min(io, 1)
	out.Has |= Pressure
	return Taken
}

func (m *Meter) takeKills(s *Sample, at int64, out *Reading) Verdict {
	if !good(s.Kills, maxKills) {
		return Invalid
	}
	if m.detail == nil {
		m.detail = &detail{}
	}
	c := &m.detail.kills
	before := *c
	if v := order(before.at, at); v != Taken {
		return v
	}
	*c = counter{at, s.Kills}
	switch {
	case before.at == 0:
		return First
	case s.Kills < before.value:
		return Reset
	}
	out.Killed, out.Kills, out.Has = int64(s.Kills-before.value), int64(s.Kills), out.Has|Kills
	return Taken
}

// rate is what a counter grew by in a second, and remembers its value.
func (c *counter) rate(value float64, at int64) (float64, Verdict) {
	if !good(value, math.MaxFloat64) {
		return 0, Invalid
	}
	if v := order(c.at, at); v != Taken {
		return 0, v
	}
	gap := time.Duration(at - c.at)
	switch {
	case c.at == 0 || gap > maxGap:
		*c = counter{at, value}
		return 0, First
	case gap < minGap:
		return 0, Duplicate // The next one will span both.
	case value < c.value:
		*c = counter{at, value}
		return 0, Reset
	}
	grown := value - c.value
	*c = counter{at, value}
	return grown / gap.Seconds(), Taken
}

// order compares a moment with the latest that was taken.
func order(latest, at int64) Verdict {
	switch {
	case latest == 0 || at > latest:
		return Taken
	case at == latest:
		return Duplicate
	}
	return OutOfOrder
}

func good(v, most float64) bool {
	return v >= 0 && v <= most // NaN compares false.
}

// Tally counts verdicts.
type Tally [Verdicts]uint64

func (t *Tally) add(v Verdict) {
	if t != nil {
		t[v]++
	}
}
