package auth

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
)

// Certificates identify clients by certificates of an authority: the common name
// is the user, the organizations are the groups, as in Kubernetes. Whoever sends
// a token as well is judged by the token alone.
type Certificates struct {
	// Authorities are those in force now.
	authorities func() *x509.CertPool
}

// NewCertificates makes the method; authorities returns those in force now.
func NewCertificates(authorities func() *x509.CertPool) *Certificates {
	return &Certificates{authorities: authorities}
}

// Name implements Method.
func (*Certificates) Name() string { return "certificate" }

// Identify implements Method. The chain is verified each time: an authority that
// was taken away, or a certificate that ran out, ends what it had opened.
func (m *Certificates) Identify(_ context.Context, c Credential) (*Identity, error) {
	if c.Token != "" || len(c.Certificates) == 0 {
		return nil, nil //nolint:nilnil // none of its kind
	}
	leaf := c.Certificates[0]
	between := x509.NewCertPool()
	for _, certificate := range c.Certificates[1:] {
		between.AddCert(certificate)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: m.authorities(), Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	id := &Identity{User: leaf.Subject.CommonName, Groups: leaf.Subject.Organization, Expires: leaf.NotAfter}
	return id, foreign(id)
}

// systemPrefix begins the names that Kubernetes itself gives out. Only its own
// tokens may carry them: an authority or an issuer beside it would otherwise make
// members of system:masters.
const systemPrefix = "system:"

func foreign(id *Identity) error {
	for _, name := range append([]string{id.User}, id.Groups...) {
		if strings.HasPrefix(name, systemPrefix) {
			return fmt.Errorf("%w: a name that only the cluster gives out", errRefused)
		}
	}
	return nil
}
