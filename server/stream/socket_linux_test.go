package stream_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/stream"
)

// bound is a client's connection and the server's, which is bounded.
func bound(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	client, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	server, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	stream.Bound(server)
	return client, server
}

// A client that has vanished is given up after 30 s, also while what was sent to it
// waits to be acknowledged, which otherwise takes a quarter of an hour.
func TestTheKernelGivesUpOnWhoIsGone(t *testing.T) {
	t.Parallel()
	_, conn := bound(t)
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	const userTimeout = 0x12 // TCP_USER_TIMEOUT of tcp(7), in ms
	require.NoError(t, raw.Control(func(fd uintptr) {
		ms, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout)
		assert.NoError(t, err)
		assert.Equal(t, 30_000, ms)
	}))
}

// What a client has in the kernel that stops reading, or sends what nobody reads, counts
// against the container's memory, and there may be hundreds of them.
func TestTheKernelHoldsLittleOfOneClient(t *testing.T) {
	t.Parallel()
	client, conn := bound(t)
	err := conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	require.NoError(t, err)
	written, batch := 0, make([]byte, 64<<10)
	for err == nil {
		var n int
		n, err = conn.Write(batch)
		written += n
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	var queued int32 // sent and not acknowledged, and not sent: SIOCOUTQ of tcp(7)
	require.NoError(t, raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&queued)))
		require.Zero(t, errno)
	}))
	t.Logf("%d KiB taken, %d KiB of them queued", written>>10, queued>>10)
	assert.Less(t, queued, int32(64<<10))
	assert.Positive(t, queued)

	require.NoError(t, client.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
	for err = nil; err == nil; {
		_, err = client.Write(batch)
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	var unread int32 // SIOCINQ
	require.NoError(t, raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&unread)))
		require.Zero(t, errno)
	}))
	t.Logf("%d KiB of what it sends unread", unread>>10)
	assert.LessOrEqual(t, unread, int32(2*32<<10), "as set, doubled")
	assert.Positive(t, unread)
}
