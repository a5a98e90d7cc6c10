package recommend

import (
	"time"

	"github.com/rightsizer/rightsizer/watcher/usage"
)

// absence is how long after its last sample, or kill, what is known of a group counts.
const absence = usage.Blocks * usage.BlockHours * time.Hour

// Neediest joins what is known of containers that are measured apart and have one
// template: of each resource, what is known of the one that needs most. Where that one
// fell silent, it is stale, and does not shrink; after ten days it counts no more, for it
// may have no pods.
func Neediest(all []usage.Sketch, now time.Time) *usage.Sketch {
	s := DefaultSettings()
	type need struct {
		of    *usage.Sketch
		there bool
		raw   float64
	}
	var cpu, memory need
	more := func(held *need, last int64, n need) {
		n.there = now.Sub(time.Unix(last, 0)) <= absence
		if held.of == nil || n.there && !held.there || n.there == held.there && n.raw > held.raw {
			*held = n
		}
	}
	for i := range all {
		k := &all[i]
		r := s.Recommend(&Input{Now: now, Sketch: k})
		_, last := k.CPUTimes()
		more(&cpu, last, need{of: k, raw: r.CPU.Raw})
		_, last = k.MemoryTimes()
		kill, _ := k.OOM(0)
		more(&memory, max(last, kill.Time), need{of: k, raw: r.Memory.Raw})
	}
	if memory.of == nil {
		return &usage.Sketch{}
	}
	out := *memory.of
	out.TakeCPU(cpu.of)
	return &out
}
