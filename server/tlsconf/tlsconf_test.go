package tlsconf_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rightsizer/rightsizer/server/tlsconf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret lays a pair out as Kubernetes mounts a Secret: links into a folder that
// is swapped as a whole.
type secret struct {
	folder  string
	version int
}

func (s *secret) path(name string) string { return filepath.Join(s.folder, name) }

func (s *secret) write(t *testing.T, cert, key []byte) {
	t.Helper()
	s.version++
	data := filepath.Join(s.folder, ".."+string(rune('a'+s.version)))
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(data, "tls.crt"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(data, "tls.key"), key, 0o600))
	tmp := s.path("..data_tmp")
	require.NoError(t, os.Symlink(filepath.Base(data), tmp))
	require.NoError(t, os.Rename(tmp, s.path("..data")))
	for _, name := range []string{"tls.crt", "tls.key"} {
		if _, err := os.Lstat(s.path(name)); err != nil {
			require.NoError(t, os.Symlink(filepath.Join("..data", name), s.path(name)))
		}
	}
}

func pair(t *testing.T, now time.Time) (cert, key []byte, fingerprint string) {
	t.Helper()
	made, err := tlsconf.SelfSigned([]string{"127.0.0.1", "localhost"}, now)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), tlsconf.Fingerprint(made)
}

// syncBuffer is a log that tests read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestFilesAreFollowedUnderAnOpenStream(t *testing.T) {
	s := &secret{folder: t.TempDir()}
	cert1, key1, print1 := pair(t, time.Now())
	s.write(t, cert1, key1)
	log := &syncBuffer{}
	registry := prometheus.NewRegistry()
	files, err := tlsconf.FromFiles(s.path("tls.crt"), s.path("tls.key"), slog.New(slog.NewTextHandler(log, nil)), registry)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- files.Run(ctx) }()

	next := make(chan string)
	server := &http.Server{ReadHeaderTimeout: time.Second, TLSConfig: tlsconf.Config(files.Certificate), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w).Flush
		_ = flush()
		for {
			select {
			case text := <-next:
				_, _ = io.WriteString(w, text)
				_ = flush()
			case <-r.Context().Done():
				return
			}
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}
	stream, err := (&http.Client{Transport: transport}).Get("https://" + listener.Addr().String())
	require.NoError(t, err)
	assert.Equal(t, 2, stream.ProtoMajor)
	assert.Equal(t, uint16(tls.VersionTLS13), stream.TLS.Version)
	defer func() {
		_ = stream.Body.Close()
		transport.CloseIdleConnections()
		_ = server.Close()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		cancel()
		require.NoError(t, <-done)
	}()
	hear := func(text string) {
		t.Helper()
		next <- text
		got := make([]byte, len(text))
		_, err := io.ReadFull(stream.Body, got)
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
	handshake := func() string {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		return tlsconf.Fingerprint(&tls.Certificate{Certificate: [][]byte{conn.ConnectionState().PeerCertificates[0].Raw}})
	}
	hear("before")
	assert.Equal(t, print1, handshake())

	cert2, key2, print2 := pair(t, time.Now())
	s.write(t, cert2, key2)
	require.Eventually(t, func() bool { return handshake() == print2 }, 10*time.Second, 20*time.Millisecond)
	hear("after the change")

	s.write(t, cert1, key2) // not a pair
	require.Eventually(t, func() bool { return reloads(t, registry, "refused") == 1 }, 10*time.Second, 20*time.Millisecond)
	assert.Equal(t, print2, handshake(), "the former pair stays")
	hear("after the refusal")
	assert.Contains(t, log.String(), "the former ones stay in force")

	expired, expiredKey, _ := pair(t, time.Now().AddDate(-11, 0, 0))
	s.write(t, expired, expiredKey)
	require.Eventually(t, func() bool { return reloads(t, registry, "refused") == 2 }, 10*time.Second, 20*time.Millisecond)
	assert.Equal(t, print2, handshake())
	assert.InDelta(t, 1, reloads(t, registry, "ok"), 0)
	hear("at the end")
}

func reloads(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "rightsizer_tls_reloads_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestFromFilesRefusesWhatCannotServe(t *testing.T) {
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	cert, key, _ := pair(t, time.Now())
	_, otherKey, _ := pair(t, time.Now())
	old, oldKey, _ := pair(t, time.Now().AddDate(-11, 0, 0))
	for name, data := range map[string][]byte{"cert": cert, "key": key, "otherkey": otherKey, "old": old, "oldkey": oldKey, "text": []byte("hello")} {
		require.NoError(t, os.WriteFile(path(name), data, 0o600))
	}
	for want, files := range map[string][2]string{
		"no such file":           {path("none"), path("key")},
		"does not match":         {path("cert"), path("otherkey")},
		"expired at":             {path("old"), path("oldkey")},
		"failed to find any PEM": {path("text"), path("key")},
	} {
		_, err := tlsconf.FromFiles(files[0], files[1], slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.ErrorContains(t, err, want)
	}
}

func TestSelfSigned(t *testing.T) {
	made, err := tlsconf.SelfSigned([]string{"example.test", "::1"}, time.Now())
	require.NoError(t, err)
	require.NoError(t, made.Leaf.VerifyHostname("example.test"))
	require.NoError(t, made.Leaf.VerifyHostname("::1"))
	assert.Regexp(t, `^([0-9A-F]{2}:){31}[0-9A-F]{2}$`, tlsconf.Fingerprint(made))
}

func TestRoots(t *testing.T) {
	cert, key, _ := pair(t, time.Now())
	folder := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	roots, err := tlsconf.Roots(file("ca.crt", cert))
	require.NoError(t, err)
	want := x509.NewCertPool()
	require.True(t, want.AppendCertsFromPEM(cert))
	assert.True(t, roots.Equal(want))

	_, err = tlsconf.Roots(file("ca.key", key))
	require.EqualError(t, err, "no certificate in PEM in "+filepath.Join(folder, "ca.key"))
	_, err = tlsconf.Roots(filepath.Join(folder, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
