// Package meter turns what usage sources say of a container or node into
// readings: rates from cumulative counters, and nothing from what cannot be
// believed. It is pure: no clock, no network; the time comes in as an argument.
//
// What a source says may come twice, late, out of order, from a counter that
// began anew, from a clock that was set, or broken (NaN, negative, absurd). Each
// is refused for a reason that can be counted, and none of them is ever read as
// zero: a gap is a gap.
//
// Concurrency: a Meter belongs to one goroutine at a time.
package meter
