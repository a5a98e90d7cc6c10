package app

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/stream"
)

// listener accepts at most a number of connections at a time and closes those
// beyond at once: a client learns it now, not when a queue is worked off, and
// ten thousand idle sockets cost no more than the bound. Half of them at most are
// one address's.
type listener struct {
	net.Listener

	slots   *auth.Slots
	owners  *owners
	refused prometheus.Counter
	open    prometheus.Gauge
}

// listenOn binds an address whose connections take these slots, which addresses may
// share; key is the flag that names it.
func (a *App) listenOn(key, address string, slots *auth.Slots) (*listener, error) {
	bound, err := net.Listen("tcp", address) //nolint:noctx // bound for the life of the process
	if err != nil {
		return nil, fmt.Errorf("--%s (%s): cannot listen on %s: %w", key, a.opts.Source.Place(key), address, err)
	}
	l := &listener{
		Listener: bound, slots: slots, owners: a.owners,
		refused: a.metrics.refused.WithLabelValues(key), open: a.metrics.connections.WithLabelValues(key),
	}
	a.listeners[key] = l
	return l, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // net/http compares it
		}
		leave := l.slots.Take(conn.RemoteAddr().String())
		if leave == nil {
			l.refused.Inc()
			_ = conn.Close()
			continue
		}
		stream.Bound(conn)
		l.open.Inc()
		whose := &ownership{of: l.owners}
		return &countedConn{Conn: conn, ownership: whose, leave: sync.OnceFunc(func() { l.open.Dec(); whose.leave(); leave() })}, nil
	}
}

// countedConn gives its slot back when it is closed. It reads nothing while what is
// written is not taken: HTTP/2 answers pings and settings, and would queue ten
// thousand answers for a client that sends them and takes nothing.
type countedConn struct {
	net.Conn
	ownership *ownership
	leave     func()

	writing sync.Mutex
}

// Write implements net.Conn.
func (c *countedConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Conn.Write(p) //nolint:wrapcheck // a transparent wrapper
}

// Read implements net.Conn.
func (c *countedConn) Read(p []byte) (int, error) {
	c.writing.Lock()
	c.writing.Unlock()    //nolint:staticcheck // a write under way is waited for, nothing else
	return c.Conn.Read(p) //nolint:wrapcheck // a transparent wrapper
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	defer c.leave()
	return c.Conn.Close() //nolint:wrapcheck // a transparent wrapper
}

func withTLS(l net.Listener, conf *tls.Config) net.Listener {
	if conf == nil {
		return l
	}
	return tls.NewListener(l, conf)
}
