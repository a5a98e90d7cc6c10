package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/server/text"
)

// Bounds of what is read.
const (
	maxAnswer = 64 << 10
	maxToken  = 64 << 10
	maxAfter  = 30 * time.Second // of a Retry-After
)

// defaultPath is where OTLP over HTTP takes traces.
const defaultPath = "/v1/traces"

// client carries spans to the collector. It implements otlptrace.Client.
type client struct {
	url, host        string
	tokenFile, agent string
	http             *http.Client
}

func newClient(o Options) (*client, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("otlp: Endpoint must be http:// or https:// with a host, and without user, query or fragment")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	return &client{
		url: u.String(), host: u.Host, tokenFile: o.TokenFile, agent: "rightsizer/" + o.Version,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
				MaxIdleConns: 1, MaxConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
			},
			Timeout: attemptTimeout,
			// Neither the token nor the spans must follow a pointer to somewhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Start implements otlptrace.Client.
func (*client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (*client) Stop(context.Context) error { return nil }

func (c *client) close() { c.http.CloseIdleConnections() }

// refusal is why a batch was not taken; passing says that it may be later.
type refusal struct {
	why     string
	passing bool
	after   time.Duration
}

func (r *refusal) Error() string { return r.why }

// partial says that the collector took the others.
type partial struct {
	rejected int64
	why      string
}

func (p *partial) Error() string {
	return fmt.Sprintf("the collector rejected %d spans: %s", p.rejected, p.why)
}

// UploadTraces implements otlptrace.Client. Its errors are a refusal, a partial or
// about the token.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	clean(spans)
	// A request of the service has the bytes of this message; its own type comes in
	// one package with gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return &refusal{why: "the request cannot be made"}
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", c.agent)
	if err := c.identify(req); err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if told, ok := errors.AsType[*url.Error](err); ok {
			err = told.Err // without the URL
		}
		return &refusal{why: err.Error(), passing: true}
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode == http.StatusOK && err == nil:
		return rejected(answer)
	case resp.StatusCode == http.StatusOK: // nobody knows; twice is better than never
		return &refusal{why: "the answer broke off", passing: true}
	}
	r := &refusal{why: "the collector answers " + strconv.Itoa(resp.StatusCode)}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		r.passing = true
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			r.after = time.Duration(min(seconds, int(maxAfter/time.Second))) * time.Second
		}
	}
	return r
}

// identify shows the token.
func (c *client) identify(req *http.Request) error {
	if c.tokenFile == "" {
		return nil
	}
	f, err := os.Open(c.tokenFile)
	if err != nil {
		return &refusal{why: "token: " + err.Error(), passing: true}
	}
	defer f.Close() //nolint:errcheck // only read
	token, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return &refusal{why: "token: " + err.Error(), passing: true}
	}
	shown := strings.TrimSpace(string(token))
	if shown == "" || strings.ContainsFunc(shown, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &refusal{why: "token: " + c.tokenFile + " must hold one token of printable characters", passing: true}
	}
	req.Header.Set("Authorization", "Bearer "+shown)
	return nil
}

// rejected reads an answer: what of the batch was not taken, if any.
//
//	message ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
//	message ExportTracePartialSuccess { int64 rejected_spans = 1; string error_message = 2; }
func rejected(answer []byte) error {
	var out partial
	walk(answer, func(field protowire.Number, value []byte, _ uint64) {
		if field != 1 {
			return
		}
		walk(value, func(field protowire.Number, value []byte, n uint64) {
			switch int(field) {
			case 1:
				out.rejected = int64(n)
			case 2:
				out.why = text.Cut(text.Escape(string(value)), maxText)
			}
		})
	})
	if out.rejected <= 0 {
		return nil
	}
	return &out
}

// walk calls take for each field of a message, as far as it is one.
func walk(message []byte, take func(field protowire.Number, value []byte, n uint64)) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return
		}
		message = message[n:]
		take(field, value, number)
	}
}
