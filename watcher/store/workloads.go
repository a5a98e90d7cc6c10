package store

import (
	"cmp"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Problems says how many problems go on with something, and how bad the worst
// is. The store does not know them; who asks brings them along.
type Problems func(object.WorkloadKey) (open int32, worst rightsizerv1.Severity)

// maxPods bounds the pods in one answer, by the schema.
const maxPods = 1000

// Workloads returns all workloads by namespace, kind and name: the controllers
// of the known pods, and Deployments, StatefulSets, DaemonSets and CronJobs
// without any.
func (s *Store) Workloads(problems Problems) []*rightsizerv1.Workload {
	pods := s.Pods()
	sums := make(map[object.WorkloadKey]*sum, len(pods)/2+1)
	type direct struct {
		namespace string
		owner     *object.Owner
	}
	resolved := make(map[direct]owners, len(pods)/2+1)
	for _, pod := range pods {
		from := direct{pod.Namespace, pod.Owner}
		up, ok := resolved[from]
		if !ok {
			up = s.ownersOf(pod)
			if pod.Owner != nil { // A bare pod is a workload of its own.
				resolved[from] = up
			}
		}
		sumOf(sums, up.key).add(pod, up.chain)
	}
	for _, c := range s.tops() {
		key := object.WorkloadKey{Namespace: c.Namespace, Kind: c.Kind, Name: c.Name}
		sumOf(sums, key).controller(c)
	}
	keys := make([]object.WorkloadKey, 0, len(sums))
	for key := range sums {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, object.WorkloadKey.Compare)
	out := make([]*rightsizerv1.Workload, 0, len(keys))
	for _, key := range keys {
		out = append(out, sums[key].message(key, problems))
	}
	return out
}

// WorkloadByName returns one workload and its pods by name, at most 1,000;
// false where nothing of that name is known.
func (s *Store) WorkloadByName(key object.WorkloadKey, problems Problems) (*rightsizerv1.Workload, []*rightsizerv1.WorkloadPod, bool) {
	total := &sum{}
	var pods []*object.Pod
	for _, pod := range s.Pods() {
		if pod.Namespace != key.Namespace {
			continue
		}
		if up := s.ownersOf(pod); up.key == key {
			total.add(pod, up.chain)
			pods = append(pods, pod)
		}
	}
	for _, c := range s.tops() {
		if c.Namespace == key.Namespace && c.Kind == key.Kind && c.Name == key.Name {
			total.controller(c)
		}
	}
	if len(pods) == 0 && len(total.controllers) == 0 {
		return nil, nil, false
	}
	slices.SortFunc(pods, func(a, b *object.Pod) int { return cmp.Compare(a.Name, b.Name) })
	list := make([]*rightsizerv1.WorkloadPod, 0, min(len(pods), maxPods))
	for _, pod := range pods[:min(len(pods), maxPods)] {
		list = append(list, podMessage(pod))
	}
	return total.message(key, problems), list, true
}

func (s *Store) ownersOf(pod *object.Pod) owners {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.resolve(pod)
}

// sum is a workload in the making.
type sum struct {
	pods, ready, restarts int32
	requested, limits     object.Resources
	newest                *object.Pod
	oldest                int64
	controllers           []*object.Controller
	containers            []containerSum
}

type containerSum struct {
	name     string
	kind     rightsizerv1.ContainerKind
	restarts int32
	ooms     int32
}

func sumOf(sums map[object.WorkloadKey]*sum, key object.WorkloadKey) *sum {
	t := sums[key]
	if t == nil {
		t = &sum{}
		sums[key] = t
	}
	return t
}

func (t *sum) controller(c *object.Controller) {
	if !slices.Contains(t.controllers, c) {
		t.controllers = append(t.controllers, c)
	}
}

func (t *sum) add(pod *object.Pod, chain []*object.Controller) {
	for _, c := range chain {
		t.controller(c)
	}
	t.pods = plus(t.pods, 1)
	if pod.Ready {
		t.ready = plus(t.ready, 1)
	}
	if !pod.Ended() {
		t.requested = t.requested.Plus(pod.Requests)
		t.limits = t.limits.Plus(pod.Limits)
	}
	if t.oldest == 0 || pod.CreateTime < t.oldest {
		t.oldest = pod.CreateTime
	}
	if t.newest == nil || newer(pod, t.newest) {
		t.newest = pod
	}
	for i := range pod.Containers {
		t.container(&pod.Containers[i])
	}
}

func (t *sum) container(c *object.Container) {
	ooms := visibleOOMs(c)
	t.restarts = plus(t.restarts, c.RestartCount)
	at := slices.IndexFunc(t.containers, func(x containerSum) bool { return x.name == c.Name && x.kind == c.Kind })
	if at < 0 {
		t.containers = append(t.containers, containerSum{name: c.Name, kind: c.Kind, restarts: c.RestartCount, ooms: ooms})
		return
	}
	t.containers[at].restarts = plus(t.containers[at].restarts, c.RestartCount)
	t.containers[at].ooms = plus(t.containers[at].ooms, ooms)
}

func visibleOOMs(c *object.Container) int32 {
	var n int32
	for _, t := range []*object.Terminated{c.State.Terminated, c.Last} {
		if t != nil && t.Reason == "OOMKilled" {
			n++
		}
	}
	return n
}

// newer breaks ties by name, so that the answer does not depend on the order of
// a map.
func newer(a, b *object.Pod) bool {
	if a.CreateTime != b.CreateTime {
		return a.CreateTime > b.CreateTime
	}
	return a.Name > b.Name
}

func (t *sum) message(key object.WorkloadKey, problems Problems) *rightsizerv1.Workload {
	w := &rightsizerv1.Workload{
		Namespace:     key.Namespace,
		Ref:           &rightsizerv1.WorkloadRef{Kind: key.Kind, Name: key.Name},
		ReadyReplicas: t.ready,
		Pods:          t.pods,
		Restarts:      t.restarts,
		Requested:     resources(t.requested),
		Limits:        resources(t.limits),
	}
	created := t.oldest
	for _, c := range t.controllers {
		w.DesiredReplicas = plus(w.DesiredReplicas, c.Desired)
		if c.Kind == key.Kind && c.Name == key.Name {
			w.Uid = c.UID
			created = c.CreateTime
		}
	}
	if key.Kind == "Pod" && t.newest != nil {
		w.Uid = t.newest.UID
	}
	w.CreateTime = timestamp(created)
	if problems != nil {
		w.OpenProblems, w.WorstSeverity = problems(key)
	}
	if t.newest != nil {
		w.Containers = t.containerMessages()
	}
	return w
}

func (t *sum) containerMessages() []*rightsizerv1.WorkloadContainer {
	out := make([]*rightsizerv1.WorkloadContainer, 0, len(t.newest.Containers))
	for i := range t.newest.Containers {
		c := &t.newest.Containers[i]
		m := &rightsizerv1.WorkloadContainer{
			Name: c.Name, Kind: c.Kind, Image: c.Image,
			Requests: resources(c.Requests), Limits: resources(c.Limits),
		}
		for _, x := range t.containers {
			if x.name == c.Name && x.kind == c.Kind {
				m.Restarts, m.OomKills = x.restarts, x.ooms
			}
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *rightsizerv1.WorkloadContainer) int {
		return cmp.Or(cmp.Compare(a.GetKind(), b.GetKind()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return out
}

func podMessage(pod *object.Pod) *rightsizerv1.WorkloadPod {
	var restarts int32
	for i := range pod.Containers {
		restarts = plus(restarts, pod.Containers[i].RestartCount)
	}
	return &rightsizerv1.WorkloadPod{
		Name: pod.Name, Uid: pod.UID, Phase: pod.Phase, Ready: pod.Ready, Node: pod.Node,
		Restarts: restarts, CreateTime: timestamp(pod.CreateTime), QosClass: pod.QoS,
	}
}

func resources(r object.Resources) *rightsizerv1.Resources {
	return &rightsizerv1.Resources{CpuMillis: r.CPUMillis, MemoryBytes: r.MemoryBytes}
}

// timestamp is nil for a time that the cluster does not say.
func timestamp(unix int64) *timestamppb.Timestamp {
	if unix == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(unix, 0))
}

// plus adds without overflow: restart counts come from the cluster.
func plus(a, b int32) int32 {
	return int32(min(int64(a)+int64(b), math.MaxInt32))
}
