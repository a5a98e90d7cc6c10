// Package usage keeps what was measured of containers as sketches of a fixed
// size instead of samples: enough for a recommendation, and no more.
//
// A Sketch holds CPU and memory of one container of a workload, all its
// replicas together, in at most SketchBytes: maxima of memory of every two hours
// of ten days, a decayed histogram of CPU, the peaks of starts, and the last OOM
// kills with their limits. Sketches merge in any order. A Book is a bounded map of
// them.
//
// Amounts are millicores and bytes, times Unix seconds. Values that cannot be
// (NaN, infinite, negative) are refused and counted; what comes late goes where
// it belongs as long as that is held, and is otherwise refused; a gap is
// nothing, never zero.
//
// Concurrency: a Sketch is a plain value without locks: it is copied by
// assignment and changed by one goroutine at a time. A Book may be used by any
// number of goroutines; what it returns are copies.
package usage
