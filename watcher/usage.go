package watcher

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/history"
	"github.com/rightsizer/rightsizer/watcher/meter"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// measured is what is known of usage now. Its lock may be taken under the
// watcher's, never the other way round.
type measured struct {
	sources     []*polled
	closers     []func()
	book        *usage.Book
	history     *history.History
	checkpoints checkpoints
	past        past
	room        room
	constraints *constraints
	// idle says that another replica measures; it is set under mu.
	idle atomic.Bool

	mu    sync.Mutex
	pods  map[string]*podUse // by UID
	nodes map[string]*use    // by name
	// changed are the objects whose levels changed with the samples at hand; used
	// again and again.
	changed []ref
	// fits are those of workloads, by the UID of the controller at the top or of the bare
	// pod; due are pods of workloads to be judged, used again and again.
	fits map[string]*workloadFit
	due  []*object.Pod
	// silent are the containers of which not all replicas are measured, as of the last
	// minute; heard says that it was looked which those are since this replica of the
	// operator began to measure, at began.
	silent map[usage.Key]silence
	heard  bool
	began  time.Time
	// ran are the pods of CronJobs that were measured last, which stand for them
	// while they have none.
	ran map[object.WorkloadKey]*lastRun
}

// podUse is what the containers of a pod use.
type podUse struct {
	key        object.Key
	containers []containerUse
}

type containerUse struct {
	name string
	use
}

// use is the latest of one container or node, with its meter.
type use struct {
	meter meter.Meter
	// cpu and memory in millicores and bytes, and when they were measured, in Unix
	// seconds; 0 is never.
	cpu, memory     int64
	cpuAt, memoryAt int64
	// cpuPeak and memoryPeak are the highest since the last minute recorded.
	cpuPeak, memoryPeak int64
	detail              *detailUse  // nil where no source tells
	levels              *detect.Use // nil while there is nothing to tell
}

// fresh says that a measurement of then says something of now.
func (w *Watcher) fresh(at int64, now time.Time) bool {
	return within(at, now, w.freshFor())
}

// within says that a moment, 0 for never, is no longer ago than that. One that is yet
// to come was told by a clock that was ahead until it was set back.
func within(at int64, now time.Time, ago time.Duration) bool {
	return at != 0 && now.Sub(time.Unix(at, 0)) <= ago && at <= now.Unix()+usage.MaxAhead
}

// freshFor is three rounds, for one may be missed, and what metrics-server says is
// up to a round old by itself; at least 90 s.
func (w *Watcher) freshFor() time.Duration {
	return max(3*w.opts.Usage.Interval, 90*time.Second)
}

// takeSamples takes what a source said about one target.
func (w *Watcher) takeSamples(s *polled, samples []meter.Sample) {
	now := w.opts.Clock.Now()
	var tally meter.Tally
	var skipped uint64
	var changed []ref
	m := &w.usage
	m.mu.Lock()
	if m.idle.Load() {
		m.mu.Unlock()
		return // The lead was lost while the source answered.
	}
	m.changed, m.due = m.changed[:0], m.due[:0]
	for i := range samples {
		if !w.takeSample(s, &samples[i], now, &tally) {
			skipped++
		}
	}
	changed = append(changed, m.changed...)
	due := slices.Clone(m.due)
	m.mu.Unlock()
	s.mu.Lock()
	for i := range tally {
		s.tally[i] += tally[i]
	}
	s.skipped += skipped
	s.mu.Unlock()
	changed = append(changed, w.judge(due)...)
	if len(changed) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range changed {
		w.again(r)
	}
}

// takeSample takes one sample; false where it is about nothing that counts. Under
// the lock of the usage.
func (w *Watcher) takeSample(s *polled, sample *meter.Sample, now time.Time, tally *meter.Tally) bool {
	if sample.Pod == "" {
		return w.takeNodeSample(s, sample, now, tally)
	}
	pod := w.store.Pod(object.Key{Namespace: sample.Namespace, Name: sample.Pod})
	if pod == nil || pod.Ended() || sample.PodUID != "" && sample.PodUID != pod.UID && sample.PodUID != pod.StaticUID {
		return false
	}
	c := counted(pod, sample.Container)
	if c == nil || c.State.Kind != object.Running {
		return false
	}
	if sample.Started.IsZero() && c.State.StartedAt != 0 {
		sample.Started = time.Unix(c.State.StartedAt, 0)
	}
	u := w.usage.of(pod, c.Name)
	reading := u.meter.Take(sample, s.Rank(), w.freshFor(), now, tally)
	if reading.Has == 0 {
		return true
	}
	u.keep(&reading)
	w.observe(pod, c, &reading, now)
	w.touch(pod, now)
	if key := w.store.Workload(pod); key.Kind == kindCronJob {
		w.usage.ran[key] = &lastRun{pod: pod, uid: w.store.TopUID(pod)}
	}
	if w.advance(u, c, &reading) {
		w.usage.changed = append(w.usage.changed, ref{kindPod, pod.Key, pod.UID})
	}
	return true
}

// counted finds a container that is measured: one that runs beside the others for
// as long as the pod does. What init and ephemeral containers use is theirs.
func counted(pod *object.Pod, name string) *object.Container {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.Name == name && (c.Kind == rightsizerv1.ContainerKind_CONTAINER_KIND_APP || c.Kind == rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR) {
			return c
		}
	}
	return nil
}

// of finds or makes what is known of a container.
func (m *measured) of(pod *object.Pod, container string) *use {
	p := m.pods[pod.UID]
	if p == nil {
		p = &podUse{key: pod.Key}
		m.pods[pod.UID] = p
	}
	for i := range p.containers {
		if p.containers[i].name == container {
			return &p.containers[i].use
		}
	}
	p.containers = append(p.containers, containerUse{name: container})
	return &p.containers[len(p.containers)-1].use
}

func (u *use) keep(r *meter.Reading) {
	if r.Has.Has(meter.CPU) {
		u.cpu, u.cpuAt = int64(math.Round(r.CPUMillis)), r.Time.Unix()
		u.cpuPeak = max(u.cpuPeak, u.cpu)
	}
	if r.Has.Has(meter.Memory) {
		u.memory, u.memoryAt = int64(r.MemoryBytes), r.Time.Unix()
		u.memoryPeak = max(u.memoryPeak, u.memory)
	}
	u.keepDetail(r)
}

// observe takes a reading to what recommendations are made from.
func (w *Watcher) observe(pod *object.Pod, c *object.Container, r *meter.Reading, now time.Time) {
	if !r.Has.Has(meter.CPU) && !r.Has.Has(meter.Memory) {
		return
	}
	sample := usage.Sample{Time: r.Time.Unix(), CPUMillis: math.NaN(), MemoryBytes: math.NaN(), Age: usage.Unknown}
	if r.Has.Has(meter.CPU) {
		sample.CPUMillis = r.CPUMillis
	}
	if r.Has.Has(meter.Memory) {
		sample.MemoryBytes = r.MemoryBytes
	}
	if c.State.StartedAt != 0 && c.State.StartedAt <= now.Unix()+usage.MaxAhead {
		sample.Age = max(r.Time.Sub(time.Unix(c.State.StartedAt, 0)), 0)
	}
	w.usage.book.ObserveNow(w.usageKey(pod, c.Name), sample, now.Unix())
}

// usageKey names a container by its workload, so that a rollout keeps what was
// measured.
func (w *Watcher) usageKey(pod *object.Pod, container string) usage.Key {
	k := w.store.Workload(pod)
	key := usage.Key{Namespace: k.Namespace, Kind: k.Kind, Name: k.Name, Container: container}
	if w.grouped(k.Kind) {
		if n := w.store.Node(pod.Node); n != nil {
			key.Group = n.Group
		}
	}
	return key
}

// grouped says that pods of workloads of a kind are measured apart by group of nodes.
func (w *Watcher) grouped(kind string) bool {
	return kind == "DaemonSet" && w.opts.Usage.DaemonSetNodeLabel != ""
}

// observeOOM takes an OOM kill to what recommendations are made from, before it is
// published: whoever asks for one because of it finds it counted.
func (w *Watcher) observeOOM(e *rightsizerv1.Event) {
	kind := e.GetOomKilled().GetContainerKind()
	if e.GetWorkload() == nil || kind != rightsizerv1.ContainerKind_CONTAINER_KIND_APP && kind != rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR {
		return
	}
	key := usage.Key{
		Namespace: e.GetNamespace(), Kind: e.GetWorkload().GetKind(), Name: e.GetWorkload().GetName(), Container: e.GetContainer(),
	}
	if w.grouped(key.Kind) {
		if n := w.store.Node(e.GetNode()); n != nil {
			key.Group = n.Group
		}
	}
	observe := w.usage.book.ObserveOOM
	if e.GetFoundAtStart() { // A restored sketch may have counted it.
		observe = w.usage.book.RecallOOM
	}
	observe(key, e.GetOccurredTime().GetSeconds(), float64(e.GetOomKilled().GetMemoryLimitBytes()))
}

func (w *Watcher) takeNodeSample(s *polled, sample *meter.Sample, now time.Time, tally *meter.Tally) bool {
	n := w.store.Node(sample.Node)
	if n == nil {
		return false
	}
	u := w.usage.nodes[n.Name]
	if u == nil {
		u = &use{}
		w.usage.nodes[n.Name] = u
	}
	reading := u.meter.Take(sample, s.Rank(), w.freshFor(), now, tally)
	if reading.Has == 0 {
		return true
	}
	u.keep(&reading)
	if w.advanceNode(u, n, &reading) {
		w.usage.changed = append(w.usage.changed, ref{kindNode, object.Key{Name: n.Name}, n.UID})
	}
	return true
}

// kindCronJob is of what runs now and then.
const kindCronJob = "CronJob"

// lastRun is the pod of a CronJob that was measured last, with the UID of the CronJob.
type lastRun struct {
	pod *object.Pod
	uid string
	// gone is when it was deleted, in Unix seconds; 0 while it is there.
	gone int64
}

// betweenRuns are the CronJobs that were measured, by the last pod of each: between
// two runs it may be the only word of their sizes.
func (m *measured) betweenRuns() []*sizeable {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*sizeable
	for key, ran := range m.ran {
		s := &sizeable{key: key, newest: ran.pod, uid: ran.uid}
		if s.runs.add(ran.pod); !ran.pod.Ended() {
			s.runs.ended = ran.gone // It did not live to its end.
		}
		out = append(out, s)
	}
	return out
}

// forgetPod drops what is known of a pod that is gone, but for the last form of one
// that stands for a CronJob.
func (m *measured) forgetPod(last *object.Pod, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pods, last.UID)
	if last.Owner == nil || last.Owner.Kind != "Job" {
		return
	}
	for _, ran := range m.ran {
		if ran.pod.UID == last.UID {
			ran.pod, ran.gone = last, now.Unix()
		}
	}
}

func (m *measured) forgetNode(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, name)
}
