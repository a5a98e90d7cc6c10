package watcher

import (
	"slices"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// controllerSink stores the controllers of one kind and looks at each.
type controllerSink struct {
	w        *Watcher
	resource string
	kind     string
}

func (s controllerSink) put(obj any) {
	c, ok := obj.(*object.Controller)
	if !ok {
		return
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.putController(s.resource, c, false)
}

func (s controllerSink) remove(_ object.Key, uid string, obj any) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	last, ok := obj.(*object.Controller)
	if !ok {
		last = s.w.store.Controller(uid)
	}
	if last != nil {
		s.w.dropController(s.resource, last)
	}
}

// replace takes the first list as what was found at start. Later, what is
// missing was deleted unseen.
func (s controllerSink) replace(objs []any, kept map[object.Key]bool, again bool) {
	present := make(map[string]bool, len(objs))
	for _, obj := range objs {
		if c, ok := obj.(*object.Controller); ok {
			present[c.UID] = true
		}
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	var lost []*object.Controller
	for _, uid := range s.w.store.ControllerUIDs(s.kind) {
		if c := s.w.store.Controller(uid); !present[uid] && !kept[c.Key] {
			lost = append(lost, c)
		}
	}
	slices.SortFunc(lost, func(a, b *object.Controller) int { return a.Key.Compare(b.Key) })
	for _, c := range lost {
		s.w.dropController(s.resource, c)
		s.w.quarantine.release(s.resource, c.Key, "")
	}
	for _, obj := range objs {
		if c, ok := obj.(*object.Controller); ok {
			s.w.putController(s.resource, c, !again)
		}
	}
}

// putController stores a controller, with what is remembered of its former self,
// and looks at it; under the lock.
func (w *Watcher) putController(resource string, c *object.Controller, atStart bool) {
	before := w.store.Controller(c.UID)
	detect.AdvanceController(before, c, atStart, w.thresholds().UnavailableAfter, w.opts.Clock.Now())
	w.store.PutController(c)
	w.lookAtController(resource, before, c, false, atStart)
}

// dropController looks at a controller's last form and forgets it; under the
// lock.
func (w *Watcher) dropController(resource string, last *object.Controller) {
	before := w.store.Controller(last.UID)
	if before != last { // What is held never changes.
		detect.AdvanceController(before, last, false, w.thresholds().UnavailableAfter, w.opts.Clock.Now())
	}
	w.lookAtController(resource, before, last, true, false)
	w.store.DeleteController(last.UID)
	w.forget(ref{last.Kind, last.Key, last.UID})
	w.usage.forgetController(last)
}

// lookAtController looks at a controller; under the lock.
func (w *Watcher) lookAtController(resource string, before, c *object.Controller, gone, atStart bool) {
	key, ready := w.store.ControllerReady(c)
	look(w, &glance[object.Controller]{
		resource: resource, ref: ref{c.Kind, c.Key, c.UID},
		detectors: w.opts.Detectors.Controllers, subject: detect.ControllerSubject, atStart: atStart,
		in: detect.ControllerInput{
			Prev: before, Cur: c, Gone: gone, Fits: w.usage.fitsOf(c.UID),
			Workload: detect.Workload{Kind: key.Kind, Name: key.Name, ReadyPods: ready},
		},
	})
}

// againController looks at a controller that did not change.
func (w *Watcher) againController(r ref) {
	c := w.store.Controller(r.uid)
	for _, res := range resources() {
		if res.kind == c.Kind {
			w.lookAtController(res.name, c, c, false, false)
		}
	}
}
