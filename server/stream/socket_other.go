//go:build !linux

package stream

import (
	"net"
	"time"
)

// setUserTimeout has nothing to set elsewhere; the write timeout finds the dead.
func setUserTimeout(*net.TCPConn, time.Duration) {}
