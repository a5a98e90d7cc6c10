// Package convert turns the API's objects into the compact ones of package
// object.
//
// It is pure: no clock, no network, no state but a bounded table of strings
// that occur often. No object makes it panic (a fuzz target holds that); one
// that cannot be understood gives an error that names it. Strings that go into
// messages come out as valid UTF-8, without control characters, and cut to the
// bounds of the schema.
//
// Concurrency: a Converter may be used by several goroutines at once.
package convert
