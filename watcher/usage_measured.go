package watcher

import (
	"math"
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// Measured is what is measured of a container in all pods of its workload.
type Measured struct {
	// Time of the latest sample of both CPU and memory; zero where none is fresh.
	Time time.Time
	// MemoryBytes is the largest of the pods' latest working sets.
	MemoryBytes int64
	// MemoryPeakBytes is the largest of the last ten days, MemorySamples how many
	// samples of memory there were.
	MemoryPeakBytes, MemorySamples int64
	// LastOOM is when it was last OOM-killed; zero where that is not known.
	LastOOM time.Time
	// Throttled is the largest share of CPU periods, from 0 to 1, in which a pod was
	// throttled of late, and ThrottledTime when; zero where no source tells.
	Throttled     float64
	ThrottledTime time.Time
}

// Measured returns what is measured of a container of a workload; false where
// nothing is, as in a replica that does not lead.
func (w *Watcher) Measured(namespace, kind, name, container string) (Measured, bool) {
	key := object.WorkloadKey{Namespace: namespace, Kind: kind, Name: name}
	out, now := Measured{}, w.opts.Clock.Now()
	w.usage.mu.Lock()
	for uid, p := range w.usage.pods {
		if p.key.Namespace != namespace {
			continue
		}
		pod := w.store.Pod(p.key)
		if pod == nil || pod.UID != uid || pod.Ended() || w.store.Workload(pod) != key {
			continue
		}
		for i := range p.containers {
			if c := &p.containers[i]; c.name == container {
				out.add(w, &c.use, now)
			}
		}
	}
	w.usage.mu.Unlock()
	sketch := w.known(key, container)
	if sketch == nil || sketch.Empty() {
		return out, !out.Time.IsZero()
	}
	_, samples := sketch.Samples()
	out.MemorySamples = int64(samples)
	out.MemoryPeakBytes = int64(sketch.MemoryMax(0, math.MaxInt64))
	if last, ok := sketch.OOM(0); ok {
		out.LastOOM = time.Unix(last.Time, 0)
	}
	return out, true
}

// add takes what is known of one pod's container.
func (m *Measured) add(w *Watcher, u *use, now time.Time) {
	if w.fresh(u.cpuAt, now) && w.fresh(u.memoryAt, now) {
		if at := time.Unix(min(u.cpuAt, u.memoryAt), 0); at.After(m.Time) {
			m.Time = at
		}
	}
	if w.fresh(u.memoryAt, now) {
		m.MemoryBytes = max(m.MemoryBytes, u.memory)
	}
	if d := u.detail; d != nil && w.freshDetail(d.throttledAt, now) && float64(d.throttled) >= m.Throttled {
		m.Throttled, m.ThrottledTime = float64(d.throttled), time.Unix(d.throttledAt, 0)
	}
}

// known is the sketch of a container: where groups of nodes are measured apart, what
// is known of those that need most; nil where there is none.
func (w *Watcher) known(key object.WorkloadKey, container string) *usage.Sketch {
	around := &surroundings{}
	if w.grouped(key.Kind) {
		around = w.surroundings()
	}
	sketch, _ := w.sketchOf(around, &sizeable{key: key}, container)
	return sketch
}
