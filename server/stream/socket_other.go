//go:build !linux

package stream

import (
	"net"
	"time"
)

// setTCP has nothing to set elsewhere; the write timeout finds the dead.
func setTCP(*net.TCPConn, time.Duration, int) {}
