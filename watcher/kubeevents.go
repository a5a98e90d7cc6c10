package watcher

import (
	"context"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// watchKubeEvents reads Kubernetes Events from now on, until ctx is done. None
// is kept: what counts becomes evidence or a number.
func (w *Watcher) watchKubeEvents(ctx context.Context, c *conn) {
	for ctx.Err() == nil {
		// One Event is enough to learn the position of now.
		page, err := c.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			c.fail(err)
			continue
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			c.fail(err)
			continue
		}
		since, cause, again := c.health.complete()
		if again {
			w.relisted(c.res, since, cause)
		}
		w.synchronized(c.health)
		w.followKubeEvents(ctx, c, list.GetResourceVersion())
	}
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
			if e, ok := event.Object.(*corev1.Event); ok && event.Type != watch.Deleted && event.Type != watch.Bookmark {
				w.takeKubeEvent(e)
			}
		}
	}
}

// takeKubeEvent counts an Event, takes it as evidence and looks at what it is
// about.
func (w *Watcher) takeKubeEvent(e *corev1.Event) {
	key := object.Key{Namespace: e.Namespace, Name: e.Name}
	defer func() {
		if p := recover(); p != nil {
			w.quarantine.panicked("events", key, inConversion, p)
		}
	}()
	seen := w.converter.KubeEvent(e)
	w.metrics.kubeEvent(seen.Reason)
	note, ok := detect.NoteOf(seen)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	about := ref{seen.Kind, seen.Key, seen.UID}
	if m := w.machines[seen.Name]; seen.Kind == kindNode && m != nil {
		about.key, about.uid = object.Key{Name: m.Name}, m.UID // See object.KubeEvent.
	}
	if about.uid == "" {
		return
	}
	if topic, follows := note.Follows(); follows && w.notes.Of(about.uid).Find(topic, "") == nil {
		return
	}
	// The object may be known only later: the watches are not in order with each
	// other.
	w.notes.Add(about.uid, &note)
	w.again(about)
}
