package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
	"github.com/rightsizer/rightsizer/server/tlsconf"
)

// transport is how a listener's bytes travel.
type transport string

const (
	clearText  transport = "clear text"
	fromFiles  transport = "TLS"
	selfSigned transport = "TLS, self-signed"
)

// exposure is what follows from an address for who gets in, and how.
type exposure struct {
	loopback  bool
	open      bool
	transport transport
}

// expose decides for one address. On loopback the API is open, unless somebody set
// up who gets in, and in clear text, unless a certificate is given or clients'
// certificates are wanted. Anywhere else it is closed to those who are not known
// and speaks TLS, and each of the two is given up only by a flag of its own.
func expose(cfg *config.Config, address string) exposure {
	e := exposure{loopback: config.IsLoopback(address), transport: clearText}
	e.open = opened(cfg, e.loopback)
	switch {
	case cfg.TLSCertFile != "":
		e.transport = fromFiles
	case !e.loopback && !cfg.InsecurePlaintext, cfg.ClientCAFile != "":
		e.transport = selfSigned
	}
	return e
}

// announce logs what the operator should know about his own door.
func (e exposure) announce(ctx context.Context, logger *slog.Logger, key string, addr net.Addr, known auth.Authenticator) {
	logger.InfoContext(ctx, "listening", slog.String("flag", "--"+key), slog.String("address", addr.String()),
		slog.String("transport", string(e.transport)), slog.Bool("open", e.open))
	switch {
	case e.open && e.loopback:
		logger.WarnContext(ctx, "the API is open: whoever is on this machine may call it",
			slog.String("flag", "--"+key))
	case e.open:
		logger.WarnContext(ctx, "the API is open to everybody who reaches the address, as --insecure-no-auth asks",
			slog.String("flag", "--"+key), slog.String("address", addr.String()))
	case known == auth.Closed{}:
		logger.WarnContext(ctx, "the API is closed: every call is refused, for no authenticator is configured; "+
			"listen on a loopback address, or use --insecure-no-auth to let everybody in", slog.String("flag", "--"+key))
	}
}

// sameMachine refuses requests that a browser was tricked into: a page whose
// host name was made to point to 127.0.0.1 (DNS rebinding) is of the same origin
// to the browser, but its requests carry that name.
func sameMachine(next http.Handler) http.Handler {
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if bare, _, err := net.SplitHostPort(host); err == nil {
			host = bare
		}
		if host != "" && !config.IsLoopback(net.JoinHostPort(trimBrackets(host), "0")) {
			_ = writer.Write(w, r, rpcerr.New(connect.CodePermissionDenied, "FOREIGN_HOST",
				"what asks nobody who he is answers only to localhost and loopback addresses; use --insecure-no-auth to lift this"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// selfSignedConfig makes the certificate and logs its fingerprint, by which a
// client can tell it from another's.
func selfSignedConfig(ctx context.Context, logger *slog.Logger, addresses ...string) (*tls.Config, error) {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
			hosts = append(hosts, host)
		}
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, addr := range addrs {
			if ip, ok := addr.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
				hosts = append(hosts, ip.IP.String())
			}
		}
	}
	certificate, err := tlsconf.SelfSigned(hosts, time.Now())
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	logger.WarnContext(ctx, "the certificate is self-signed: clients must compare its fingerprint; --tls-cert-file gives a real one",
		slog.String("sha256", tlsconf.Fingerprint(certificate)))
	return tlsconf.Config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }), nil
}
