// Package recommend says how large a container should be, and why.
//
// Recommend is a pure function: a usage.Sketch, what is in force, and what
// surrounds the container (its namespace's limits, its node, who else scales it)
// in; requests, limits, bounds, confidence and the terms of the formula out. It
// knows no policy and no clock: whether and when something is changed is decided
// elsewhere, and the time is an argument.
//
// README.md has the method, the formula and how it compares.
//
// Concurrency: everything here is a pure function of its arguments.
package recommend
