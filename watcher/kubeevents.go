package watcher

import (
	"context"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// maxBackOffs bounds the containers of which the latest back-off is remembered,
// about 150 bytes each. The oldest leaves first; then the crash loop of that
// container is told by its restarts alone.
const maxBackOffs = 4096

// backOffs is the evidence from Kubernetes Events: when the kubelet last said
// that it holds back a container. Not safe for concurrent use; the watcher's
// lock guards it.
type backOffs struct {
	last  map[backOffKey]int64
	order []backOffKey // oldest first, a ring once full
	next  int
}

type backOffKey struct {
	uid       string
	container string
}

func newBackOffs() backOffs {
	return backOffs{last: make(map[backOffKey]int64)}
}

// LastBackOff implements detect.Evidence. An Event that names no container
// stands for all of its pod.
func (b *backOffs) LastBackOff(podUID, container string) (int64, bool) {
	at, ok := b.last[backOffKey{podUID, container}]
	if all, found := b.last[backOffKey{podUID, ""}]; found && all > at {
		return all, true
	}
	return at, ok
}

func (b *backOffs) note(podUID, container string, at int64) {
	key := backOffKey{podUID, container}
	if before, known := b.last[key]; known {
		b.last[key] = max(before, at)
		return
	}
	if len(b.order) < maxBackOffs {
		b.order = append(b.order, key)
	} else {
		delete(b.last, b.order[b.next])
		b.order[b.next] = key
		b.next = (b.next + 1) % maxBackOffs
	}
	b.last[key] = at
}

// forget drops what is known of a deleted pod. Its places in the order stay
// taken until they are the oldest, which keeps this cheap.
func (b *backOffs) forget(pod *object.Pod) {
	if len(b.last) == 0 {
		return
	}
	delete(b.last, backOffKey{pod.UID, ""})
	for i := range pod.Containers {
		delete(b.last, backOffKey{pod.UID, pod.Containers[i].Name})
	}
}

// watchKubeEvents reads Kubernetes Events from now on, until ctx is done. None
// is kept: what counts becomes evidence or a number.
func (w *Watcher) watchKubeEvents(ctx context.Context, c *conn) {
	for ctx.Err() == nil {
		// One Event is enough to learn the position of now.
		page, err := c.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			c.fail()
			continue
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			c.fail()
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

// takeKubeEvent counts an Event and takes a back-off as evidence.
func (w *Watcher) takeKubeEvent(e *corev1.Event) {
	key := object.Key{Namespace: e.Namespace, Name: e.Name}
	defer func() {
		if p := recover(); p != nil {
			w.quarantine.panicked("events", key, inConversion, p)
		}
	}()
	seen := w.converter.KubeEvent(e)
	w.metrics.kubeEvent(seen.Reason)
	if seen.Kind != "Pod" || seen.Reason != "BackOff" || !seen.Restarting || seen.UID == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.backOffs.note(seen.UID, seen.Container, seen.Time)
	w.again(seen.Key, seen.UID)
}
