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

// replace takes the first list as what was found at start: all pods are stored
// before any is looked at, so that the workloads are known whole. In later lists
// each pod is a change like any other, and what is missing was deleted unseen.
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
	if again {
		held := s.w.store.Pods()
		slices.SortFunc(held, byName)
		for _, pod := range held {
			if !present[pod.Key] && !kept[pod.Key] {
				s.remove(pod.Key, pod.UID, nil)
				s.w.quarantine.release(podsResource, pod.Key, "")
			}
		}
		for _, pod := range pods {
			s.put(pod)
		}
		return
	}
	s.w.mu.Lock()
	for _, pod := range pods {
		s.w.putPod(pod)
	}
	s.w.mu.Unlock()
	for _, pod := range pods {
		s.w.mu.Lock()
		s.w.lookAtPod(nil, pod, false, true)
		s.w.mu.Unlock()
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, m := range s.w.nodesByName() { // Now with their load.
		s.w.lookAtNode(m.Node, false, true)
	}
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
	detect.Advance(before, pod, w.opts.Thresholds.CrashLoopReset)
	w.store.PutPod(pod)
	return before
}

// dropPod looks at a pod's last form and forgets it; under the lock.
func (w *Watcher) dropPod(before, last *object.Pod) {
	if before != last {
		detect.Advance(before, last, w.opts.Thresholds.CrashLoopReset)
	}
	if before != nil {
		w.store.DeletePod(before.Key)
	}
	// A pod that is seen for the last time may also be seen for the first.
	w.lookAtPod(before, last, true, false)
	w.moved(before, nil)
	w.forget(last.UID)
	w.usage.forgetPod(last.UID)
}

// lookAtPod looks at a pod; under the lock.
func (w *Watcher) lookAtPod(before, pod *object.Pod, gone, atStart bool) {
	key, ready := w.store.WorkloadReady(pod)
	// The same one again and again: most looks at a pod find nothing.
	g := &w.podGlance
	*g = glance[object.Pod]{
		resource: podsResource, ref: ref{"Pod", pod.Key, pod.UID},
		detectors: w.opts.Detectors.Pods, subject: detect.PodSubject, atStart: atStart,
		in: detect.PodInput{
			Prev: before, Cur: pod, Gone: gone, Use: w.usage.podLevels(pod.UID),
			Workload: detect.Workload{Kind: key.Kind, Name: key.Name, ReadyPods: ready},
		},
	}
	look(w, g)
	*g = glance[object.Pod]{} // It must not hold what is gone.
}

// againPod looks at a pod that did not change; false where it is not known.
func (w *Watcher) againPod(r ref) bool {
	pod := w.store.Pod(r.key)
	if pod == nil || pod.UID != r.uid {
		return false
	}
	w.lookAtPod(pod, pod, false, false)
	return true
}
