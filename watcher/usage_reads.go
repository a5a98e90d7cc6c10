package watcher

import (
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// sumUse is what several containers use together; measured says that there is
// something to sum.
type sumUse struct {
	object.Resources

	measured bool
}

func (s *sumUse) add(r object.Resources) {
	s.Resources, s.measured = s.Plus(r), true
}

func (s *sumUse) message() *rightsizerv1.Resources {
	if s == nil || !s.measured {
		return nil
	}
	return &rightsizerv1.Resources{CpuMillis: s.CPUMillis, MemoryBytes: s.MemoryBytes}
}

// now is what is known of now; false where that is nothing.
func (u *use) now(w *Watcher, now time.Time) (object.Resources, bool) {
	var r object.Resources
	cpu, memory := w.fresh(u.cpuAt, now), w.fresh(u.memoryAt, now)
	if cpu {
		r.CPUMillis = u.cpu
	}
	if memory {
		r.MemoryBytes = u.memory
	}
	return r, cpu || memory
}

// eachUse goes through the containers with a fresh measurement, under the lock of
// the usage. Namespace is empty for all.
func (w *Watcher) eachUse(namespace string, visit func(pod *object.Pod, container string, r object.Resources)) {
	now := w.opts.Clock.Now()
	w.usage.mu.Lock()
	defer w.usage.mu.Unlock()
	for uid, p := range w.usage.pods {
		if namespace != "" && p.key.Namespace != namespace {
			continue
		}
		pod := w.store.Pod(p.key)
		if pod == nil || pod.UID != uid || pod.Ended() {
			continue
		}
		for i := range p.containers {
			c := &p.containers[i]
			if r, ok := c.now(w, now); ok {
				visit(pod, c.name, r)
			}
		}
	}
}

// fillWorkloads fills in what workloads use.
func (w *Watcher) fillWorkloads(workloads []*rightsizerv1.Workload, namespace string) {
	sums := make(map[object.WorkloadKey]*sumUse)
	type member struct {
		key       object.WorkloadKey
		container string
	}
	type mean struct {
		sum object.Resources
		n   int64
	}
	means := make(map[member]*mean)
	w.eachUse(namespace, func(pod *object.Pod, container string, r object.Resources) {
		key := w.store.Workload(pod)
		s := sums[key]
		if s == nil {
			s = &sumUse{}
			sums[key] = s
		}
		s.add(r)
		m := means[member{key, container}]
		if m == nil {
			m = &mean{}
			means[member{key, container}] = m
		}
		m.sum, m.n = m.sum.Plus(r), m.n+1
	})
	for _, out := range workloads {
		key := object.WorkloadKey{Namespace: out.GetNamespace(), Kind: out.GetRef().GetKind(), Name: out.GetRef().GetName()}
		out.Used = sums[key].message()
		for _, c := range out.GetContainers() {
			if m := means[member{key, c.GetName()}]; m != nil && (c.GetKind() == rightsizerv1.ContainerKind_CONTAINER_KIND_APP || c.GetKind() == rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR) {
				c.Used = &rightsizerv1.Resources{CpuMillis: m.sum.CPUMillis / m.n, MemoryBytes: m.sum.MemoryBytes / m.n}
			}
		}
	}
}

// fillPods fills in what the pods of one workload use.
func (w *Watcher) fillPods(pods []*rightsizerv1.WorkloadPod) {
	now := w.opts.Clock.Now()
	w.usage.mu.Lock()
	defer w.usage.mu.Unlock()
	for _, out := range pods {
		p := w.usage.pods[out.GetUid()]
		if p == nil {
			continue
		}
		var sum sumUse
		for i := range p.containers {
			if r, ok := p.containers[i].now(w, now); ok {
				sum.add(r)
			}
		}
		out.Used = sum.message()
	}
}

// fillNodes fills in what nodes use: what a source says of the node itself, else
// the sum of its containers.
func (w *Watcher) fillNodes(nodes []*rightsizerv1.Node) {
	sums := make(map[string]*sumUse)
	w.eachUse("", func(pod *object.Pod, _ string, r object.Resources) {
		s := sums[pod.Node]
		if s == nil {
			s = &sumUse{}
			sums[pod.Node] = s
		}
		s.add(r)
	})
	now := w.opts.Clock.Now()
	w.usage.mu.Lock()
	defer w.usage.mu.Unlock()
	for _, out := range nodes {
		sum := sums[out.GetName()]
		if u := w.usage.nodes[out.GetName()]; u != nil {
			if r, ok := u.now(w, now); ok {
				sum = &sumUse{Resources: r, measured: true}
			}
		}
		out.Used = sum.message()
	}
}

// clusterUse is the sum over all containers.
func (w *Watcher) clusterUse() *rightsizerv1.Resources {
	var sum sumUse
	w.eachUse("", func(_ *object.Pod, _ string, r object.Resources) { sum.add(r) })
	return sum.message()
}
