// Package track gives findings a life: it compares what is visible now with
// what was visible before, and makes events of the difference.
//
//	new      → OPENED, or POINT for what happened at one moment
//	changed  → UPDATED (a higher ordinal)
//	gone     → RESOLVED; a POINT just stops being listed
//
// A cause is published once while it is visible, whatever form it takes. The
// tracker remembers, per object, the ids of what is visible (about 150 bytes
// each, bounded by the containers of the cluster) and the latest event of each
// up to Options.MaxProblems; beyond that, events are published all the same and
// only the list of what is wrong now is incomplete, which Unlisted tells. What goes
// on displaces the oldest POINT from the list, a newer POINT likewise.
//
// Concurrency: a Tracker is not safe for concurrent use; package watcher holds
// one lock around detection and publication, which is also what puts the events
// of one object in order. The events that it returns are never changed
// afterwards and may be shared.
package track
