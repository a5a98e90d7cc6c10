package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// askWithin bounds one question to the API server, and the handshake with a pod.
const askWithin = 15 * time.Second

// Error is a failure on the way to the operator.
type Error struct{ Err error }

// Error implements error.
func (e *Error) Error() string {
	return "cannot reach the operator through its cluster: " + e.Err.Error()
}

// Unwrap gives what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// Options say where the operator is.
type Options struct {
	// Config is how the cluster is reached. Required.
	Config *rest.Config
	// Namespace is where the operator's pods are. Required.
	Namespace string
}

// Tunnel leads to the operator. Make it with New and close it.
type Tunnel struct {
	opts         Options
	core, leases rest.Interface
	open         context.Context //nolint:containedctx // ends with Close, and dials with it
	end          context.CancelCauseFunc

	mu       sync.Mutex
	link     httpstream.Connection // nil before the first dial
	target   target
	requests int // numbers the pairs of streams of a link
}

// New prepares a tunnel; it asks nobody yet.
func New(opts Options) (*Tunnel, error) {
	if opts.Config == nil || opts.Namespace == "" {
		return nil, errors.New("tunnel: Config and Namespace must be set")
	}
	t := &Tunnel{opts: opts}
	t.open, t.end = context.WithCancelCause(context.Background())
	var err error
	if t.core, err = client(opts.Config, "/api", corev1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	t.leases, err = client(opts.Config, "/apis", coordinationv1.SchemeGroupVersion)
	return t, err
}

func client(config *rest.Config, path string, version schema.GroupVersion) (rest.Interface, error) {
	own := rest.CopyConfig(config)
	own.APIPath, own.GroupVersion, own.NegotiatedSerializer = path, &version, scheme.Codecs.WithoutConversion()
	own.Timeout = askWithin
	made, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return made, nil
}

// DialContext connects to the API of the operator's pod, whatever the address, as
// http.Transport wants it. Its errors are of type *Error; they name the pod and say
// what the kubelet said.
func (t *Tunnel) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.open, func() { cancel(errClosed) })()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open.Err() != nil {
		return nil, &Error{errClosed}
	}
	if err := t.connect(ctx); err != nil {
		if t.open.Err() != nil {
			err = errClosed
		}
		return nil, &Error{err}
	}
	t.requests++
	c, err := newConn(t.link, t.target, t.requests)
	if err != nil {
		_ = t.link.Close() // the next dial begins anew
		return nil, &Error{fmt.Errorf("forward to pod %s: %w", t.target.pod, err)}
	}
	return c, nil
}

// connect makes the link where there is none that works.
func (t *Tunnel) connect(ctx context.Context) error {
	if t.link != nil {
		select {
		case <-t.link.CloseChan():
			t.link = nil
		default:
			return nil
		}
	}
	found, err := t.find(ctx)
	if err != nil {
		return err
	}
	link, err := t.forward(ctx, found)
	if err != nil {
		return fmt.Errorf("forward to pod %s: %w", found.pod, err)
	}
	t.link, t.target, t.requests = link, found, 0
	return nil
}

// forward asks for the link: over WebSocket, and over SPDY alone where the API
// server, or a proxy before it, knows no better.
func (t *Tunnel) forward(ctx context.Context, to target) (httpstream.Connection, error) {
	url := t.core.Post().Namespace(t.opts.Namespace).Resource("pods").Name(to.pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(t.opts.Config)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the pod
	}
	socket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, t.opts.Config)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the pod
	}
	plain := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	dialer := portforward.NewFallbackDialerForStreaming(socket, plain, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	type dialed struct {
		link httpstream.Connection
		err  error
	}
	done := make(chan dialed, 1)
	// client-go's dialers take no context. Who is no longer waited for is closed when
	// he comes.
	go func() {
		link, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		done <- dialed{link, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	select {
	case d := <-done:
		return d.link, d.err
	case <-ctx.Done():
		go func() {
			if d := <-done; d.err == nil {
				_ = d.link.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// SpeaksTLS asks the operator's port whether it speaks TLS. It may not where a mesh
// or an ingress ends it; the way there is the cluster's own in both cases.
func (t *Tunnel) SpeaksTLS(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	raw, err := t.DialContext(ctx, "", "")
	if err != nil {
		return false, err
	}
	defer func() { _ = raw.Close() }()
	// Nothing is sent to whoever answers; only how he answers counts.
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}) //nolint:gosec // see above
	switch err := conn.HandshakeContext(ctx); {
	case err == nil:
		return true, nil
	case isPlain(err):
		return false, nil
	default:
		return false, &Error{fmt.Errorf("ask for TLS: %w", err)}
	}
}

func isPlain(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

var errClosed = fmt.Errorf("the tunnel is closed: %w", net.ErrClosed)

// Close ends the tunnel, every connection through it and every dial; a later dial
// fails with [net.ErrClosed].
func (t *Tunnel) Close() error {
	t.end(errClosed) // before the lock, which a dial holds
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.link == nil {
		return nil
	}
	return t.link.Close() //nolint:wrapcheck // nothing to add
}
