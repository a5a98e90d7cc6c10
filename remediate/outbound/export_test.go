package outbound

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Sign signs as an Endpoint with these secrets does.
func Sign(secrets, id string, at time.Time, body []byte) (http.Header, error) {
	s, err := newSigner(secrets)
	header := http.Header{}
	s.sign(header, id, at, body)
	return header, err
}

// Connect dials without judging first: the socket's own judgement is left.
func Connect(ctx context.Context, g *Guard, address string) (net.Conn, error) {
	return newDialer(g, nil).connect(ctx, "tcp", address)
}

// RetryAfter reads the header.
var RetryAfter = retryAfter
