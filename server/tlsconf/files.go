package tlsconf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// settle is how long the folders must be quiet before the files are read:
	// certificate and key are written one after the other.
	settle = 200 * time.Millisecond
	// recheck is how often the files are read without a notice, for links out
	// of the folders that are watched.
	recheck = time.Minute
)

// Files serves a certificate from two PEM files and follows them.
type Files struct {
	certFile, keyFile string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	seen              [sha256.Size]byte // hash of the bytes read last; Run's goroutine alone touches it
	reloads           *prometheus.CounterVec
}

// FromFiles reads the pair, which must be usable now. Run follows the files.
func FromFiles(certFile, keyFile string, logger *slog.Logger, registerer prometheus.Registerer) (*Files, error) {
	f := &Files{
		certFile: certFile, keyFile: keyFile, logger: logger,
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_tls_reloads_total",
			Help: "Changed certificate files by result: ok is in force, refused left the former pair in force.",
		}, []string{"result"}),
	}
	pair, seen, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(pair)
	f.seen = seen
	for _, result := range []string{"ok", "refused"} {
		f.reloads.WithLabelValues(result) // so that the series exist from the start
	}
	expiry := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rightsizer_tls_certificate_expiry_timestamp_seconds",
		Help: "When the certificate in force expires, in seconds since 1970.",
	}, func() float64 { return float64(f.current.Load().Leaf.NotAfter.Unix()) })
	for _, c := range []prometheus.Collector{f.reloads, expiry} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("tlsconf: register metrics: %w", err)
		}
	}
	return f, nil
}

// Certificate returns the pair in force; it is a [Getter].
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// Run follows the files until ctx ends. It watches their folders, not the files:
// Kubernetes mounts a Secret as links into a folder that it swaps as a whole.
func (f *Files) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		f.logger.WarnContext(ctx, "certificate files are only read once a minute: no notices of changes", slog.Any("error", err))
		return f.poll(ctx, nil, nil)
	}
	defer func() { _ = watcher.Close() }()
	for _, folder := range []string{filepath.Dir(f.certFile), filepath.Dir(f.keyFile)} {
		if err := watcher.Add(folder); err != nil {
			f.logger.WarnContext(ctx, "a certificate's folder cannot be watched; its files are read once a minute",
				slog.String("folder", folder), slog.Any("error", err))
		}
	}
	f.check(ctx) // what changed between FromFiles and now
	return f.poll(ctx, watcher.Events, watcher.Errors)
}

func (f *Files) poll(ctx context.Context, changes <-chan fsnotify.Event, failures <-chan error) error {
	quiet := time.NewTimer(settle)
	quiet.Stop()
	defer quiet.Stop()
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
			quiet.Reset(settle)
		case err := <-failures:
			f.logger.WarnContext(ctx, "a notice of changed certificate files was lost", slog.Any("error", err))
			quiet.Reset(settle)
		case <-quiet.C:
			f.check(ctx)
		case <-tick.C:
			f.check(ctx)
		}
	}
}

// check reads the files and takes them where they are new and usable.
func (f *Files) check(ctx context.Context) {
	pair, seen, err := f.read()
	if seen == f.seen {
		return
	}
	f.seen = seen
	if err != nil {
		f.reloads.WithLabelValues("refused").Inc()
		f.logger.ErrorContext(ctx, "the new certificate is refused; the former one stays in force", slog.Any("error", err))
		return
	}
	f.current.Store(pair)
	f.reloads.WithLabelValues("ok").Inc()
	f.logger.InfoContext(ctx, "the new certificate is in force",
		slog.String("fingerprint", Fingerprint(pair)), slog.Time("expires", pair.Leaf.NotAfter))
}

// read reads both files. The hash is of what was read, usable or not, so that a
// bad pair is reported once and not at every notice.
func (f *Files) read() (*tls.Certificate, [sha256.Size]byte, error) {
	cert, certErr := os.ReadFile(f.certFile)
	key, keyErr := os.ReadFile(f.keyFile)
	seen := sha256.Sum256(bytes.Join([][]byte{cert, key}, []byte{0}))
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, seen, fmt.Errorf("read the certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, seen, fmt.Errorf("certificate %s with key %s: %w", f.certFile, f.keyFile, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, seen, fmt.Errorf("certificate %s: %w", f.certFile, err)
		}
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return nil, seen, fmt.Errorf("certificate %s expired at %s", f.certFile, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &pair, seen, nil
}
