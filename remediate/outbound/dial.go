package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Resolver finds the addresses of a name; net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// maxAddresses bounds the addresses of one name that are tried.
const maxAddresses = 16

// dialWithin bounds the connecting to one address.
const dialWithin = 3 * time.Second

// dialer connects to what its guard allows.
type dialer struct {
	guard    *Guard
	resolver Resolver
	// connect dials an address that was judged; the guard judges once more what
	// the socket connects to.
	connect func(ctx context.Context, network, address string) (net.Conn, error)
}

func newDialer(guard *Guard, resolver Resolver) *dialer {
	own := &net.Dialer{
		Timeout: dialWithin,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return &RefusedError{Address: address, Why: "it is no address"}
			}
			return guard.Check(at.Addr())
		},
	}
	return &dialer{guard: guard, resolver: resolver, connect: own.DialContext}
}

// dial resolves, judges, and connects to what was judged: to the first of the
// allowed addresses that takes the connection.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &RefusedError{Address: address, Why: "it is no host and port"}
	}
	var found []netip.Addr
	if literal, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{literal}
	} else if found, err = d.resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, fmt.Errorf("resolve: %w", err)
	}
	var failures []error
	for _, addr := range found[:min(len(found), maxAddresses)] {
		if err := d.guard.Check(addr); err != nil {
			failures = append(failures, err)
			continue
		}
		conn, err := d.connect(ctx, network, net.JoinHostPort(addr.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(failures) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	return nil, errors.Join(failures...)
}
