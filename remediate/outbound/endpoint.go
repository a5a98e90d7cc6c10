package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds of a request and its answer.
const (
	MaxRequest         = 256 << 10
	MaxAnswer          = 64 << 10
	maxAnswerHeaders   = 16 << 10
	maxID              = 256
	defaultTimeout     = 10 * time.Second
	longestTimeout     = time.Minute
	longestRetryAfter  = time.Hour
	idleConnections    = 2
	idleConnectionTime = 30 * time.Second
)

// Options say what is called, and how. URL and Guard are required.
type Options struct {
	// URL is where to post: https, or http where Plaintext is set.
	URL string
	// Guard judges the addresses.
	Guard *Guard
	// Secrets sign the requests, separated by white space: see newSigner. Empty
	// signs nothing.
	Secrets string
	// Mode is the form of the event; Structured by default.
	Mode Mode
	// Timeout bounds one delivery in all; 10 s by default, at most a minute.
	Timeout time.Duration
	// Plaintext allows http.
	Plaintext bool
	// RootCAs vouch for the endpoint; nil are those of the system.
	RootCAs *x509.CertPool
	// Resolver finds addresses; nil is that of the system.
	Resolver Resolver
	// UserAgent says who calls; "rightsizer" by default.
	UserAgent string
}

// Endpoint is one address that events are sent to. Close it in the end.
type Endpoint struct {
	url       string
	host      string
	signer    signer
	mode      Mode
	timeout   time.Duration
	userAgent string
	dialer    *dialer
	client    *http.Client
	transport *http.Transport
}

// NewEndpoint makes an Endpoint; it resolves and connects to nothing yet.
func NewEndpoint(opts Options) (*Endpoint, error) {
	if opts.Guard == nil {
		return nil, errors.New("outbound: Guard must be set")
	}
	target, err := parseURL(opts.URL, opts.Plaintext)
	if err != nil {
		return nil, err
	}
	signer, err := newSigner(opts.Secrets)
	if err != nil {
		return nil, err
	}
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Timeout < 0 || opts.Timeout > longestTimeout {
		return nil, fmt.Errorf("the timeout is %s; wants at most %s", opts.Timeout, longestTimeout)
	}
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "rightsizer"
	}
	e := &Endpoint{
		url: target.String(), host: target.Host, signer: signer, mode: opts.Mode, timeout: opts.Timeout,
		userAgent: opts.UserAgent, dialer: newDialer(opts.Guard, opts.Resolver),
	}
	e.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return e.dialer.dial(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: opts.RootCAs},
		TLSHandshakeTimeout:    opts.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // an answer that unpacks has no bound worth the name
		MaxResponseHeaderBytes: maxAnswerHeaders,
		MaxIdleConns:           idleConnections,
		IdleConnTimeout:        idleConnectionTime,
	}
	e.client = &http.Client{
		Transport:     e.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e, nil
}

func parseURL(raw string, plaintext bool) (*url.URL, error) {
	target, err := url.Parse(raw)
	schemes := "https"
	if plaintext {
		schemes = "https or http"
	}
	switch {
	case err != nil || target.Host == "" || target.Hostname() == "":
		return nil, errors.New("the URL wants the form https://host/path")
	case target.Scheme != "https" && (target.Scheme != "http" || !plaintext):
		return nil, fmt.Errorf("the URL's scheme is %q; wants %s", target.Scheme, schemes)
	case target.User != nil:
		return nil, errors.New("the URL has a user; requests are signed instead")
	case target.Fragment != "":
		return nil, errors.New("the URL has a fragment, which no server sees")
	}
	return target, nil
}

// Host is the host that is called, for logs: a path or a query may hold a secret.
func (e *Endpoint) Host() string { return e.host }

// Signed says whether requests are signed.
func (e *Endpoint) Signed() bool { return len(e.signer) > 0 }

// Close lets go of idle connections.
func (e *Endpoint) Close() { e.transport.CloseIdleConnections() }

// Answer is what a 2xx answer held.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// ContentType is that of the body.
	ContentType string
	// Body has at most 64 KiB.
	Body []byte
}

// DeliveryError says why an event was not delivered. It names the host and never
// the rest of the URL.
type DeliveryError struct {
	// Host is who was called.
	Host string
	// Status is the HTTP status, 0 where there was no answer.
	Status int
	// Again says whether a later attempt may succeed.
	Again bool
	// After is how long to wait before that, where the answer says; at most 1 h.
	After time.Duration
	// Err is why.
	Err error
}

// Error implements error.
func (e *DeliveryError) Error() string { return e.Host + ": " + e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *DeliveryError) Unwrap() error { return e.Err }

// Retry is After and Again, for callers that know no types of this package.
func (e *DeliveryError) Retry() (after time.Duration, again bool) { return e.After, e.Again }

// Send delivers an event, once. Its error is a [DeliveryError].
func (e *Endpoint) Send(ctx context.Context, event Event) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	req, err := e.request(ctx, event)
	if err != nil {
		return nil, &DeliveryError{Host: e.host, Err: err}
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, e.noAnswer(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, e.refused(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return nil, e.noAnswer(err)
	}
	if len(body) > MaxAnswer {
		return nil, &DeliveryError{Host: e.host, Status: resp.StatusCode, Err: fmt.Errorf("the answer has more than %d bytes", MaxAnswer)}
	}
	return &Answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Body: body}, nil
}

func (e *Endpoint) request(ctx context.Context, event Event) (*http.Request, error) {
	if len(event.ID) > maxID {
		return nil, fmt.Errorf("the event's id has %d bytes, at most %d are allowed", len(event.ID), maxID)
	}
	header := http.Header{"User-Agent": {e.userAgent}}
	body, err := event.encode(e.mode, header)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxRequest {
		return nil, fmt.Errorf("the event has %d bytes, at most %d are allowed", len(body), MaxRequest)
	}
	e.signer.sign(header, percent(event.ID), time.Now(), body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	req.Header = header
	return req, nil
}

// noAnswer is the error of a request that got none. What the guard refused will be
// refused again.
func (e *Endpoint) noAnswer(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err // it quotes the URL
	}
	_, refused := errors.AsType[*RefusedError](err)
	return &DeliveryError{Host: e.host, Again: !refused, Err: err}
}

// refused is the error of an answer that is no success. Its body is not repeated:
// it is whoever answers' own.
func (e *Endpoint) refused(resp *http.Response) error {
	status := resp.StatusCode
	err := &DeliveryError{Host: e.host, Status: status, Err: fmt.Errorf("answered %d %s", status, http.StatusText(status))}
	switch {
	case status >= 300 && status < 400:
		err.Err = fmt.Errorf("answered %d: redirects are not followed", status)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		err.Again, err.After = true, retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return err
}

// retryAfter reads a Retry-After header: seconds, or a date. What is neither, or
// past, is 0.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return min(at.Sub(now), longestRetryAfter)
	}
	return 0
}
