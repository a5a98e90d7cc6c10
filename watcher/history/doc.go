// Package history keeps what was measured in a fixed number of bytes, coarser with
// age, and answers queries from it.
//
// Time is cut into columns: of a minute, of ten, of an hour. A column holds one
// value of each kind for each series (a container of a workload, or a node), in 16
// bits, at most 0.04 % off. Ten minutes become a column of ten, six of those one of
// an hour. Past the bound the oldest columns go, each width in its turn: the more
// series, the shorter the history; Reach tells how far it goes. Requests, limits
// and recommendations are kept as the moments at which they changed.
//
// A gap has no value, and is never zero.
//
// Concurrency: a History may be used by any number of goroutines. Queries hold its
// lock for reading, for some milliseconds at the most.
package history
