package devcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is how long a cluster's certificates hold: far longer than a
// cluster of this kind lives, since they are made anew with each one.
const certificateLife = 365 * 24 * time.Hour

// pki is the certificate authority of one cluster and what it has signed. One
// authority serves all purposes; the names in the certificates tell them apart.
type pki struct {
	dir    string
	caCert *x509.Certificate
	caKey  *ecdsa.PrivateKey
	caPEM  []byte
}

// pair is a certificate with its private key, in PEM.
type pair struct{ cert, key []byte }

// certificate says what a certificate is for.
type certificate struct {
	name         string   // file name without extension
	commonName   string   // the user's name, for a client
	organization []string // the user's groups, for a client
	hosts        []string // DNS names and IP addresses, for a server
	client       bool
}

// newPKI makes an authority whose files lie in dir, which must exist.
func newPKI(dir string) (*pki, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "devcluster-ca"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(certificateLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the authority's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the authority's certificate: %w", err)
	}
	p := &pki{dir: dir, caCert: cert, caKey: key, caPEM: encodePEM("CERTIFICATE", der)}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := p.write("ca", pair{p.caPEM, keyPEM}); err != nil {
		return nil, err
	}
	return p, p.writeServiceAccountKey()
}

// issue signs a certificate, writes it and its key to NAME.crt and NAME.key,
// and returns both.
func (p *pki) issue(c certificate) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("make the key of certificate %s: %w", c.name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return pair{}, fmt.Errorf("make the serial number of certificate %s: %w", c.name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: c.commonName, Organization: c.organization},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	for _, h := range c.hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	if len(c.hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if c.client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.caCert, key.Public(), p.caKey)
	if err != nil {
		return pair{}, fmt.Errorf("sign certificate %s: %w", c.name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("certificate %s: %w", c.name, err)
	}
	made := pair{cert: encodePEM("CERTIFICATE", der), key: keyPEM}
	return made, p.write(c.name, made)
}

// writeServiceAccountKey makes the key pair that service account tokens are
// signed and checked with: sa.key and sa.pub.
func (p *pki) writeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service accounts' key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode the service accounts' public key: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeSecret(p.path("sa.key"), keyPEM); err != nil {
		return err
	}
	return writeSecret(p.path("sa.pub"), encodePEM("PUBLIC KEY", public))
}

func (p *pki) write(name string, made pair) error {
	if err := writeSecret(p.path(name+".crt"), made.cert); err != nil {
		return err
	}
	return writeSecret(p.path(name+".key"), made.key)
}

func (p *pki) path(file string) string { return filepath.Join(p.dir, file) }

// tls returns the pair in the form that a Go server takes.
func (made pair) tls() (tls.Certificate, error) {
	cert, err := tls.X509KeyPair(made.cert, made.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read back a certificate of ours: %w", err)
	}
	return cert, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return encodePEM("EC PRIVATE KEY", der), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// writeSecret writes a file that only its owner may read.
func writeSecret(path string, data []byte) error {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write a secret of the cluster: %w", err)
	}
	return nil
}
