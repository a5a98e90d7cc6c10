package watcher

import (
	"slices"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/track"
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
	s.w.look(glance{before: s.w.putPod(pod), pod: pod})
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
		s.w.look(glance{pod: pod, atStart: true})
		s.w.mu.Unlock()
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
	w.look(glance{before: before, pod: last, gone: true})
	w.deadlines.remove(last.UID)
	w.backOffs.forget(last)
}

// glance is one look at a pod.
type glance struct {
	before, pod   *object.Pod
	gone, atStart bool
}

// look runs the detectors over a pod and publishes what changed; under the lock.
func (w *Watcher) look(g glance) {
	pod := g.pod
	defer func() {
		if p := recover(); p != nil {
			w.quarantine.panicked(podsResource, pod.Key, "tracking", p)
		}
	}()
	key, ready := w.store.WorkloadReady(pod)
	in := detect.Input{
		Cluster:    w.ident.clusterID(),
		Prev:       g.before,
		Cur:        pod,
		Gone:       g.gone,
		Workload:   detect.Workload{Kind: key.Kind, Name: key.Name, ReadyPods: ready},
		Evidence:   &w.backOffs,
		Thresholds: w.opts.Thresholds,
		Now:        w.opts.Clock.Now(),
	}
	w.findings = w.findings[:0]
	var blind []string
	for _, d := range w.opts.Detectors {
		if !w.detect(d, &in) {
			blind = append(blind, d.Doc().Type)
		}
	}
	var wake int64
	for i := range w.findings {
		if at := w.findings[i].Wake; at != 0 && (wake == 0 || at < wake) {
			wake = at
		}
	}
	if wake != 0 {
		w.deadlines.set(pod.UID, pod.Key, time.Unix(wake, 0))
	} else {
		w.deadlines.remove(pod.UID)
	}
	seen := track.Observation{Input: &in, Findings: w.findings, AtStart: g.atStart}
	if blind != nil {
		seen.Blind = func(eventType string) bool { return slices.Contains(blind, eventType) }
	}
	w.events = w.tracker.Observe(&seen, w.events[:0])
	w.publish(w.events)
}

// detect runs one detector; false where it failed.
func (w *Watcher) detect(d detect.Detector, in *detect.Input) (ok bool) {
	kept := len(w.findings)
	defer func() {
		if p := recover(); p != nil {
			w.findings = w.findings[:kept]
			w.quarantine.panicked(podsResource, in.Cur.Key, inDetector(d), p)
			ok = false
		}
	}()
	w.findings = d.Detect(in, w.findings)
	if !w.quarantine.empty() {
		w.quarantine.release(podsResource, in.Cur.Key, inDetector(d))
	}
	return true
}

func inDetector(d detect.Detector) string {
	return "detector of " + d.Doc().Type
}

func (w *Watcher) publish(events []*rightsizerv1.Event) {
	for _, e := range events {
		w.metrics.events.WithLabelValues(e.GetType(), phaseLabel(e.GetPhase())).Inc()
		w.opts.Publisher.Publish(e)
	}
	clear(events) // The slice is used again and must not hold what is published.
}

// again looks at a pod whose object did not change: time passed, or evidence
// came; under the lock.
func (w *Watcher) again(key object.Key, uid string) {
	pod := w.store.Pod(key)
	if pod == nil || pod.UID != uid {
		w.deadlines.remove(uid)
		return
	}
	w.look(glance{before: pod, pod: pod})
}
