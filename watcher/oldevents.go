package watcher

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/rightsizer/rightsizer/watcher/track"
)

// onlyWarnings leaves out what goes well, the most of all Events by far.
const onlyWarnings = "type=" + corev1.EventTypeWarning

// oldEvidence collects what Events said before the watch, at most twice what is
// remembered of them; beyond that, of the namespace with the most what was silent
// longest leaves. The times are what those who may write there say, so that one
// namespace takes no other's place by them.
type oldEvidence struct {
	found   []evidence
	dropped int
}

func (o *oldEvidence) add(e *evidence) {
	if len(o.found) >= 2*track.MaxNotes {
		o.keepLatest()
	}
	o.found = append(o.found, *e)
}

func (o *oldEvidence) keepLatest() {
	if len(o.found) <= track.MaxNotes {
		return
	}
	slices.SortFunc(o.found, func(a, b evidence) int { return cmp.Compare(b.note.Last, a.note.Last) })
	later := make(map[string]int) // by namespace
	for i := range o.found {
		namespace := o.found[i].about.key.Namespace
		o.found[i].later = later[namespace]
		later[namespace]++
	}
	slices.SortStableFunc(o.found, func(a, b evidence) int { return cmp.Compare(a.later, b.later) })
	o.dropped += len(o.found) - track.MaxNotes
	clear(o.found[track.MaxNotes:])
	o.found = o.found[:track.MaxNotes]
}

// readOld adds what an Event of a list says.
func (w *Watcher) readOld(old *oldEvidence, obj runtime.Object) {
	e, ok := obj.(*corev1.Event)
	if !ok || e.Type != corev1.EventTypeWarning {
		return
	}
	seen, ok := w.readKubeEvent(e)
	if !ok || seen.note.EndsUnseen(seen.about.kind) {
		return
	}
	old.add(&seen)
}

// takeOld notes what was said before, in the order of its beginnings, and then
// looks at each object that it is about. After a lost watch (again) it is news
// as far as it is new, else it was found at start.
func (w *Watcher) takeOld(old *oldEvidence, again bool) {
	old.keepLatest()
	slices.SortStableFunc(old.found, func(a, b evidence) int {
		return cmp.Or(cmp.Compare(a.note.First, b.note.First), cmp.Compare(a.note.Last, b.note.Last), a.about.key.Compare(b.about.key))
	})
	var about []ref
	seen := make(map[ref]bool)
	w.mu.Lock()
	w.notes.Missed(old.dropped)
	w.atStart = !again
	for i := range old.found {
		r, ok := w.takeEvidence(&old.found[i], again)
		if ok && !seen[r] {
			seen[r] = true
			about = append(about, r)
		}
	}
	w.atStart = false
	w.mu.Unlock()
	for _, r := range about {
		w.mu.Lock()
		w.atStart = !again
		w.again(r)
		w.atStart = false
		w.mu.Unlock()
	}
}
