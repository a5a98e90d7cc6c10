package watcher

import (
	"time"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/meter"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// advance takes a reading to the levels of a container, and says whether there is
// something to tell.
func (w *Watcher) advance(u *use, c *object.Container, r *meter.Reading) bool {
	t := w.thresholds()
	if u.levels != nil && u.levels.Attempt != c.RestartCount {
		u.levels = nil // What was told of the attempt before ended with it.
	}
	levels := u.levels
	if levels == nil {
		levels = &detect.Use{Container: c.Name, Attempt: c.RestartCount}
	}
	limits, at := c.InForce().Limits, r.Time.Unix()
	told := w.advanceUse(levels, limits, r)
	share := func(l *detect.Level, v float64, percent int32) {
		told = l.Advance(v, at, float64(percent)/100, 0, t.PressureAfter) || told
	}
	if r.Has.Has(meter.Throttling) {
		share(&levels.Throttling, r.Throttled, t.ThrottledPercent)
	}
	if r.Has.Has(meter.Pressure) {
		share(&levels.CPUPressure, r.CPUPressure, t.PressurePercent)
		share(&levels.MemoryPressure, r.MemoryPressure, t.PressurePercent)
		share(&levels.IOPressure, r.IOPressure, t.PressurePercent)
	}
	if r.Has.Has(meter.Kills) {
		told = levels.Kills.Advance(r.Killed, r.Kills, at) || told
	}
	u.levels = levels
	if levels.Quiet() {
		u.levels = nil
	}
	return told
}

func (w *Watcher) advanceNode(u *use, n *object.Node, r *meter.Reading) bool {
	levels := u.levels
	if levels == nil {
		levels = &detect.Use{}
	}
	told := w.advanceUse(levels, n.Allocatable, r)
	u.levels = levels
	if levels.Quiet() {
		u.levels = nil
	}
	return told
}

// advanceUse compares CPU and memory with what bounds them; what is not bounded
// has no level.
func (w *Watcher) advanceUse(levels *detect.Use, bound object.Resources, r *meter.Reading) (told bool) {
	t := w.thresholds()
	at, high := r.Time.Unix(), float64(t.ExhaustionPercent)/100
	level := func(l *detect.Level, used float64, of int64, critical float64, hold time.Duration) {
		if of <= 0 {
			told = told || l.State != detect.LevelCalm
			*l = detect.Level{}
			return
		}
		told = l.Advance(used/float64(of), at, high, critical, hold) || told
		l.Used, l.Bound = int64(used), of
	}
	if r.Has.Has(meter.Memory) {
		level(&levels.Memory, r.MemoryBytes, bound.MemoryBytes, float64(t.ExhaustionCriticalPercent)/100, t.ExhaustionAfter)
	}
	if r.Has.Has(meter.CPU) {
		level(&levels.CPU, r.CPUMillis, bound.CPUMillis, 0, t.ExhaustionAfter)
	}
	return told
}

// podLevels are the levels of a pod's containers that are worth a look.
func (m *measured) podLevels(uid string) []detect.Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pods[uid]
	if p == nil {
		return nil
	}
	var out []detect.Use
	for i := range p.containers {
		if l := p.containers[i].levels; l != nil {
			out = append(out, *l)
		}
	}
	return out
}

func (m *measured) nodeLevels(name string) []detect.Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u := m.nodes[name]; u != nil && u.levels != nil {
		return []detect.Use{*u.levels}
	}
	return nil
}
