package main

import "runtime/debug"

const (
	// garbagePercent is GOGC where nobody set it. The heap is tens of MiB, and marking
	// it takes milliseconds: a limit of 128 MiB is worth more than these.
	garbagePercent = 50
	// heapShare of a memory limit is for Go, 100 of 128 MiB, where GOMEMLIMIT does not
	// say. The rest is for the kernel's buffers of sockets and the pages of the
	// program that count.
	heapShare = 25.0 / 32
)

// keepSmall has the runtime trade time for memory as a container with a limit wants
// it, unless the environment says otherwise. limit in bytes, 0 where none is known.
func keepSmall(environ func(string) (string, bool), limit int64) {
	if _, set := environ("GOGC"); !set {
		debug.SetGCPercent(garbagePercent)
	}
	if _, set := environ("GOMEMLIMIT"); !set && limit > 0 {
		debug.SetMemoryLimit(int64(float64(limit) * heapShare))
	}
}
