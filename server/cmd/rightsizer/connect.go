package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
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
)

// connectFlags say where the operator is, and how it is known.
type connectFlags struct {
	server      string
	caFile      string
	fingerprint string
	tokenFile   string
}

func (o *connectFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "http://localhost:9090", "address of the operator")
	f.StringVar(&o.caFile, "server-ca-file", "", "certificates in PEM that vouch for the operator")
	f.StringVar(&o.fingerprint, "server-fingerprint", "", "SHA-256 of the operator's certificate, as its log shows it")
	f.StringVar(&o.tokenFile, "token-file", "", "file with a token for the operator, as kubectl create token --audience=rightsizer.dev makes it; read anew for each request")
}

// http is a client for the operator, for a client of one of its services at
// o.server.
func (o *connectFlags) http() (*http.Client, error) {
	server, err := url.Parse(o.server)
	if err != nil || server.Host == "" || !slices.Contains([]string{"http", "https"}, server.Scheme) {
		return nil, fmt.Errorf("--server: wants a URL such as http://localhost:9090, not %s", codec.Quote(o.server))
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("no HTTP transport")
	}
	transport = transport.Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("--server-ca-file: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("--server-ca-file: wants certificates in PEM")
		}
	}
	if o.fingerprint != "" {
		if err := pin(transport.TLSClientConfig, o.fingerprint); err != nil {
			return nil, err
		}
	}
	if o.tokenFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	if server.Scheme != "https" && !config.IsLoopback(net.JoinHostPort(server.Hostname(), "0")) {
		return nil, errors.New("--token-file: wants an https --server, or one on this machine: a token is not sent in clear text")
	}
	return &http.Client{Transport: withToken{RoundTripper: transport, file: o.tokenFile}}, nil
}

// withToken sends a token with each request. It is in a file, not in an argument
// that everybody on the machine could read, and may be renewed while a stream is
// followed.
type withToken struct {
	http.RoundTripper

	file string
}

// RoundTrip implements http.RoundTripper.
func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := os.ReadFile(t.file)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return t.RoundTripper.RoundTrip(r) //nolint:wrapcheck // a transparent wrapper
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
