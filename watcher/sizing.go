package watcher

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// Why no recommendation can be given.
var (
	ErrNothingMeasured = errors.New("nothing is measured: set --usage-sources")
	ErrNoUsageYet      = errors.New("the first usage is awaited")
	ErrNotLeading      = errors.New(notLeading)
)

// SizingReady is nil where recommendations can be given, else why not.
func (w *Watcher) SizingReady() error {
	if err := w.MetricsReady(); err != nil {
		return err
	}
	if w.usage.idle.Load() || w.usage.book.Stats().Entries == 0 {
		return ErrNoUsageYet
	}
	return nil
}

// MetricsReady is nil where QueryMetrics can be asked, else why not.
func (w *Watcher) MetricsReady() error {
	switch {
	case len(w.usage.sources) == 0:
		return ErrNothingMeasured
	case !w.opts.Usage.Leading():
		return ErrNotLeading
	}
	return nil
}

// sizeable is a workload as recommendations see it.
type sizeable struct {
	key    object.WorkloadKey
	newest *object.Pod
	// uid is that of the controller at the top, or of the bare pod.
	uid string
	// replicas are the pods that have not ended, runs those that have.
	replicas int32
	runs     runs
}

// runs are the pods of a workload that have ended.
type runs struct {
	// newest is the one that ended last, in Unix seconds at ended.
	newest *object.Pod
	ended  int64
}

func (r *runs) add(pod *object.Pod) {
	ended := pod.CreateTime
	for i := range pod.Containers {
		if t := pod.Containers[i].State.Terminated; t != nil {
			ended = max(ended, t.FinishedAt)
		}
	}
	if r.newest == nil || ended > r.ended {
		r.newest, r.ended = pod, ended
	}
}

// began is when the last attempt of a container began that has ended; zero where
// that is not known.
func (r *runs) began(container string) time.Time {
	if r.newest == nil {
		return time.Time{}
	}
	if c := counted(r.newest, container); c != nil && c.State.Terminated != nil && c.State.Terminated.StartedAt != 0 {
		return time.Unix(c.State.Terminated.StartedAt, 0)
	}
	return time.Time{}
}

// sizeables finds the workloads with pods, and CronJobs that had some; namespaces nil
// is all.
func (w *Watcher) sizeables(namespaces []string, only *object.WorkloadKey) []*sizeable {
	found := make(map[object.WorkloadKey]*sizeable)
	wanted := func(key object.WorkloadKey) bool {
		return (len(namespaces) == 0 || slices.Contains(namespaces, key.Namespace)) && (only == nil || key == *only)
	}
	for _, pod := range w.store.Pods() {
		if len(namespaces) > 0 && !slices.Contains(namespaces, pod.Namespace) {
			continue
		}
		key := w.store.Workload(pod)
		if !wanted(key) {
			continue
		}
		s := found[key]
		if s == nil {
			s = &sizeable{key: key, newest: pod, uid: w.fitUID(pod)}
			found[key] = s
		}
		if pod.Ended() {
			s.runs.add(pod)
		} else {
			s.replicas++
		}
		if pod.CreateTime > s.newest.CreateTime || pod.CreateTime == s.newest.CreateTime && pod.Name > s.newest.Name {
			s.newest, s.uid = pod, w.fitUID(pod)
		}
	}
	for _, s := range w.usage.betweenRuns() {
		if found[s.key] == nil && wanted(s.key) {
			found[s.key] = s
		}
	}
	out := make([]*sizeable, 0, len(found))
	for _, s := range found {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *sizeable) int { return a.key.Compare(b.key) })
	return out
}

// surroundings are what bounds the sizes of all containers at a moment.
type surroundings struct {
	scaled                 map[object.WorkloadKey]scaledBy
	largest                object.Resources
	groups                 map[usage.Key][]string // of nodes, by what was measured in them
	inPlace, shrinkInPlace bool
	limits                 *constraints
}

// scaledBy says by the use of what a workload is scaled, by all its autoscalers.
type scaledBy struct{ cpu, memory bool }

func (w *Watcher) surroundings() *surroundings {
	s := &surroundings{scaled: make(map[object.WorkloadKey]scaledBy), limits: w.usage.constraints, groups: w.nodeGroups()}
	w.scalers(func(scaled object.WorkloadKey, a *object.Autoscaler) {
		by := s.scaled[scaled]
		s.scaled[scaled] = scaledBy{by.cpu || a.CPUUtilization, by.memory || a.MemoryUtilization}
	})
	for _, name := range w.store.NodeNames() {
		n := w.store.Node(name)
		if n != nil && !n.Unschedulable {
			s.largest = s.largest.Max(n.Allocatable)
		}
	}
	w.ident.mu.RLock()
	minor := minorVersion(w.ident.version)
	w.ident.mu.RUnlock()
	s.inPlace, s.shrinkInPlace = minor >= 33, minor >= 34
	return s
}

// nodeGroups are the groups of nodes in which each container of a DaemonSet was
// measured, by its key without one: also those that have no nodes now.
func (w *Watcher) nodeGroups() map[usage.Key][]string {
	out := make(map[usage.Key][]string)
	if w.opts.Usage.DaemonSetNodeLabel == "" {
		return out
	}
	w.usage.book.Range(func(k usage.Key, _ *usage.Sketch) bool {
		if w.grouped(k.Kind) {
			group := k.Group
			k.Group = ""
			out[k] = append(out[k], group)
		}
		return true
	})
	for _, groups := range out {
		slices.Sort(groups) // The first of equals counts.
	}
	return out
}

// minorVersion reads v1.37.2; 0 where it cannot.
func minorVersion(version string) int {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 || parts[0] != "1" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' }))
	if err != nil {
		return 0
	}
	return n
}

// input is what the recommendation for one container is made from.
func (w *Watcher) input(around *surroundings, s *sizeable, c *object.Container) *recommend.Input {
	by := around.scaled[s.key]
	ctx := recommend.Context{
		ContainerKind: c.Kind, WorkloadKind: s.key.Kind, QoS: s.newest.QoS, OthersGuaranteed: othersGuaranteed(s.newest, c.Name), Replicas: s.replicas,
		RestartCPU: c.RestartCPU, RestartMemory: c.RestartMemory, InPlace: around.inPlace, ShrinkMemoryInPlace: around.shrinkInPlace,
		HPACPU: by.cpu, HPAMemory: by.memory, RunBegan: s.runs.began(c.Name),
	}
	if s.replicas == 0 && s.runs.newest != nil {
		ctx.RunEnded = time.Unix(s.runs.ended, 0)
	}
	if c.Runtime != nil {
		ctx.Runtime = recommend.Runtime{
			JVMHeapBytes: c.Runtime.JVMHeapBytes, JVMRAMPercent: c.Runtime.JVMRAMPercent, GoMemLimitBytes: c.Runtime.GoMemLimitBytes,
		}
	}
	others := othersOf(s.newest, c)
	ctx.Containers = others.sized + 1
	ctx.Node = left(around.largest, others.Requests)
	around.limits.fill(&ctx, s.key, &others.Allotment)
	sketch, groups := w.sketchOf(around, s, c.Name)
	ctx.Groups = groups
	silent := w.usage.silenceOf(s.key, c.Name)
	ctx.SilentCPU, ctx.SilentMemory = silent.cpu, silent.memory
	return &recommend.Input{Now: w.opts.Clock.Now(), Sketch: sketch, Current: c.InForce(), Context: ctx}
}

// sketchOf is what is known of a container. There is one template for all groups of
// nodes: where they are measured apart, it is for each resource what is known of the
// group that needs most.
func (w *Watcher) sketchOf(around *surroundings, s *sizeable, container string) (of *usage.Sketch, groups int) {
	key := usage.Key{Namespace: s.key.Namespace, Kind: s.key.Kind, Name: s.key.Name, Container: container}
	if !w.grouped(s.key.Kind) {
		sketch, _ := w.usage.book.Get(key)
		return &sketch, 0
	}
	var all []usage.Sketch
	for _, key.Group = range around.groups[key] {
		if sketch, ok := w.usage.book.Get(key); ok {
			all = append(all, sketch)
		}
	}
	return recommend.Neediest(all, w.opts.Clock.Now())
}

// others are the other containers of a pod.
type others struct {
	object.Allotment

	// sized is how many of them are sized as well.
	sized int32
}

// othersOf sums what runs beside a container.
func othersOf(pod *object.Pod, but *object.Container) others {
	var out others
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c == but || counted(pod, c.Name) != c {
			continue
		}
		held := c.InForce()
		out.Requests, out.Limits = out.Requests.Plus(held.Requests), out.Limits.Plus(held.Limits)
		out.sized++
	}
	return out
}

// left is what is left of a bound for one container, at least the least that bounds
// at all; 0 bounds nothing.
func left(of, taken object.Resources) object.Resources {
	less := func(of, taken int64) int64 {
		if of == 0 {
			return 0
		}
		return max(of-taken, 1)
	}
	return object.Resources{CPUMillis: less(of.CPUMillis, taken.CPUMillis), MemoryBytes: less(of.MemoryBytes, taken.MemoryBytes)}
}

// lacking is what a least has beyond what is there already.
func lacking(least, there object.Resources) object.Resources {
	return object.Resources{CPUMillis: max(least.CPUMillis-there.CPUMillis, 0), MemoryBytes: max(least.MemoryBytes-there.MemoryBytes, 0)}
}

// othersGuaranteed says that all containers of a pod but one, init containers
// included, have limits that equal their requests.
func othersGuaranteed(pod *object.Pod, but string) bool {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.Name == but || c.Kind == rightsizerv1.ContainerKind_CONTAINER_KIND_EPHEMERAL {
			continue
		}
		if held := c.InForce(); held.Limits != held.Requests || held.Limits.CPUMillis == 0 || held.Limits.MemoryBytes == 0 {
			return false
		}
	}
	return true
}

// Recommendations lists one for each app container and sidecar of the workloads
// with pods in these namespaces, of all where none is named, in the order of their
// names.
func (w *Watcher) Recommendations(namespaces []string) []*rightsizerv1.Recommendation {
	around := w.surroundings()
	var out []*rightsizerv1.Recommendation
	for _, s := range w.sizeables(namespaces, nil) {
		for i := range s.newest.Containers {
			if c := counted(s.newest, s.newest.Containers[i].Name); c == &s.newest.Containers[i] {
				out = append(out, w.recommendation(around, s, c))
			}
		}
	}
	return out
}

// Recommendation returns that of one container, false where there is no such
// container with pods.
func (w *Watcher) Recommendation(namespace, kind, name, container string) (*rightsizerv1.Recommendation, bool) {
	key := object.WorkloadKey{Namespace: namespace, Kind: kind, Name: name}
	for _, s := range w.sizeables([]string{namespace}, &key) {
		if c := counted(s.newest, container); c != nil {
			return w.recommendation(w.surroundings(), s, c), true
		}
	}
	return nil, false
}

func (w *Watcher) recommendation(around *surroundings, s *sizeable, c *object.Container) *rightsizerv1.Recommendation {
	in := w.input(around, s, c)
	w.usage.sinceWhen(s.uid, c.Name, in)
	r := recommend.Recommend(in)
	key := usage.Key{Namespace: s.key.Namespace, Kind: s.key.Kind, Name: s.key.Name, Container: c.Name}
	return r.Message(key, in, w.price(s.newest))
}
