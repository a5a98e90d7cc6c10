package devcluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"strconv"
)

// The range that ports are taken from. It lies below Linux's default range for
// outgoing connections (32768 and up), so that nothing takes a port between the
// moment we let it go and the moment the component binds it, or while
// kube-apiserver is down in a fault test.
const (
	firstPort = 20000
	lastPort  = 32767
)

// reservation is a loopback TCP port kept from others until its owner binds it.
type reservation struct {
	port     int
	listener net.Listener
}

// reservePort takes a free loopback port.
func reservePort() (*reservation, error) {
	var config net.ListenConfig // listening on loopback takes no time that a context could bound
	var last error
	for range 200 {
		port := firstPort + mathrand.IntN(lastPort-firstPort+1) //nolint:gosec // G404: a port is no secret
		l, err := config.Listen(context.Background(), "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return &reservation{port: port, listener: l}, nil
		}
		last = err
	}
	return nil, fmt.Errorf("find a free port between %d and %d on 127.0.0.1: %w", firstPort, lastPort, last)
}

// release lets the port go, so that its owner can bind it. It may be called
// more than once.
func (r *reservation) release() {
	if r.listener != nil {
		_ = r.listener.Close()
		r.listener = nil
	}
}

// ports are the loopback ports of one cluster.
type ports struct {
	apiServer, etcdClient, etcdPeer, controllerManager, scheduler, kwok, metricsServer *reservation
}

// reservePorts takes all ports that a cluster needs, or none.
func reservePorts() (*ports, error) {
	p := &ports{}
	for _, r := range p.all() {
		var err error
		if *r, err = reservePort(); err != nil {
			p.release()
			return nil, err
		}
	}
	return p, nil
}

func (p *ports) all() []**reservation {
	return []**reservation{&p.apiServer, &p.etcdClient, &p.etcdPeer, &p.controllerManager, &p.scheduler, &p.kwok, &p.metricsServer}
}

// release lets all ports go that are still held.
func (p *ports) release() {
	for _, r := range p.all() {
		if *r != nil {
			(*r).release()
		}
	}
}

// randomSuffix is eight characters that make a name unlike others.
func randomSuffix() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b[:])
}

// isClosed says whether an error means nothing worse than that a listener or
// connection was closed by us.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
