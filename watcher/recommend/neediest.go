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
// may have no pods. It says of how many groups that is.
func Neediest(all []usage.Sketch, now time.Time) (joined *usage.Sketch, groups int) {
	s := DefaultSettings()
	type need struct {
		of    *usage.Sketch
		there bool
		raw   float64
	}
	var cpu, memory need
	there := func(last int64) bool { return now.Sub(time.Unix(last, 0)) <= absence }
	more := func(held *need, n need) {
		if held.of == nil || n.there && !held.there || n.there == held.there && n.raw > held.raw {
			*held = n
		}
	}
	for i := range all {
		k := &all[i]
		r := s.Recommend(&Input{Now: now, Sketch: k})
		_, last := k.CPUTimes()
		ofCPU := need{of: k, there: there(last), raw: r.CPU.Raw}
		more(&cpu, ofCPU)
		_, last = k.MemoryTimes()
		kill, _ := k.OOM(0)
		ofMemory := need{of: k, there: there(max(last, kill.Time)), raw: r.Memory.Raw}
		more(&memory, ofMemory)
		if ofCPU.there || ofMemory.there {
			groups++
		}
	}
	if memory.of == nil {
		return &usage.Sketch{}, 0
	}
	out := *memory.of
	out.TakeCPU(cpu.of)
	return &out, groups
}
