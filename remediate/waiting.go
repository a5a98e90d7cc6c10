package remediate

import (
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// workloadKey names a workload.
type workloadKey struct{ namespace, kind, name string }

// String is `Kind namespace/name`.
func (k workloadKey) String() string { return k.kind + " " + k.namespace + "/" + k.name }

type queue = workqueue.TypedDelayingInterface[workloadKey]

// waiting is which workloads wait for a worker, and why.
type waiting struct {
	e *Engine

	mu     sync.Mutex
	queue  queue
	lanes  *lanes
	causes map[workloadKey][]*rightsizerv1.Event
	// looks are workloads whose pods are to be looked at for a lasting cure.
	looks map[workloadKey]bool
}

func newWaiting(e *Engine) *waiting {
	return &waiting{e: e, causes: map[workloadKey][]*rightsizerv1.Event{}, looks: map[workloadKey]bool{}}
}

// open begins a time of leading.
func (w *waiting) open() queue {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lanes = newLanes()
	w.queue = workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[workloadKey]{
		Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[workloadKey]{Queue: w.lanes}),
	})
	clear(w.causes)
	clear(w.looks)
	return w.queue
}

// close ends it: nothing is taken any more.
func (w *waiting) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil {
		w.queue.ShutDown()
		w.queue = nil
	}
}

// add makes a workload wait, if this replica leads.
func (w *waiting) add(key workloadKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil {
		w.queue.Add(key)
	}
}

// after makes it wait for some time first.
func (w *waiting) after(key workloadKey, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil {
		w.queue.AddAfter(key, d)
	}
}

// look makes it wait to have its pods looked at.
func (w *waiting) look(key workloadKey) { w.lookAfter(key, 0) }

// lookAfter is look, some time later, or as it is worked on before.
func (w *waiting) lookAfter(key workloadKey, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil {
		w.looks[key] = true
		w.queue.AddAfter(key, d)
	}
}

// cause makes it wait with a cause. One beyond the bounds is dropped and counted:
// what goes on happening comes again.
func (w *waiting) cause(key workloadKey, ev *rightsizerv1.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return
	}
	known, ok := w.causes[key]
	if slices.ContainsFunc(known, func(k *rightsizerv1.Event) bool { return k.GetId() == ev.GetId() }) {
		return
	}
	if !ok && len(w.causes) >= MaxWaiting {
		w.e.metrics.dropped.WithLabelValues("cause").Inc()
		return
	}
	if known, ok = w.join(known, ev); ok {
		w.causes[key] = known
		if !heldLong(ev) {
			w.lanes.mark(key)
		}
		w.queue.Add(key)
	}
}

// join adds a cause to those of its workload; false where there is no room for it.
// Pods that are not ready, whose causes are held for minutes, make room for others:
// the oldest first.
func (w *waiting) join(known []*rightsizerv1.Event, ev *rightsizerv1.Event) ([]*rightsizerv1.Event, bool) {
	if len(known) >= v1alpha1.MaxCauses {
		w.e.metrics.dropped.WithLabelValues("cause").Inc()
		held := -1
		if !heldLong(ev) {
			held = slices.IndexFunc(known, heldLong)
		}
		if held < 0 {
			return known, false
		}
		known = slices.Delete(known, held, held+1)
	}
	return append(known, ev), true
}

func heldLong(ev *rightsizerv1.Event) bool { return ev.GetType() == guard.TypeNotReady }

// take returns why a workload waited, once.
func (w *waiting) take(key workloadKey) (causes []*rightsizerv1.Event, look bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	causes, look = w.causes[key], w.looks[key]
	delete(w.causes, key)
	delete(w.looks, key)
	return causes, look
}

// again puts causes back that could not be judged now.
func (w *waiting) again(key workloadKey, causes []*rightsizerv1.Event, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return
	}
	for _, ev := range w.causes[key] { // those that came meanwhile
		causes, _ = w.join(causes, ev)
	}
	w.causes[key] = causes
	if !slices.ContainsFunc(causes, heldLong) {
		w.lanes.mark(key)
	}
	w.queue.AddAfter(key, after)
}
