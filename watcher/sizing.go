package watcher

import (
	"errors"
	"slices"
	"strconv"
	"strings"

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
	// replicas are the pods that have not ended.
	replicas int32
}

// sizeables finds the workloads with pods; namespaces nil is all.
func (w *Watcher) sizeables(namespaces []string, only *object.WorkloadKey) []*sizeable {
	found := make(map[object.WorkloadKey]*sizeable)
	for _, pod := range w.store.Pods() {
		if len(namespaces) > 0 && !slices.Contains(namespaces, pod.Namespace) {
			continue
		}
		key := w.store.Workload(pod)
		if only != nil && key != *only {
			continue
		}
		s := found[key]
		if s == nil {
			s = &sizeable{key: key, newest: pod}
			found[key] = s
		}
		if !pod.Ended() {
			s.replicas++
		}
		if pod.CreateTime > s.newest.CreateTime || pod.CreateTime == s.newest.CreateTime && pod.Name > s.newest.Name {
			s.newest = pod
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
	scaled                 map[object.WorkloadKey]*object.Autoscaler
	largest                object.Resources
	inPlace, shrinkInPlace bool
	limits                 *constraints
}

func (w *Watcher) surroundings() *surroundings {
	s := &surroundings{scaled: make(map[object.WorkloadKey]*object.Autoscaler), limits: w.usage.constraints}
	w.scalers(func(scaled object.WorkloadKey, a *object.Autoscaler) { s.scaled[scaled] = a })
	for _, name := range w.store.NodeNames() {
		if n := w.store.Node(name); n != nil && !n.Unschedulable {
			s.largest = s.largest.Max(n.Allocatable)
		}
	}
	w.ident.mu.RLock()
	minor := minorVersion(w.ident.version)
	w.ident.mu.RUnlock()
	s.inPlace, s.shrinkInPlace = minor >= 33, minor >= 34
	return s
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
func (w *Watcher) input(around *surroundings, s *sizeable, c *object.Container, sketch *usage.Sketch) *recommend.Input {
	ctx := recommend.Context{
		ContainerKind: c.Kind, WorkloadKind: s.key.Kind, QoS: s.newest.QoS, OthersGuaranteed: othersGuaranteed(s.newest, c.Name), Replicas: max(s.replicas, 1),
		Node: around.largest, RestartCPU: c.RestartCPU, RestartMemory: c.RestartMemory,
		InPlace: around.inPlace, ShrinkMemoryInPlace: around.shrinkInPlace,
	}
	if a := around.scaled[s.key]; a != nil {
		ctx.HPACPU, ctx.HPAMemory = a.CPUUtilization, a.MemoryUtilization
	}
	if c.Runtime != nil {
		ctx.Runtime = recommend.Runtime{
			JVMHeapBytes: c.Runtime.JVMHeapBytes, JVMRAMPercent: c.Runtime.JVMRAMPercent, GoMemLimitBytes: c.Runtime.GoMemLimitBytes,
		}
	}
	around.limits.fill(&ctx, s.key)
	return &recommend.Input{Now: w.opts.Clock.Now(), Sketch: sketch, Current: c.InForce(), Context: ctx}
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
	sketch, _ := w.usage.book.Get(w.usageKey(s.newest, c.Name))
	in := w.input(around, s, c, &sketch)
	w.usage.sinceWhen(w.store.TopUID(s.newest), c.Name, in)
	r := recommend.Recommend(in)
	key := usage.Key{Namespace: s.key.Namespace, Kind: s.key.Kind, Name: s.key.Name, Container: c.Name}
	return r.Message(key, in, w.price(s.newest))
}
