package watcher

import (
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// silence says of which resource a container of a workload is not measured in all
// replicas that run.
type silence struct{ cpu, memory bool }

// findSilent looks which replicas fell silent, such as those on a node whose kubelet
// does not answer: a sketch is one for all of them, and as fresh as the freshest.
func (w *Watcher) findSilent(now time.Time) {
	stale := recommend.DefaultSettings().StaleAfter
	heard := func(at int64) bool { return within(at, now, stale) }
	pods, m := w.store.Pods(), &w.usage
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.idle.Load() || now.Sub(m.began) < w.freshFor() {
		return // Not all were asked about yet.
	}
	clear(m.silent)
	m.heard = true
	for _, pod := range pods {
		if pod.Ended() || pod.Deleting { // What is deleted may stay for long on a node that is gone.
			continue
		}
		for i := range pod.Containers {
			c := &pod.Containers[i]
			if counted(pod, c.Name) != c || c.State.Kind != object.Running {
				continue
			}
			cpuAt, memoryAt := m.lastOf(pod, c.Name)
			began := c.State.StartedAt
			if s := (silence{cpu: !heard(cpuAt) && !heard(began), memory: !heard(memoryAt) && !heard(began)}); s.cpu || s.memory {
				key := silentKey(w.store.Workload(pod), c.Name)
				m.silent[key] = silence{m.silent[key].cpu || s.cpu, m.silent[key].memory || s.memory}
			}
		}
	}
}

// lastOf is when a container was measured last, in Unix seconds; 0 is never. Under the
// lock of the usage.
func (m *measured) lastOf(pod *object.Pod, container string) (cpuAt, memoryAt int64) {
	if p := m.pods[pod.UID]; p != nil {
		for i := range p.containers {
			if c := &p.containers[i]; c.name == container {
				return c.cpuAt, c.memoryAt
			}
		}
	}
	return 0, 0
}

// silenceOf is what was found of a container in the last minute; before anything was,
// any may be silent.
func (m *measured) silenceOf(key object.WorkloadKey, container string) silence {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.heard {
		return silence{cpu: true, memory: true}
	}
	return m.silent[silentKey(key, container)]
}

func silentKey(key object.WorkloadKey, container string) usage.Key {
	return usage.Key{Namespace: key.Namespace, Kind: key.Kind, Name: key.Name, Container: container}
}
