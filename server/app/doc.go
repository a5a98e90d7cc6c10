// Package app is the composition root of the operator: the only package that
// knows all the others. It makes them, joins them through the small interfaces
// that each of them owns, listens, and stops everything in order.
//
// What runs is a list of named steps ([step]); each has one goroutine, which ends
// when its context does. They start in order and stop in the reverse order, each
// in a bounded time, so that a request never meets a part that is gone. Before
// any step stops, readiness fails and the event streams are told to close, with
// the position from which to go on: an HTTP server waits for its streams.
//
//	serve: ops listener → bus → watcher → certificates → API listener → events listener
//	stop:  not ready → streams closed → events listener → API listener → … → ops listener
package app
