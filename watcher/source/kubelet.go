package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// KubeletOptions say how kubelets are reached.
type KubeletOptions struct {
	// Config is the API server's: its credentials are shown to kubelets too, which
	// ask the API server about them.
	Config *rest.Config
	// CAFile verifies the kubelets' certificates. Empty: the API server's own.
	CAFile string
	// Insecure takes any certificate. Whoever stands between then gets the token.
	Insecure bool
	// Timeout bounds one request, 10 s by default.
	Timeout time.Duration
	// Now tells the time of samples that bear none. Default: time.Now.
	Now func() time.Time
}

// Kubelets asks kubelets at their nodes' addresses. The sources of its files
// share it.
type Kubelets struct {
	client *http.Client
	now    func() time.Time
}

// NewKubelets makes the client; it contacts nobody.
func NewKubelets(o KubeletOptions) (*Kubelets, error) {
	if o.Config == nil {
		return nil, errors.New("kubelets: Config is required")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	own := rest.CopyConfig(o.Config)
	// The name that the API server's certificate is checked for is not theirs.
	own.ServerName = ""
	switch {
	case o.Insecure:
		own.Insecure, own.CAFile, own.CAData = true, "", nil
	case o.CAFile != "":
		own.Insecure, own.CAFile, own.CAData = false, o.CAFile, nil
	}
	transport := own.Transport
	if transport == nil {
		config, err := rest.TLSConfigFor(own)
		if err != nil {
			return nil, fmt.Errorf("kubelets: %w", err)
		}
		transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:     config,
			TLSHandshakeTimeout: 5 * time.Second,
			// A connection holds about 40 KiB, and a node is asked every half minute:
			// it is cheaper to shake hands again than to keep a thousand of them.
			MaxIdleConns: 16, MaxIdleConnsPerHost: 1, IdleConnTimeout: 5 * time.Second,
			ResponseHeaderTimeout: o.Timeout,
		}
	}
	wrapped, err := rest.HTTPWrappersForConfig(own, transport)
	if err != nil {
		return nil, fmt.Errorf("kubelets: %w", err)
	}
	return &Kubelets{now: o.Now, client: &http.Client{
		Transport: wrapped, Timeout: o.Timeout,
		// A token must not follow a kubelet's pointer to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets go of idle connections.
func (k *Kubelets) Close() { k.client.CloseIdleConnections() }

// get asks a kubelet and hands its answer to read, at most so many bytes.
func (k *Kubelets) get(ctx context.Context, t *Target, path, accept string, most int64, read func(io.Reader) error) error {
	if t.Host == "" || t.Port <= 0 {
		return fmt.Errorf("node %s tells no address or port of its kubelet", t.Node)
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("node %s names %.80q as path of its metrics, want one that begins with /", t.Node, path)
	}
	at := url.URL{Scheme: "https", Host: net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))), Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", accept)
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 256))
		return &StatusError{Code: resp.StatusCode, Path: path, Text: strings.TrimSpace(string(text))}
	}
	return read(newBounded(resp.Body, most))
}

// StatusError is an answer other than 200.
type StatusError struct {
	Code int
	Path string
	// Text is the beginning of what it said.
	Text string
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("GET %s: %d %s", e.Path, e.Code, http.StatusText(e.Code))
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}
