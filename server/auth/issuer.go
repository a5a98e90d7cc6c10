package auth

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync"
	"time"
)

// maxIssuerBytes bounds an answer of the issuer.
const maxIssuerBytes = 1 << 20

// issuerTransport carries questions to the issuer. It believes the authorities of
// now: where they change, connections that were made before are not used again. It
// ends an answer that is too long.
type issuerTransport struct {
	authorities func() *x509.CertPool

	mu       sync.Mutex
	current  *http.Transport
	believes *x509.CertPool
}

// RoundTrip implements http.RoundTripper.
func (i *issuerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := i.transport().RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxIssuerBytes)
	}
	return res, err //nolint:wrapcheck // a transparent wrapper
}

func (i *issuerTransport) transport() *http.Transport {
	pool := i.authorities()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current != nil && i.believes == pool {
		return i.current
	}
	if i.current != nil {
		i.current.CloseIdleConnections()
	}
	i.believes, i.current = pool, &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		MaxIdleConns:    4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
	return i.current
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (i *issuerTransport) CloseIdleConnections() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current != nil {
		i.current.CloseIdleConnections()
	}
}
