package devcluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// retryAfterSeconds is what the placeholder tells clients to wait.
const retryAfterSeconds = 1

// placeholder answers on kube-apiserver's port, with its certificate, until
// kube-apiserver is there: every request gets 503 and a Status whose message
// says how far the cluster is.
type placeholder struct {
	server *http.Server
	served chan struct{} // closed when the serving goroutine has ended

	mu      sync.Mutex
	message string
}

// startPlaceholder serves on l until stop.
func startPlaceholder(l net.Listener, cert tls.Certificate) *placeholder {
	p := &placeholder{served: make(chan struct{}), message: "devcluster is being prepared"}
	p.server = &http.Server{
		Handler:           p,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that come without TLS are no news
	}
	go func() {
		defer close(p.served)
		_ = p.server.ServeTLS(l, "", "") // ends with ErrServerClosed in stop
	}()
	return p
}

// say sets the message that requests get from now on.
func (p *placeholder) say(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.message = message
}

// ServeHTTP answers any request with the Status.
func (p *placeholder) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	message := p.message
	p.mu.Unlock()
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure,
		Message:  message,
		Reason:   metav1.StatusReasonServiceUnavailable,
		Details:  &metav1.StatusDetails{RetryAfterSeconds: retryAfterSeconds},
		Code:     http.StatusServiceUnavailable,
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	// The port changes hands soon: no client should keep a connection to us.
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(status) // a client that has gone needs no answer
}

// stop frees the port and returns when nothing of the placeholder is left.
func (p *placeholder) stop() error {
	err := p.server.Close()
	<-p.served
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !isClosed(err) {
		return fmt.Errorf("close the placeholder of the API server: %w", err)
	}
	return nil
}

// waitFor calls ready every interval until it returns true, an error that is
// final, or the context ends.
func waitFor(ctx context.Context, interval time.Duration, ready func() (bool, error)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		ok, err := ready()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
