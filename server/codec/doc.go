// Package codec is the JSON that clients of the API write and read: proto-JSON,
// but strict on the way in. A field that the schema does not know is an error
// that names it, so that a typo in a filter never streams everything.
//
// Severities are accepted in two forms wherever the schema has one: by enum
// name (SEVERITY_WARNING) and by short name (warning). [MarshalJSON] writes the
// first, which every generated client reads; [MarshalJSONShortSeverity] writes
// the second, which is what a WebSocket subscriber gets.
//
// [Codecs] and [Proto] are what a Connect handler registers in place of connect's own
// codecs. A request has at most [MaxElements], in either form. Everything here is safe
// for concurrent use and keeps nothing.
package codec
