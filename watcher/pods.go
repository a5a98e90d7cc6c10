package watcher

import (
	"slices"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// podSink stores pods and looks at each.
type podSink struct{ w *Watcher }

func (s podSink) put(obj any) {
	pod, ok := obj.(*object.Pod)
	if !ok {
		return
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	before := s.w.putPod(pod)
	s.w.lookAtPod(before, pod, false, false)
	s.w.moved(before, pod)
}

func (s podSink) remove(key object.Key, uid string, obj any) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	before := s.w.store.Pod(key)
	last, ok := obj.(*object.Pod)
	if !ok {
		last = before
	}
	if last == nil || uid != "" && last.UID != uid {
		return
	}
	if before != nil && before.UID != last.UID {
		before = nil // Its successor, which stays.
	}
	s.w.dropPod(before, last)
}

// replace takes the first list as what was found at start. In later lists each
// pod is a change like any other, and what is missing was deleted unseen. Either
// way all is stored before anything is looked at, so that the workloads and
// nodes are known whole: none is out of pods for a moment that never was.
func (s podSink) replace(objs []any, kept map[object.Key]bool, again bool) {
	pods := make([]*object.Pod, 0, len(objs))
	present := make(map[object.Key]bool, len(objs))
	for _, obj := range objs {
		if pod, ok := obj.(*object.Pod); ok {
			pods = append(pods, pod)
			present[pod.Key] = true
		}
	}
	// By name, so that the order of events is that of the cluster, not a map's.
	byName := func(a, b *object.Pod) int { return a.Key.Compare(b.Key) }
	slices.SortFunc(pods, byName)
	s.w.mu.Lock()
	lost := slices.DeleteFunc(s.w.store.Pods(), func(pod *object.Pod) bool { return present[pod.Key] || kept[pod.Key] })
	before := make([]*object.Pod, len(pods))
	for i, pod := range pods {
		if held := s.w.store.Pod(pod.Key); held != nil && held.UID != pod.UID {
			lost = append(lost, held) // Another of its name.
		} else {
			before[i] = held
		}
	}
	slices.SortFunc(lost, byName)
	for _, pod := range lost {
		s.w.store.DeletePod(pod.Key)
	}
	for i, pod := range pods {
		s.w.storePod(before[i], pod)
	}
	s.w.unseen = pods
	s.w.mu.Unlock()
	for _, pod := range lost {
		s.w.mu.Lock()
		s.w.lookAtLast(pod, pod)
		s.w.mu.Unlock()
		s.w.quarantine.release(podsResource, pod.Key, "")
	}
	for i, pod := range pods {
		s.w.mu.Lock()
		s.w.unseen = pods[i+1:]
		s.w.lookAtPod(before[i], pod, false, !again)
		s.w.mu.Unlock()
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.unseen = nil                      // Even an empty slice would hold what is in its array.
	for _, m := range s.w.nodesByName() { // Now with their load.
		s.w.lookAtNode(m.Node, false, !again)
	}
}

// awaits says that a pod of a list is about to be looked at, as what it is there: new,
// or found at start. Whatever is said of it meanwhile is heard then. Under the lock.
func (w *Watcher) awaits(pod *object.Pod) bool {
	_, found := slices.BinarySearchFunc(w.unseen, pod.Key, func(p *object.Pod, key object.Key) int { return p.Key.Compare(key) })
	return found
}

// putPod stores a pod, with what is remembered of its former self; under the
// lock. It returns that former self, nil where there is none. Another pod of its
// name was deleted unseen.
func (w *Watcher) putPod(pod *object.Pod) *object.Pod {
	before := w.store.Pod(pod.Key)
	if before != nil && before.UID != pod.UID {
		w.dropPod(before, before)
		before = nil
	}
	w.storePod(before, pod)
	return before
}

func (w *Watcher) storePod(before, pod *object.Pod) {
	if before == nil && pod.StaticUID != "" { // the kubelet may have spoken of it before
		w.notes.Move(ref{kindPod, pod.Key, pod.StaticUID}, ref{kindPod, pod.Key, pod.UID}, 0)
	}
	detect.Advance(before, pod, w.thresholds().CrashLoopReset)
	w.store.PutPod(pod)
}

// dropPod looks at a pod's last form and forgets it; under the lock.
func (w *Watcher) dropPod(before, last *object.Pod) {
	if before != last {
		detect.Advance(before, last, w.thresholds().CrashLoopReset)
	}
	if before != nil {
		w.store.DeletePod(before.Key)
	}
	w.lookAtLast(before, last)
	w.moved(before, nil)
}

// lookAtLast looks at a pod that is not stored any more for the last time, which
// may also be the first, and forgets it; under the lock.
func (w *Watcher) lookAtLast(before, last *object.Pod) {
	w.lookAtPod(before, last, true, false)
	w.forget(ref{kindPod, last.Key, last.UID})
	w.usage.forgetPod(last, w.opts.Clock.Now())
}

// lookAtPod looks at a pod; under the lock.
func (w *Watcher) lookAtPod(before, pod *object.Pod, gone, atStart bool) {
	key, ready := w.store.WorkloadReady(pod)
	// The same one again and again: most looks at a pod find nothing.
	g := &w.podGlance
	*g = glance[object.Pod]{
		resource: podsResource, ref: ref{kindPod, pod.Key, pod.UID},
		detectors: w.opts.Detectors.Pods, subject: detect.PodSubject, atStart: atStart,
		in: detect.PodInput{
			Prev: before, Cur: pod, Gone: gone, Use: w.usage.podLevels(pod.UID),
			Workload: detect.Workload{Kind: key.Kind, Name: key.Name, ReadyPods: ready},
		},
	}
	look(w, g)
	*g = glance[object.Pod]{} // It must not hold what is gone.
}
