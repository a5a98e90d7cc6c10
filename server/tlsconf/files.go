package tlsconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/server/follow"
)

// Files serves a certificate from two PEM files and follows them.
type Files struct {
	files   *follow.Files[*tls.Certificate]
	reloads *prometheus.CounterVec
}

// FromFiles reads the pair, which must be usable now. Run follows the files.
func FromFiles(certFile, keyFile string, logger *slog.Logger, registerer prometheus.Registerer) (*Files, error) {
	f := &Files{reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rightsizer_tls_reloads_total",
		Help: "Changed certificate files by result: ok is in force, refused left the former pair in force.",
	}, []string{"result"})}
	var err error
	f.files, err = follow.New(follow.Options[*tls.Certificate]{
		Paths: []string{certFile, keyFile}, What: "certificate", Logger: logger,
		Parse: func(contents [][]byte) (*tls.Certificate, error) {
			return readPair(certFile, keyFile, contents[0], contents[1])
		},
		Changed: func(pair *tls.Certificate, err error) {
			if err != nil {
				f.reloads.WithLabelValues("refused").Inc()
				return
			}
			f.reloads.WithLabelValues("ok").Inc()
			logger.Info("the new certificate is in force",
				slog.String("fingerprint", Fingerprint(pair)), slog.Time("expires", pair.Leaf.NotAfter))
		},
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the files
	}
	for _, result := range []string{"ok", "refused"} {
		f.reloads.WithLabelValues(result) // so that the series exist from the start
	}
	expiry := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rightsizer_tls_certificate_expiry_timestamp_seconds",
		Help: "When the certificate in force expires, in seconds since 1970.",
	}, func() float64 { return float64(f.files.Current().Leaf.NotAfter.Unix()) })
	for _, c := range []prometheus.Collector{f.reloads, expiry} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("tlsconf: register metrics: %w", err)
		}
	}
	return f, nil
}

// Certificate returns the pair in force; it is a [Getter].
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.files.Current(), nil
}

// Run follows the files until ctx ends.
func (f *Files) Run(ctx context.Context) error { return f.files.Run(ctx) } //nolint:wrapcheck // a transparent wrapper

func readPair(certFile, keyFile string, cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("certificate %s: %w", certFile, err)
		}
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("certificate %s expired at %s", certFile, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &pair, nil
}

// Roots reads a file of certificates to trust, once; it must hold at least one.
func Roots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	return pool(file, pem)
}

func pool(file string, pem []byte) (*x509.CertPool, error) {
	out := x509.NewCertPool()
	if !out.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in PEM in " + file)
	}
	return out, nil
}

// Authorities are the certificates of those who may vouch for others, such as
// clients, from a PEM file that is followed.
type Authorities struct {
	files *follow.Files[*x509.CertPool]
}

// AuthoritiesFrom reads the file, which must hold at least one certificate now.
// Run follows it. what says who they are, for the log: "clients' authorities".
func AuthoritiesFrom(file, what string, logger *slog.Logger) (*Authorities, error) {
	files, err := follow.New(follow.Options[*x509.CertPool]{
		Paths: []string{file}, What: what, Logger: logger,
		Parse: func(contents [][]byte) (*x509.CertPool, error) {
			return pool(file, contents[0])
		},
		Changed: func(_ *x509.CertPool, err error) {
			if err == nil {
				logger.Info("new authorities are in force", slog.String("of", what))
			}
		},
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	return &Authorities{files: files}, nil
}

// Pool returns the authorities in force. It is another pool after each change.
func (a *Authorities) Pool() *x509.CertPool { return a.files.Current() }

// Refused is why the file as it is now is not in force; nil where it is.
func (a *Authorities) Refused() *follow.Refusal { return a.files.Refused() }

// Run follows the file until ctx ends.
func (a *Authorities) Run(ctx context.Context) error { return a.files.Run(ctx) } //nolint:wrapcheck // a transparent wrapper
