package watcher

import (
	"container/heap"
	"context"
	"time"
)

// deadlines are the moments at which objects have to be looked at again though
// nothing changed: one per object at most, one timer for all. Not safe for
// concurrent use; the watcher's lock guards it.
type deadlines struct {
	queue deadlineQueue
	byUID map[string]*deadline
	// moved tells the timer that the first deadline changed.
	moved chan struct{}
}

type deadline struct {
	ref   ref
	at    time.Time
	index int
}

func newDeadlines() deadlines {
	return deadlines{byUID: make(map[string]*deadline), moved: make(chan struct{}, 1)}
}

// set puts or moves the deadline of an object.
func (d *deadlines) set(r ref, at time.Time) {
	entry := d.byUID[r.uid]
	switch {
	case entry == nil:
		entry = &deadline{ref: r, at: at}
		d.byUID[r.uid] = entry
		heap.Push(&d.queue, entry)
	case entry.at.Equal(at):
		return
	default:
		entry.at = at
		heap.Fix(&d.queue, entry.index)
	}
	if entry.index == 0 {
		select {
		case d.moved <- struct{}{}:
		default: // The timer knows already.
		}
	}
}

// remove forgets the deadline of an object.
func (d *deadlines) remove(uid string) {
	if entry := d.byUID[uid]; entry != nil {
		heap.Remove(&d.queue, entry.index)
		delete(d.byUID, uid)
	}
}

// next is the first deadline; false where there is none.
func (d *deadlines) next() (time.Time, bool) {
	if len(d.queue) == 0 {
		return time.Time{}, false
	}
	return d.queue[0].at, true
}

// due takes the first deadline off if it has come.
func (d *deadlines) due(now time.Time) (*deadline, bool) {
	if len(d.queue) == 0 || d.queue[0].at.After(now) {
		return nil, false
	}
	entry := d.queue[0]
	d.remove(entry.ref.uid)
	return entry, true
}

// keepTime looks at objects whose deadline has come, until ctx is done.
func (w *Watcher) keepTime(ctx context.Context) {
	for {
		at, some := w.passTime()

		var alarm <-chan time.Time
		stop := func() bool { return true }
		if some {
			timer := w.opts.Clock.NewTimer(at.Sub(w.opts.Clock.Now()))
			alarm, stop = timer.C(), timer.Stop
		}
		select {
		case <-ctx.Done():
			stop()
			return
		case <-alarm:
		case <-w.deadlines.moved:
		}
		stop()
	}
}

// passTime looks at the objects whose deadline has come and returns the next
// deadline; false where there is none.
func (w *Watcher) passTime() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		entry, ok := w.deadlines.due(w.opts.Clock.Now())
		if !ok {
			return w.deadlines.next()
		}
		w.again(entry.ref)
	}
}

// deadlineQueue implements heap.Interface.
type deadlineQueue []*deadline

func (q deadlineQueue) Len() int           { return len(q) }
func (q deadlineQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q deadlineQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *deadlineQueue) Push(x any) {
	entry, ok := x.(*deadline)
	if !ok {
		return
	}
	entry.index = len(*q)
	*q = append(*q, entry)
}

// Pop implements heap.Interface.
func (q *deadlineQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
