package recommend

import (
	"time"

	"github.com/rightsizer/rightsizer/watcher/usage"
)

// Neediest joins what is known of containers that are measured apart and have one
// template: of each resource, what is known of the one that needs most. What is stale
// counts only where all is.
func Neediest(all []usage.Sketch, now time.Time) *usage.Sketch {
	s := DefaultSettings()
	type need struct {
		of    *usage.Sketch
		fresh bool
		raw   float64
	}
	var cpu, memory need
	more := func(held *need, state State, n need) {
		n.fresh = state == Ready || state == WarmingUp
		if held.of == nil || n.fresh && !held.fresh || n.fresh == held.fresh && n.raw > held.raw {
			*held = n
		}
	}
	for i := range all {
		k := &all[i]
		r := s.Recommend(&Input{Now: now, Sketch: k})
		more(&cpu, r.CPUState, need{of: k, raw: r.CPU.Raw})
		more(&memory, r.MemoryState, need{of: k, raw: r.Memory.Raw})
	}
	if memory.of == nil {
		return &usage.Sketch{}
	}
	out := *memory.of
	out.TakeCPU(cpu.of)
	return &out
}
