// Package watchertest is an API server that speaks just enough of the list and
// watch protocol to test what the watcher makes of it: streaming lists with
// their bookmark, resuming from a position, expired positions, servers that
// start, refuse or vanish.
//
// A Server is an http.Handler for real connections and an http.RoundTripper for
// tests in a testing/synctest bubble, where no network may be used.
//
// Concurrency: all methods may be called from any goroutine.
package watchertest
