// Package store holds the current truth about the cluster in compact form, and
// answers the reads from it in generated messages.
//
// Size: one compact object per pod, node and controller of the cluster, about a
// kilobyte per pod; nothing else is kept. Aggregates are computed when they
// are asked for (some milliseconds at 10,000 pods), except the number of ready
// pods per controller, which detection needs at every event.
//
// Concurrency: all methods may be called from any goroutine. One goroutine at a
// time may write objects of one kind (the watcher holds a lock for that).
// Readers hold the store's lock only while they copy pointers, so that a long
// list never delays detection; what they return is consistent per object, not
// across objects.
package store
