package envelope

import (
	"sync"
	"time"
)

// watch calls expire when something that began has not ended in time. Its timer is
// left to run from one write to the next: under load it fires once a timeout, not
// once a write.
type watch struct {
	expire func() // called with mu held, at most once

	mu      sync.Mutex
	timer   *time.Timer // nil until the first begin
	running bool        // the timer is
	due     time.Time   // of what goes on; zero while nothing does
	latest  time.Time   // no due is later; zero for no such bound
	expired bool
	closed  bool
}

func (w *watch) begin(timeout time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = w.bounded(time.Now().Add(timeout))
	timeout = time.Until(w.due)
	switch {
	case w.closed || w.running:
	case w.timer == nil:
		w.timer, w.running = time.AfterFunc(timeout, w.fire), true
	default:
		w.timer.Reset(timeout)
		w.running = true
	}
}

func (w *watch) bounded(due time.Time) time.Time {
	if !w.latest.IsZero() && due.After(w.latest) {
		return w.latest
	}
	return due
}

// hurry bounds what goes on, and all that begins from here on.
func (w *watch) hurry(latest time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latest = latest
	if !w.due.IsZero() {
		w.due = w.bounded(w.due)
	}
	if w.running {
		w.timer.Reset(time.Until(w.latest))
	}
}

// by is when something must be over that ends within the timeout.
func (w *watch) by(timeout time.Duration) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bounded(time.Now().Add(timeout))
}

// goesOn says that something began and has not ended.
func (w *watch) goesOn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.closed && !w.due.IsZero()
}

// end says whether the time was over; from then on it always is.
func (w *watch) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = time.Time{}
	return w.expired
}

func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	if w.closed || w.due.IsZero() {
		return
	}
	if left := time.Until(w.due); left > 0 { // a later write than the one that set the timer
		w.timer.Reset(left)
		w.running = true
		return
	}
	w.expired = true
	w.expire()
}

// close ends the watch: expire is not called from here on. It says whether it
// never was.
func (w *watch) close() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	return !w.expired
}
