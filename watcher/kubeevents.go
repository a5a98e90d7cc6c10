package watcher

import (
	"cmp"
	"context"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rightsizer/rightsizer/watcher/detect"
)

// watchKubeEvents reads what Kubernetes Events warned of and then follows them,
// until ctx is done. None is kept: what counts becomes evidence or a number.
func (w *Watcher) watchKubeEvents(ctx context.Context, c *conn) {
	for ctx.Err() == nil {
		var old oldEvidence
		position, err := c.whole(ctx, metav1.ListOptions{FieldSelector: onlyWarnings, Limit: eventsPage}, func() {
			old = oldEvidence{}
			w.quarantine.keep(eventsResource, nil) // What is still there and unreadable comes back.
		},
			func(obj runtime.Object) error {
				w.readOld(&old, obj)
				return nil
			})
		if err != nil {
			c.fail(err)
			continue
		}
		w.listedKubeEvents(c.res, c.health, &old)
		w.followKubeEvents(ctx, c, position)
	}
}

// listedKubeEvents takes what a list of Events says.
func (w *Watcher) listedKubeEvents(r *resource, h *watchHealth, old *oldEvidence) {
	since, cause, again := h.complete()
	if again {
		w.relisted(r, since, cause)
	}
	w.takeOld(old, again)
	w.synchronized(h)
}

// followKubeEvents watches from a position until it cannot be continued.
func (w *Watcher) followKubeEvents(ctx context.Context, c *conn, position string) {
	for ctx.Err() == nil {
		// As reflectors do: spread over 5 to 10 min.
		timeout := 300 + rand.Int64N(300) //nolint:gosec // Jitter is no secret.
		stream, err := c.WatchWithContext(ctx, metav1.ListOptions{
			ResourceVersion: position, AllowWatchBookmarks: true, TimeoutSeconds: &timeout,
		})
		if err != nil {
			return
		}
		position, err = w.readKubeEvents(ctx, stream, position)
		stream.Stop()
		if err != nil {
			return
		}
	}
}

// readKubeEvents reads one watch to its end and returns the last position.
func (w *Watcher) readKubeEvents(ctx context.Context, stream watch.Interface, position string) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return position, ctx.Err()
		case event, ok := <-stream.ResultChan():
			if !ok {
				return position, nil
			}
			if event.Type == watch.Error {
				return position, errRelist
			}
			if m, err := meta.Accessor(event.Object); err == nil {
				position = m.GetResourceVersion()
			}
			e, ok := event.Object.(*corev1.Event)
			switch {
			case !ok || event.Type == watch.Bookmark:
			case event.Type == watch.Deleted:
				w.quarantine.release(eventsResource, keyOf(e), "")
			default:
				w.takeKubeEvent(e)
			}
		}
	}
}

// takeKubeEvent counts an Event, takes it as evidence and looks at what it is
// about.
func (w *Watcher) takeKubeEvent(e *corev1.Event) {
	seen, ok := w.readKubeEvent(e)
	w.metrics.kubeEvent(e.Reason)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if about, ok := w.takeEvidence(&seen, false); ok {
		w.again(about)
	}
}

// evidence is what one Event says of one object.
type evidence struct {
	about ref
	note  detect.Note
	later int // how many of its namespace are later; see oldEvidence
}

// readKubeEvent reads an Event as evidence; false where it is none.
func (w *Watcher) readKubeEvent(e *corev1.Event) (out evidence, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			w.quarantine.panicked(eventsResource, keyOf(e), inConversion, p)
			ok = false
		}
	}()
	seen := w.converter.KubeEvent(e)
	out.about = ref{seen.Kind, seen.Key, seen.UID}
	out.note, ok = detect.NoteOf(seen)
	w.quarantine.release(eventsResource, keyOf(e), inConversion)
	return out, ok
}

// takeEvidence notes what an Event says; false where that is of no use. known
// says that it may have been heard before. Under the lock.
func (w *Watcher) takeEvidence(e *evidence, known bool) (about ref, ok bool) {
	about = e.about
	if about.kind == kindNode {
		if !speaksOfNodes(about.key.Namespace) {
			return about, false
		}
		about.key.Namespace = ""
		about.uid = cmp.Or(about.uid, about.key.Name) // See object.KubeEvent.
		if m := w.machines[about.key.Name]; m != nil {
			if e.note.Last < m.CreateTime {
				return about, false // It is of a former node of the name, as in Move.
			}
			about.uid = m.UID
		}
	}
	if about = w.mirrored(about); about.uid == "" {
		return about, false
	}
	if topic, follows := e.note.Follows(); follows && w.notes.Of(about).Find(topic, "") == nil {
		return about, false
	}
	if known {
		if n := w.notes.Of(about).Find(e.note.Topic, e.note.Part); n != nil && n.Last >= e.note.Last {
			return about, false
		}
	}
	// The object may be known only later: the watches are not in order with each
	// other.
	w.notes.Of(about).Renew(&e.note, w.atStart)
	w.notes.Add(about, &e.note)
	return about, true
}

// mirrored is the API's pod where a kubelet speaks of a static one, which it knows by
// another UID; under the lock.
func (w *Watcher) mirrored(r ref) ref {
	if r.kind != kindPod || r.uid == "" {
		return r
	}
	if pod := w.store.Pod(r.key); pod != nil && pod.StaticUID == r.uid {
		r.uid = pod.UID
	}
	return r
}

// speaksOfNodes says that those who write Events in a namespace are believed about
// nodes. The API server lets anybody name a node who may write Events anywhere.
// Kubelets name no namespace, with which the Event is in default; the node problem
// detector may be told one.
func speaksOfNodes(namespace string) bool {
	return namespace == metav1.NamespaceDefault || namespace == metav1.NamespaceSystem
}

// goesOn says that something goes on with the object that an Event names, which
// is what it says it is; under the lock.
func (w *Watcher) goesOn(r ref) bool {
	r = w.mirrored(r)
	return w.tracker.Open(r.uid) && w.knows(r)
}
