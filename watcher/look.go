package watcher

import (
	"slices"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/track"
)

// ref names an object that is looked at.
type ref struct {
	kind string
	key  object.Key
	uid  string
}

// glance is one look at an object.
type glance[O any] struct {
	// resource is the plural, for quarantine.
	resource  string
	ref       ref
	detectors []detect.Detector[O]
	in        detect.Input[O]
	// subject describes the object, only where there is something to say of it.
	subject func(*detect.Input[O]) detect.Subject
	atStart bool
}

// look runs the detectors over an object and publishes what changed; under the
// lock. The caller has filled in what is particular to the object: Prev, Cur,
// Gone and Workload.
func look[O any](w *Watcher, g *glance[O]) {
	defer func() {
		if p := recover(); p != nil {
			w.quarantine.panicked(g.resource, g.ref.key, "tracking", p)
		}
	}()
	g.in.Cluster = w.ident.clusterID()
	g.in.Evidence = w.notes.Of(g.ref)
	g.in.Thresholds = *w.thresholds()
	g.in.Now = w.opts.Clock.Now()
	w.findings = w.findings[:0]
	var blind []string
	for from := 0; from < len(g.detectors); {
		failed := detectFrom(w, g, from)
		if failed < 0 {
			break
		}
		for _, doc := range g.detectors[failed].Docs() {
			blind = append(blind, doc.Type)
		}
		from = failed + 1
	}
	for i := range w.findings {
		if note := w.findings[i].Ends; note != nil {
			note.End()
		}
	}
	w.wakeAt(g.ref)
	if len(w.findings) == 0 && !w.tracker.Has(g.ref.uid) {
		return // Nearly always: a healthy object.
	}
	seen := track.Observation{
		Subject: g.subject(&g.in), Cluster: g.in.Cluster, Now: g.in.Now, Gone: g.in.Gone,
		Findings: w.findings, AtStart: g.atStart || w.atStart,
	}
	if blind != nil {
		seen.Blind = func(eventType string) bool { return slices.Contains(blind, eventType) }
	}
	w.events = w.tracker.Observe(&seen, w.events[:0])
	clear(w.findings) // The slice is used again and must not hold what is over.
	w.publish(w.events)
}

// detectFrom runs the detectors from the given one on. It returns the one that
// panicked, -1 for none; that one's findings do not count.
func detectFrom[O any](w *Watcher, g *glance[O], from int) (failed int) {
	at, kept := from, len(w.findings)
	defer func() {
		if p := recover(); p != nil {
			w.findings = w.findings[:kept]
			w.quarantine.panicked(g.resource, g.ref.key, inDetector(g.detectors[at].Docs()), p)
			failed = at
		}
	}()
	for ; at < len(g.detectors); at++ {
		kept = len(w.findings)
		w.findings = g.detectors[at].Detect(&g.in, w.findings)
		if !w.quarantine.empty() {
			w.quarantine.release(g.resource, g.ref.key, inDetector(g.detectors[at].Docs()))
		}
	}
	return -1
}

func inDetector(docs []detect.Doc) string {
	return "detector of " + docs[0].Type
}

// wakeAt sets the deadline of an object to the first that its findings ask for.
func (w *Watcher) wakeAt(r ref) {
	var wake int64
	for i := range w.findings {
		if at := w.findings[i].Wake; at != 0 && (wake == 0 || at < wake) {
			wake = at
		}
	}
	if wake != 0 {
		w.deadlines.set(r, time.Unix(wake, 0))
	} else {
		w.deadlines.remove(r.uid)
	}
}

func (w *Watcher) publish(events []*rightsizerv1.Event) {
	for _, e := range events {
		w.metrics.events.WithLabelValues(e.GetType(), phaseLabel(e.GetPhase())).Inc()
		if e.GetOomKilled() != nil {
			w.observeOOM(e)
		}
		changed := w.correlate(e)
		w.opts.Publisher.Publish(e)
		w.tell(changed)
	}
	clear(events) // The slice is used again and must not hold what is published.
}

// again looks at an object that did not change: time passed, or evidence came;
// under the lock. One that is not known (any more), or whose UID is made up, is
// left alone, and so is what that UID belongs to.
func (w *Watcher) again(r ref) {
	switch {
	case r.kind == kindIncidents:
		w.passIncidents()
	case r.kind == kindAutoscaler:
		w.autoscalers.again(r)
	case r.kind == kindBudget:
		w.budgets.again(r)
	case !w.knows(r):
	case r.kind == kindPod:
		if pod := w.store.Pod(r.key); !w.awaits(pod) {
			w.lookAtPod(pod, pod, false, false)
		}
	case r.kind == kindNode:
		w.lookAtNode(w.machines[r.key.Name].Node, false, false)
	default:
		w.againController(r)
	}
}

// knows says that a pod, a node or a controller is there by kind, name and UID.
func (w *Watcher) knows(r ref) bool {
	switch r.kind {
	case kindPod:
		pod := w.store.Pod(r.key)
		return pod != nil && pod.UID == r.uid
	case kindNode:
		m := w.machines[r.key.Name]
		return m != nil && m.UID == r.uid
	}
	c := w.store.Controller(r.uid)
	return c != nil && c.Kind == r.kind && c.Key == r.key
}

// forget drops what is remembered of an object that is gone; under the lock.
func (w *Watcher) forget(r ref) {
	w.deadlines.remove(r.uid)
	w.notes.Forget(r)
}
