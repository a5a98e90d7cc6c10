package stream

import (
	"net"
	"time"
)

// What the kernel may hold for one connection.
const (
	// sendBuffer is in bytes, of which Linux makes the double; left to itself it lets
	// a client that does not acknowledge hold 4 MiB, which count against the container's
	// memory. Four batches keep a client at 100 ms distance at 2,000 events a second,
	// and a writer rarely waits; with two, waiting cost a third more CPU.
	sendBuffer = 4 * batchBytes
	// unsent is how much of it, in bytes, may be what the client's window has no room
	// for: what a client holds here that stops reading. Hundreds of them would fill the
	// container with what one may hold who reads.
	unsent = 16 << 10
	// receiveBuffer is in bytes, of which Linux makes the double; left to itself it goes
	// up to 6 MiB and more for a client that sends while nobody reads, as while an answer
	// is not taken. Requests are small.
	receiveBuffer = 32 << 10
	// unacknowledged is how long data may wait for a peer's TCP to answer; with
	// heartbeats that finds peers that vanished, which otherwise takes Linux a
	// quarter of an hour.
	unacknowledged = 30 * time.Second
)

// Bound limits what an accepted connection may cost while its client takes
// nothing, and how long a client that vanished is believed in. Listeners that serve
// streams call it once for each connection; it does nothing for what is not TCP.
func Bound(c net.Conn) {
	for {
		switch conn := c.(type) {
		case *net.TCPConn:
			_, _ = conn.SetWriteBuffer(sendBuffer), conn.SetReadBuffer(receiveBuffer) // a connection that is gone tells its reader
			setTCP(conn, unacknowledged, unsent)
			return
		case interface{ NetConn() net.Conn }: // TLS
			c = conn.NetConn()
		default:
			return
		}
	}
}
