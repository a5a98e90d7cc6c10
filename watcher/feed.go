package watcher

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// sink takes the compact objects of one resource. Its methods are called by one
// goroutine at a time.
type sink interface {
	// put takes an object that is new or changed.
	put(obj any)
	// remove takes the last form of a deleted object; obj is nil where that
	// could not be converted.
	remove(key object.Key, uid string, obj any)
	// replace takes a whole list; what is held and neither in it nor in kept
	// was deleted unseen. again says that it is not the first list.
	replace(objs []any, kept map[object.Key]bool, again bool)
}

// feed is the store that a reflector feeds: it converts and passes on, and keeps
// nothing.
type feed struct {
	w      *Watcher
	res    *resource
	health *watchHealth
	sink   sink
}

var _ cache.TransformingStore = (*feed)(nil)

// unreadable stands in a list for an object that could not be converted.
type unreadable struct{ key object.Key }

// Transformer has reflectors keep compact objects while they stream a list.
func (f *feed) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return f.convert(obj), nil }
}

// convert returns the compact form, or *unreadable.
func (f *feed) convert(obj any) (out any) {
	key := keyOf(obj)
	defer func() {
		if p := recover(); p != nil {
			f.w.quarantine.panicked(f.res.name, key, inConversion, p)
			out = &unreadable{key}
		}
	}()
	compact, err := f.w.convert(f.res, obj)
	if err != nil {
		f.w.quarantine.failed(f.res.name, key, err)
		return &unreadable{key}
	}
	f.w.quarantine.release(f.res.name, key, inConversion)
	return compact
}

// Add implements cache.ReflectorStore.
func (f *feed) Add(obj any) error { return f.Update(obj) }

// Update implements cache.ReflectorStore.
func (f *feed) Update(obj any) error {
	compact := f.convert(obj)
	if _, bad := compact.(*unreadable); bad {
		return nil // The last form that could be read stands.
	}
	f.sink.put(compact)
	return nil
}

// Delete implements cache.ReflectorStore. The object is the last form that the
// server had, which may show what no update did.
func (f *feed) Delete(obj any) error {
	key, uid := keyOf(obj), ""
	if meta, ok := obj.(metav1.Object); ok {
		uid = string(meta.GetUID())
	}
	compact := f.convert(obj)
	// Last, since the last look may fail as those before did.
	defer f.w.quarantine.release(f.res.name, key, "")
	if _, bad := compact.(*unreadable); bad {
		compact = nil
	}
	f.sink.remove(key, uid, compact)
	return nil
}

// Replace implements cache.ReflectorStore: a list is complete.
func (f *feed) Replace(items []any, _ string) error {
	objs := make([]any, 0, len(items))
	var kept map[object.Key]bool
	for _, item := range items {
		if l, ok := item.(*listed); ok {
			item = l.compact
		}
		if bad, ok := item.(*unreadable); ok {
			if kept == nil {
				kept = make(map[object.Key]bool)
			}
			kept[bad.key] = true
			continue
		}
		objs = append(objs, item)
	}
	f.w.quarantine.keep(f.res.name, kept)
	since, cause, again := f.health.interrupted()
	if again {
		f.w.relisted(f.res, since, cause)
	}
	f.sink.replace(objs, kept, again)
	f.health.complete()
	f.w.synchronized(f.health)
	return nil
}

// Resync implements cache.ReflectorStore; there is nothing to repeat.
func (f *feed) Resync() error { return nil }

// sinkOf chooses the sink of a resource.
func (w *Watcher) sinkOf(r *resource) (sink, error) {
	switch {
	case r.name == podsResource:
		return podSink{w}, nil
	case r.name == nodesResource:
		return nodeSink{w}, nil
	case r.name == autoscalersResource:
		return w.autoscalers, nil
	case r.name == budgetsResource:
		return w.budgets, nil
	case r.kind != "":
		return controllerSink{w, r.name, r.kind}, nil
	}
	return nil, fmt.Errorf("resource %s has no sink", r.name)
}
