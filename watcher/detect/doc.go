// Package detect finds what is wrong with an object from its status.
//
// A detector maps one Input (the object before and now, evidence, thresholds,
// the time) to Findings: the causes that are visible in the status at this
// moment. It has no memory, no clock and no network; what must be remembered
// from one status to the next travels in the compact object itself (Advance).
// Package track turns findings into events with a life.
//
// One detector lives in one file, and a list for each kind of object (Pods)
// names them in the order in which their findings are published. What
// Kubernetes Events say comes in as Evidence: NoteOf reads an Event, the
// watcher remembers the note, and the detectors judge it beside the status.
//
// Concurrency: everything here is a pure function of its arguments. Detectors
// are stateless values and may be used by several goroutines at once.
package detect
