// Package ws is the WebSocket bridge: the messages of StreamEvents as JSON, one a
// text frame, at /events.
//
// A client may send an EventFilter as JSON. The bridge waits a moment for the
// first, then sends everything the client may see; a later one replaces the
// former. A malformed filter is answered by an error message that names the field
// and close code 1007; an oversized one by 1009. github.com/coder/websocket does
// the handshake, reads, and answers control frames; what the bridge sends is
// framed once per event for all clients and written past it, many frames at a
// time, through a connection whose writes are whole.
//
// A client that offers permessage-deflate (browsers do) gets messages from 256 bytes
// on compressed, each by itself, so that this too is done once for all; what it
// compresses is bounded as it is unpacked.
package ws
