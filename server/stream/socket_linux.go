package stream

import (
	"net"
	"syscall"
	"time"
)

// Options of tcp(7) that package syscall lacks.
const (
	tcpUserTimeout  = 0x12
	tcpNotSentLowAt = 0x19
)

func setTCP(conn *net.TCPConn, userTimeout time.Duration, unsent int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(userTimeout.Milliseconds()))
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowAt, unsent)
	})
}
