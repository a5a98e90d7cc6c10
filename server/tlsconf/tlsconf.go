package tlsconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// Getter returns the certificate of a handshake; it has the shape of
// tls.Config.GetCertificate.
type Getter func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// Config is the server's TLS: version 1.3, HTTP/2 and HTTP/1.1 by ALPN.
func Config(get Getter) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: get,
	}
}

// WithClients is conf, which asks clients for a certificate of one of the
// authorities that pool returns. A client without one gets in as far as TLS is
// concerned; one with a certificate of somebody else does not. Open connections
// are not cut when the pool changes: whoever asks who is calling verifies anew.
func WithClients(conf *tls.Config, pool func() *x509.CertPool) *tls.Config {
	var current atomic.Pointer[tls.Config]
	out := conf.Clone()
	out.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		authorities := pool()
		if now := current.Load(); now != nil && now.ClientCAs == authorities {
			return now, nil // the same one, so that sessions can be resumed
		}
		made := conf.Clone()
		made.ClientAuth, made.ClientCAs = tls.VerifyClientCertIfGiven, authorities
		current.Store(made)
		return made, nil
	}
	return out
}

// selfSignedFor is how long a certificate that signs itself is good: longer than
// any process lives, since it is made anew at each start.
const selfSignedFor = 10 * 365 * 24 * time.Hour

// SelfSigned makes a certificate for the given host names and addresses that
// nobody vouches for; a client compares its [Fingerprint]. The key never leaves
// the process.
func SelfSigned(hosts []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "rightsizer"},
		NotBefore:             now.Add(-time.Hour), // clocks differ
		NotAfter:              now.Add(selfSignedFor),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate back: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// Fingerprint is the SHA-256 of the certificate in pairs of hexadecimal digits,
// as browsers and `openssl x509 -fingerprint -sha256` show it.
func Fingerprint(certificate *tls.Certificate) string {
	sum := sha256.Sum256(certificate.Certificate[0])
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	var out strings.Builder
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			out.WriteByte(':')
		}
		out.WriteString(digits[i : i+2])
	}
	return out.String()
}
