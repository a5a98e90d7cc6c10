// Package sink sends what a filter selects to an endpoint of somebody else's, at
// least once.
//
// A Sink reads the bus with a cursor of its own, made by New, so that nothing is
// missing that is published after it. What it takes waits in lanes, one for each
// problem: the events of one problem are delivered in the order in which they
// happened, one after the other; those of different problems do not wait for each
// other, up to four at a time.
//
// # What fails
//
// An attempt that may succeed later is made again: after 1 s, then twice as long
// each time up to a minute, or when the endpoint says so (Retry-After). While the
// last attempt of the whole sink failed, one is made at a time, with a pause that
// grows to 30 s: an endpoint that is down is not overrun by the lanes. An event that
// is refused for good, or still fails GiveUpAfter after it was taken, is counted as
// failed and its lane goes on.
//
// # What is lost
//
// At most Queue events wait; beyond that the ring holds them, and what the ring
// overwrites then is counted as dropped and told to the endpoint, as an event
// dev.rightsizer.stream.lost with the count and whether it is exact. What waits when
// the operator stops is dropped, too, and its number logged: after a restart, what
// is still wrong is published again under the same ids. An id is therefore seen more
// than once; it is the key to tell by.
//
// # What is sent
//
// An event has the type dev.rightsizer.<type of the event>, its own id, its
// cluster's URI /clusters/ID for source, namespace/Kind/name for subject, and the
// JSON of rightsizer.v1.Event for data, severities in lower case; incidents are
// dev.rightsizer.incident, and a time when the operator was blind
// dev.rightsizer.stream.resync.
//
// # Ledger
//
// Sent, failed, dropped, retries and the last error are in Ledger, in Health
// (sink/<name>: DEGRADED while the last attempt failed) and in rightsizer_sink_*.
//
// New may be called for any number of sinks; Run once for each. Ledger and Health
// are safe for concurrent use.
package sink
