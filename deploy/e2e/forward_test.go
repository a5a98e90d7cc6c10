package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// podsNamespace is where pods stand for the operator: what is forwarded to their
// ports reaches whom forwarded leads to.
const podsNamespace = "rightsizer-in-pods"

// forwarded is where the simulated kubelets lead what is forwarded to pods of
// podsNamespace. They have no containers to lead it to.
var forwarded *forwarding

type forwarding struct {
	listener net.Listener
	to       atomic.Pointer[string] // host:port; nil leads nowhere
}

func newForwarding() (*forwarding, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &forwarding{listener: l}
	go func() { // ends with the tests
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go f.carry(from)
		}
	}()
	return f, nil
}

// rule is what the simulated kubelets are told.
func (f *forwarding) rule() string {
	address := f.listener.Addr().(*net.TCPAddr)
	return fmt.Sprintf(`apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterPortForward
metadata: {name: operator}
spec:
  selector: {matchNamespaces: [%s]}
  forwards:
  - target: {address: %s, port: %d}
`, podsNamespace, address.IP, address.Port)
}

func (f *forwarding) carry(from net.Conn) {
	defer from.Close() //nolint:errcheck // ended
	address := f.to.Load()
	if address == nil {
		return
	}
	var dialer net.Dialer
	to, err := dialer.DialContext(context.Background(), "tcp", *address)
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // ended
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			_ = way[1].Close()
		})
	}
	both.Wait()
}
