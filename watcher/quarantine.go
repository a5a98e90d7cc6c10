package watcher

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// maxQuarantined bounds the objects that are remembered by name. Beyond it they
// are counted and logged all the same.
const maxQuarantined = 1024

// inConversion is the step that fails for objects that cannot be read at all.
const inConversion = "conversion"

// quarantine holds the objects that could not be understood. Such an object is
// logged once, and looked at again with its next change, which may make it
// whole.
type quarantine struct {
	log     *slog.Logger
	metrics *metrics

	mu      sync.Mutex
	objects map[quarantined]string // what failed
	held    atomic.Int32           // len(objects)
}

type quarantined struct {
	resource string
	key      object.Key
}

func newQuarantine(log *slog.Logger, m *metrics) *quarantine {
	return &quarantine{log: log, metrics: m, objects: make(map[quarantined]string)}
}

// failed notes an object whose conversion returned an error.
func (q *quarantine) failed(resource string, key object.Key, err error) {
	q.metrics.quarantined.WithLabelValues(resource).Inc()
	if q.add(resource, key, inConversion) {
		q.log.Error("object quarantined: it cannot be understood",
			slog.String("resource", resource), named(key), slog.String("error", convert.Text(err.Error(), 512)))
	}
}

// panicked notes an object at which code of ours panicked.
func (q *quarantine) panicked(resource string, key object.Key, where string, p any) {
	q.metrics.quarantined.WithLabelValues(resource).Inc()
	if q.add(resource, key, where) {
		q.log.Error("object quarantined: a panic",
			slog.String("resource", resource), named(key), slog.String("where", where),
			slog.String("panic", convert.Text(fmt.Sprint(p), 512)), slog.String("stack", string(debug.Stack())))
	}
}

// named is the object in a log line.
func named(key object.Key) slog.Attr {
	return slog.String("object", convert.Text(key.String(), 320))
}

// add says whether the object is new here.
func (q *quarantine) add(resource string, key object.Key, where string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	id := quarantined{resource, key}
	if _, known := q.objects[id]; known {
		return false
	}
	if len(q.objects) < maxQuarantined {
		q.objects[id] = where
		q.held.Store(int32(len(q.objects)))
	}
	return true
}

// empty says that nothing is held, without a lock: it is asked at every object.
func (q *quarantine) empty() bool {
	return q.held.Load() == 0
}

// release lets an object go whose failed step now succeeded; an empty step is
// any, for an object that is gone.
func (q *quarantine) release(resource string, key object.Key, step string) {
	if q.empty() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	id := quarantined{resource, key}
	if failed, known := q.objects[id]; known && (step == "" || step == failed) {
		delete(q.objects, id)
		q.held.Store(int32(len(q.objects)))
		q.log.Info("object released from quarantine", slog.String("resource", resource), named(key))
	}
}

// keep lets the objects of a resource go that a whole list no longer shows to be
// unreadable.
func (q *quarantine) keep(resource string, unreadable map[object.Key]bool) {
	if q.empty() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, step := range q.objects {
		if id.resource == resource && step == inConversion && !unreadable[id.key] {
			delete(q.objects, id)
		}
	}
	q.held.Store(int32(len(q.objects)))
}

// report says which objects of a resource are held; empty for none.
func (q *quarantine) report(resource string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	count, example := 0, ""
	for id := range q.objects {
		if id.resource != resource {
			continue
		}
		count++
		if name := id.key.String(); example == "" || name < example {
			example = name
		}
	}
	switch count {
	case 0:
		return ""
	case 1:
		return "1 object is not understood: " + example
	}
	return fmt.Sprintf("%d objects are not understood, among them %s", count, example)
}
