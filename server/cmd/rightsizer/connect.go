package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/tlsconf"
)

// connectFlags say where the operator is, and how it is known.
type connectFlags struct {
	server      string
	caFile      string
	fingerprint string
	tokenFile   string
	cluster     clusterFlags
}

func (o *connectFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.server, serverFlag, "http://localhost:9090", "address of the operator; as kubectl plugin, or with --context or --kubeconfig, it is reached through the cluster unless this is set")
	f.StringVar(&o.caFile, "server-ca-file", "", "certificates in PEM that vouch for the operator")
	f.StringVar(&o.fingerprint, "server-fingerprint", "", "SHA-256 of the operator's certificate, as its log shows it")
	f.StringVar(&o.tokenFile, "token-file", "", "file with a token for the operator, as kubectl create token --audience=rightsizer.dev makes it; read anew for each request")
	o.cluster.add(cmd)
}

const serverFlag = "server"

// connection is a way to the operator.
type connection struct {
	// client and url are for a client of one of its services.
	client *http.Client
	url    string
	// namespace is the one that stands for none given; empty where that is all.
	namespace string
	close     func()
}

// connect finds the operator: at its address, or through the cluster. The error is a
// usageError where flags are wrong. The caller closes the connection.
func (o *connectFlags) connect(cmd *cobra.Command) (*connection, error) {
	through, err := o.cluster.wanted(cmd)
	if err != nil {
		return nil, usageError{err}
	}
	if through {
		return o.throughCluster(cmd.Context())
	}
	client, err := o.direct()
	if err != nil {
		return nil, usageError{err}
	}
	return &connection{client: client, url: o.server, close: client.CloseIdleConnections}, nil
}

// direct is a client for the operator at o.server.
func (o *connectFlags) direct() (*http.Client, error) {
	server, err := url.Parse(o.server)
	if err != nil || server.Host == "" || !slices.Contains([]string{"http", "https"}, server.Scheme) {
		return nil, fmt.Errorf("--server: wants a URL such as http://localhost:9090, not %s", codec.Quote(o.server))
	}
	transport, err := o.transport()
	if err != nil {
		return nil, err
	}
	if o.tokenFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	if server.Scheme != "https" && !config.IsLoopback(net.JoinHostPort(server.Hostname(), "0")) {
		return nil, errors.New("--token-file: wants an https --server, or one on this machine: a token is not sent in clear text")
	}
	return &http.Client{Transport: withToken{RoundTripper: transport, token: o.tokenOfFile}, CheckRedirect: stay}, nil
}

// stay follows no redirect: the token is for the server that was named, and an operator
// sends none.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// transport trusts the certificates that the flags name, else the system's.
func (o *connectFlags) transport() (*http.Transport, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("no HTTP transport")
	}
	transport = transport.Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	if o.caFile != "" {
		var err error
		if transport.TLSClientConfig.RootCAs, err = tlsconf.Roots(o.caFile); err != nil {
			return nil, fmt.Errorf("--server-ca-file: %w", err)
		}
	}
	if o.fingerprint != "" {
		if err := pin(transport.TLSClientConfig, o.fingerprint); err != nil {
			return nil, err
		}
	}
	return transport, nil
}

// tokenOfFile reads a token. It is in a file, not in an argument that everybody on
// the machine could read, and may be renewed while a stream is followed.
func (o *connectFlags) tokenOfFile(context.Context) (string, error) {
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return strings.TrimSpace(string(token)), nil
}

// withToken sends a token with each request.
type withToken struct {
	http.RoundTripper

	token func(context.Context) (string, error)
}

// RoundTrip implements http.RoundTripper.
func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return t.RoundTripper.RoundTrip(r) //nolint:wrapcheck // a transparent wrapper
}

// CloseIdleConnections is what http.Client looks for.
func (t withToken) CloseIdleConnections() {
	if inner, ok := t.RoundTripper.(*http.Transport); ok {
		inner.CloseIdleConnections()
	}
}

// pin trusts the one certificate with this fingerprint and no other.
func pin(conf *tls.Config, fingerprint string) error {
	want, err := hex.DecodeString(strings.ReplaceAll(fingerprint, ":", ""))
	if err != nil || len(want) != sha256.Size {
		return errors.New("--server-fingerprint: wants 64 hexadecimal digits, with or without colons")
	}
	conf.InsecureSkipVerify = true // the fingerprint is compared instead
	conf.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server showed no certificate")
		}
		got := sha256.Sum256(state.PeerCertificates[0].Raw)
		if !slices.Equal(got[:], want) {
			return fmt.Errorf("the server's certificate has another fingerprint: %X", got)
		}
		return nil
	}
	return nil
}
