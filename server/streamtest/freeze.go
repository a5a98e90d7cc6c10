package streamtest

import (
	"context"
	"net"
	"sync"
)

// Freezer dials connections whose clients can stop reading: nothing is taken from
// the socket while they are frozen, as if the process had been stopped. Safe for
// concurrent use.
type Freezer struct {
	mu     sync.Mutex
	thawed chan struct{} // closed while not frozen; nil means never frozen yet
}

// Freeze stops all reading; Thaw lets it go on.
func (f *Freezer) Freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.thawed = make(chan struct{})
}

// Thaw ends Freeze.
func (f *Freezer) Thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.thawed != nil {
		close(f.thawed)
		f.thawed = nil
	}
}

// DialContext is a transport's.
func (f *Freezer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(16 << 10) // so that little is taken on the client's behalf
	}
	return &frozenConn{Conn: conn, freezer: f, closed: make(chan struct{})}, nil
}

type frozenConn struct {
	net.Conn

	freezer *Freezer
	once    sync.Once
	closed  chan struct{}
}

// Read implements net.Conn. A read that waits in the socket while Freeze is called
// still takes what comes first.
func (c *frozenConn) Read(p []byte) (int, error) {
	c.freezer.mu.Lock()
	thawed := c.freezer.thawed
	c.freezer.mu.Unlock()
	if thawed != nil {
		select {
		case <-thawed:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	return c.Conn.Read(p)
}

// Close implements net.Conn.
func (c *frozenConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
