package watcher

import (
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// Resource is one kind of object that a Watcher reads.
type Resource struct {
	// Name is the plural, such as pods.
	Name string
	// Path is where the API server serves it.
	Path string
	// Metadata says that no more than metadata is asked for.
	Metadata bool
}

// Resources lists what a Watcher reads, Kubernetes Events last.
func Resources() []Resource {
	var out []Resource
	for _, r := range append(resources(), kubeEvents()) {
		out = append(out, Resource{Name: r.name, Path: r.path, Metadata: r.metadata})
	}
	return out
}

// Feeder takes the place of Run and its connections: whoever has a recording
// hands over its lists and changes one by one, and each is converted, stored,
// looked at and published before the call returns. Time is Options.Clock's:
// whoever moves it calls PassTime.
//
// Not safe for concurrent use; the Watcher's other methods are.
type Feeder struct {
	w     *Watcher
	feeds map[string]*feed
}

// Feed makes the Watcher take what it sees from the Feeder instead of an API
// server. It fails with ErrRunning after Run or Feed.
func (w *Watcher) Feed() (*Feeder, error) {
	if w.started.Swap(true) {
		return nil, ErrRunning
	}
	f := &Feeder{w: w, feeds: make(map[string]*feed, len(w.watches))}
	for _, h := range w.watches {
		in := &feed{w: w, res: h.resource, health: h}
		if h.resource.convert != nil { // Others have no store: Kubernetes Events.
			var err error
			if in.sink, err = w.sinkOf(h.resource); err != nil {
				return nil, err
			}
		}
		f.feeds[h.resource.name] = in
	}
	return f, nil
}

// Decode reads an object of a resource from JSON.
func (f *Feeder) Decode(resource string, raw []byte) (runtime.Object, error) {
	in, err := f.feed(resource)
	if err != nil {
		return nil, err
	}
	obj := in.res.expected.DeepCopyObject()
	if err := json.Unmarshal(raw, obj); err != nil {
		return nil, fmt.Errorf("object of %s: %w", resource, err)
	}
	return obj, nil
}

// List takes a complete list. The first one of a resource is what was found at
// start, each later one tells that the watch before it was lost.
func (f *Feeder) List(resource string, objs []runtime.Object) error {
	in, err := f.feed(resource)
	if err != nil {
		return err
	}
	in.health.answered()
	if in.sink == nil {
		var old oldEvidence
		for _, obj := range objs {
			f.w.readOld(&old, obj)
		}
		f.w.listedKubeEvents(in.res, in.health, &old)
		return nil
	}
	items := make([]any, 0, len(objs))
	for _, obj := range objs {
		items = append(items, in.convert(obj))
	}
	return in.Replace(items, "")
}

// Change takes one change of a watch; a bookmark tells that it is alive.
func (f *Feeder) Change(resource string, change watch.EventType, obj runtime.Object) error {
	in, err := f.feed(resource)
	if err != nil {
		return err
	}
	if _, _, broke, _ := in.health.status(); !broke.IsZero() {
		in.health.opened(false) // It goes on where it broke.
	}
	in.health.active()
	event, isEvent := obj.(*corev1.Event)
	switch change {
	case watch.Bookmark:
		return nil
	case watch.Added, watch.Modified:
		if in.sink != nil {
			return in.Update(obj)
		}
		if isEvent {
			f.w.takeKubeEvent(event)
		}
		return nil
	case watch.Deleted:
		if in.sink != nil {
			return in.Delete(obj)
		}
		return nil
	case watch.Error:
	}
	return fmt.Errorf("%s is no change", change)
}

// Fail takes the failure of a list or watch, as the API server worded it.
func (f *Feeder) Fail(resource string, status *metav1.Status) error {
	in, err := f.feed(resource)
	if err != nil {
		return err
	}
	in.health.refused(apierrors.FromObject(status))
	return nil
}

// PassTime looks at everything whose deadline has come, and returns the next
// deadline; false where there is none.
func (f *Feeder) PassTime() (time.Time, bool) {
	return f.w.passTime()
}

// Deadline is the next one; false where there is none.
func (f *Feeder) Deadline() (time.Time, bool) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	return f.w.deadlines.next()
}

func (f *Feeder) feed(resource string) (*feed, error) {
	in := f.feeds[resource]
	if in == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownResource, resource)
	}
	return in, nil
}
