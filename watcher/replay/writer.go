package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrFull is returned by Record where the recording reached its bound. What was
// written is whole.
var ErrFull = errors.New("the recording is full")

// writer writes lines, from any goroutine. After its first failure it writes no
// more, and calls stop.
type writer struct {
	out  io.Writer
	max  int64
	now  func() time.Time
	stop func()
	// header is asked for before the first line: by then the server has said
	// who it is.
	header func() Header

	mu      sync.Mutex
	begun   bool
	last    time.Time
	written int64
	lines   int
	err     error
	// open are the lists under way; failing is the last failure of a resource
	// that nothing followed.
	open    map[string]bool
	failing map[string]string
	failure string // the latest of what is not recorded
}

// begin notes that a list begins.
func (w *writer) begin(resource string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[resource] = true
	w.write(Line{Resource: resource, Type: Relist})
}

// complete notes the end of a list.
func (w *writer) complete(resource string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finish(resource)
}

func (w *writer) finish(resource string) {
	if w.open[resource] {
		delete(w.open, resource)
		w.write(Line{Resource: resource, Type: Synced})
	}
}

// opened notes a watch. One that does not begin with a list follows one, be it
// that its reader did not want all of it.
func (w *writer) opened(resource string, initial bool) {
	if initial {
		w.begin(resource)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finish(resource)
	if w.failing[resource] != "" {
		w.write(Line{Resource: resource, Type: Bookmark}) // It works again.
	}
}

// bookmark notes that a watch is alive.
func (w *writer) bookmark(resource string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open[resource] {
		w.write(Line{Resource: resource, Type: Bookmark})
	}
}

// object notes an object, without its secrets.
func (w *writer) object(resource string, change Type, raw []byte) error {
	clean, err := redact(raw, resource == "pods" || resource == "events")
	if err != nil {
		return fmt.Errorf("%s: %w", resource, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write(Line{Resource: resource, Type: change, Object: clean})
	return nil
}

// failed notes a failure; the same one again and again is noted once.
func (w *writer) failed(resource string, status *metav1.Status) {
	status.Details = nil // Unbounded, and of no use to a replay.
	raw, err := json.Marshal(status)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || w.failing[resource] == status.Message {
		return
	}
	w.write(Line{Resource: resource, Type: Error, Object: raw})
	w.failing[resource] = status.Message
}

// heard keeps the latest failure of what is not recorded.
func (w *writer) heard(failure string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure = failure
}

// end is the failure of the writer, or that nothing came.
func (w *writer) end() (lines int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && !w.begun {
		if w.failure == "" {
			return 0, errors.New("nothing was recorded: the API server had not answered yet")
		}
		return 0, fmt.Errorf("nothing was recorded: the API server could not be read: %s", w.failure)
	}
	return w.lines, w.err
}

// write puts down one line; under the lock.
func (w *writer) write(line Line) {
	if w.err != nil {
		return
	}
	delete(w.failing, line.Resource)
	line.Time = w.now()
	if line.Time.Before(w.last) {
		line.Time = w.last // The machine's clock was set back.
	}
	w.last = line.Time
	if !w.begun {
		w.begun = true
		header := w.header()
		header.Format, header.Version, header.Time = Format, Version, line.Time
		w.put(header)
	}
	w.put(line)
	if w.err == nil {
		w.lines++
	}
}

func (w *writer) put(v any) {
	if w.err != nil {
		return
	}
	raw, err := json.Marshal(v)
	if err == nil && w.written+int64(len(raw))+1 > w.max {
		err = fmt.Errorf("%w: its bound is %d bytes", ErrFull, w.max)
	}
	if err == nil {
		_, err = w.out.Write(append(raw, '\n'))
		w.written += int64(len(raw)) + 1
	}
	if err != nil {
		w.err = err
		w.stop()
	}
}
