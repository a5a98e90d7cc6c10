package stream

import (
	"net"
	"time"
)

// What the kernel may hold for one connection.
const (
	// sendBuffer is in bytes. Left to itself Linux lets a client that stops reading
	// hold 4 MiB, which count against the container's memory; of what is set here it
	// makes the double. Four batches keep a client at 100 ms distance at 2,000 events
	// a second, and a writer rarely waits; with two, waiting cost a third more CPU.
	sendBuffer = 4 * batchBytes
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
			_ = conn.SetWriteBuffer(sendBuffer) // a connection that is gone tells its reader
			setUserTimeout(conn, unacknowledged)
			return
		case interface{ NetConn() net.Conn }: // TLS
			c = conn.NetConn()
		default:
			return
		}
	}
}
