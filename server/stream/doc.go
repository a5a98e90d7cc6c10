// Package stream sends the bus to clients: one pump for every protocol.
//
// A Session reads one bus.Subscription and writes to one Sink. Connect, gRPC and
// gRPC-Web share a sink (they frame data alike); the WebSocket bridge brings its
// own. The pump speaks the protocol of StreamEventsResponse: `opened` first, after
// a reset a snapshot and `synced`, then entries in order, a loss ahead of the
// entry that follows it, a heartbeat in silence, `closing` last.
//
// Contract:
//
//   - An entry is encoded once per format, whoever reads it.
//   - What is there goes out in one write and one flush, bounded in bytes.
//   - A position moves only after the write that carried it succeeded.
//   - The position of `closing` has behind it all that was sent, or considered and
//     left out, and nothing else; within a snapshot there is none.
//   - A write that is not taken within the write timeout ends that session and
//     touches no other.
//   - Shutdown ends every session with `closing` and returns when all are gone.
package stream
