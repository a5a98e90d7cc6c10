package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// PrometheusOptions say how a Prometheus, or what speaks its HTTP API, is reached.
type PrometheusOptions struct {
	// URL is its root, such as https://prometheus.monitoring:9090; a path is kept.
	URL string
	// CAFile verifies its certificate. Empty: the system's authorities.
	CAFile string
	// Insecure takes any certificate. Whoever stands between then gets the token.
	Insecure bool
	// TokenFile is shown as a bearer token, read anew for each request. Empty: none.
	TokenFile string
	// Selector narrows what is asked about, where the answer would be of more than this
	// cluster: matchers of labels with commas, cluster="eu-1". Empty: nothing does.
	Selector string
	// PerSecond bounds the queries. Default 2.
	PerSecond float64
	// Timeout bounds one query, here and there, 30 s by default.
	Timeout time.Duration
	// Transport replaces the network, for tests.
	Transport http.RoundTripper
}

// Bounds of one answer.
const (
	promBytes   = 8 << 20
	promSamples = 250_000
	promToken   = 64 << 10
)

// Prometheus asks for ranges of the past. Queries go one after the other, at most
// PerSecond, each about one namespace and a stretch of time.
type Prometheus struct {
	root   *url.URL
	opts   PrometheusOptions
	client *http.Client
	limit  *rate.Limiter
}

// matchers are one or more of label="value", with PromQL's operators.
var matchers = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\]|\\.)*"(,|$))+$`)

// NewPrometheus makes the client; it contacts nobody.
func NewPrometheus(o PrometheusOptions) (*Prometheus, error) {
	root, err := url.Parse(o.URL)
	if err != nil || root.Scheme != "http" && root.Scheme != "https" || root.Host == "" || root.User != nil || root.RawQuery != "" || root.Fragment != "" {
		return nil, fmt.Errorf("prometheus: URL is %.200q, want http:// or https://, a host, and no user, query or fragment", o.URL)
	}
	if o.Selector != "" && !matchers.MatchString(o.Selector) {
		return nil, fmt.Errorf("prometheus: Selector is %.200q, want matchers such as cluster=\"eu-1\", with commas", o.Selector)
	}
	if o.PerSecond == 0 {
		o.PerSecond = 2
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.PerSecond < 0.01 || o.PerSecond > 100 {
		return nil, fmt.Errorf("prometheus: PerSecond is %g, must be 0.01 to 100", o.PerSecond)
	}
	if o.Transport == nil {
		config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure} //nolint:gosec // As configured.
		if o.CAFile != "" {
			pem, err := os.ReadFile(o.CAFile)
			if err != nil {
				return nil, fmt.Errorf("prometheus: CAFile: %w", err)
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("prometheus: CAFile %s holds no certificate in PEM", o.CAFile)
			}
		}
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, MaxIdleConns: 2, IdleConnTimeout: 10 * time.Second, ForceAttemptHTTP2: true}
	}
	return &Prometheus{root: root, opts: o, limit: rate.NewLimiter(rate.Limit(o.PerSecond), 1), client: &http.Client{
		Transport: o.Transport, Timeout: o.Timeout,
		// A token must not follow a pointer to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets go of idle connections.
func (p *Prometheus) Close() { p.client.CloseIdleConnections() }

// Past is one series of a container: its values in millicores or bytes, those that
// were not measured left out.
type Past struct {
	Pod, Container string
	Times          []int64 // Unix seconds
	Values         []float64
}

// PastQuery asks for a namespace's containers from Start to End, in steps.
type PastQuery struct {
	Namespace  string
	Start, End time.Time
	// Step is the distance of the values, in whole seconds; each says something of
	// the whole step before it: the mean of CPU, the highest memory.
	Step time.Duration
	// Memory asks for the working set, else for CPU.
	Memory bool
}

// expression is the query; cAdvisor's names, of containers and not of pods' cgroups.
// Where two jobs scrape the same of a container, as /metrics/cadvisor and
// /metrics/resource tell it, they are not added up: only what differs by cAdvisor's own
// labels is, such as two attempts within a step.
func (q *PastQuery) expression(selector string) string {
	span := strconv.Itoa(int(q.Step/time.Second)) + "s"
	if selector != "" {
		selector = "," + strings.TrimSuffix(selector, ",")
	}
	of := `{namespace=` + strconv.Quote(q.Namespace) + `,container!="",container!="POD",pod!=""` + selector + `}[` + span + `]`
	if q.Memory {
		return "max by (pod,container) (max_over_time(container_memory_working_set_bytes" + of + "))"
	}
	return "1000*max by (pod,container) (sum without (cpu,id,image,name) (rate(container_cpu_usage_seconds_total" + of + ")))"
}

// Past asks, and hands over series by series; the series is used again. Where the
// answer is too large, or the question too heavy, it asks for halves of the time, down
// to an hour.
func (p *Prometheus) Past(ctx context.Context, q PastQuery, take func(*Past)) error {
	err := p.past(ctx, &q, take)
	span := q.End.Sub(q.Start)
	if err == nil || ctx.Err() != nil || !tooMuch(err) || span <= time.Hour {
		return err
	}
	early, late := q, q
	early.End = q.Start.Add((span / 2).Truncate(q.Step))
	late.Start = early.End.Add(q.Step)
	if err := p.Past(ctx, early, take); err != nil {
		return err
	}
	return p.Past(ctx, late, take)
}

// tooMuch says that less of the same may be answered: what came is too large, or the
// server gave up (422 is its limit on samples, 503 and 504 its time, or that of a proxy
// before it), or did not answer in time.
func tooMuch(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		switch status.Code {
		case http.StatusUnprocessableEntity, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return false // Nobody is there.
	}
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, ErrTooLarge) || ok && timeout.Timeout()
}

func (p *Prometheus) past(ctx context.Context, q *PastQuery, take func(*Past)) error {
	if err := p.turn(ctx); err != nil {
		return err
	}
	form := url.Values{
		"query": {q.expression(p.opts.Selector)}, "start": {strconv.FormatInt(q.Start.Unix(), 10)}, "end": {strconv.FormatInt(q.End.Unix(), 10)},
		"step": {strconv.Itoa(int(q.Step / time.Second))}, "timeout": {p.opts.Timeout.String()},
	}
	at := p.root.JoinPath("api/v1/query_range").String()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if err := p.authorize(req); err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 256))
		return &StatusError{Code: resp.StatusCode, Path: req.URL.Path, Text: strings.TrimSpace(string(text))}
	}
	// Whole before any of it counts: a half that is asked for again must not count
	// twice.
	raw, err := io.ReadAll(newBounded(resp.Body, promBytes))
	if err != nil {
		return err
	}
	series, err := readMatrix(raw)
	if err != nil {
		return err
	}
	for i := range series {
		take(&series[i])
	}
	return nil
}

// turn waits until a query may be asked, or ctx is done. rate.Limiter.Wait gives up ahead
// of a deadline that comes before the turn: that would read as no answer.
func (p *Prometheus) turn(ctx context.Context) error {
	place := p.limit.Reserve()
	timer := time.NewTimer(place.Delay())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		place.Cancel()
		return ctx.Err()
	}
}

// Takes is how long so many queries take at least.
func (p *Prometheus) Takes(queries int) time.Duration {
	return time.Duration(float64(queries) / p.opts.PerSecond * float64(time.Second))
}

func (p *Prometheus) authorize(req *http.Request) error {
	if p.opts.TokenFile == "" {
		return nil
	}
	f, err := os.Open(p.opts.TokenFile)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(newBounded(f, promToken))
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return fmt.Errorf("token: %s holds %d bytes, want one line", p.opts.TokenFile, len(raw))
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

var errNoMatrix = errors.New("not an answer of Prometheus to a range query")

// readMatrix reads the answer to a range query: {"status": "success", "data":
// {"resultType": "matrix", "result": [{"metric": {…}, "values": [[time, "value"]]}]}}.
func readMatrix(raw []byte) ([]Past, error) {
	var answer struct {
		Status    string `json:"status"`
		Error     string `json:"error"`
		ErrorType string `json:"errorType"`
		Data      struct {
			ResultType string            `json:"resultType"`
			Result     []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoMatrix, err)
	}
	switch {
	case answer.Status == "error":
		return nil, fmt.Errorf("prometheus says %.64s: %.256s", answer.ErrorType, answer.Error)
	case answer.Status != "success" || answer.Data.ResultType != "matrix":
		return nil, fmt.Errorf("%w: status %.32q, resultType %.32q", errNoMatrix, answer.Status, answer.Data.ResultType)
	case len(answer.Data.Result) > maxContainers:
		return nil, fmt.Errorf("%w: %d series, at most %d are read", ErrTooLarge, len(answer.Data.Result), maxContainers)
	}
	out := make([]Past, 0, len(answer.Data.Result))
	samples := 0
	for _, part := range answer.Data.Result {
		samples += bytes.Count(part, []byte{'['}) - 1
		if samples > promSamples {
			return nil, fmt.Errorf("%w: more than %d samples", ErrTooLarge, promSamples)
		}
		s, err := readSeries(part)
		if err != nil {
			return nil, err
		}
		if s.Pod != "" && s.Container != "" && len(s.Times) > 0 {
			out = append(out, s)
		}
	}
	return out, nil
}

func readSeries(raw []byte) (Past, error) {
	var series struct {
		Metric struct {
			Pod       string `json:"pod"`
			Container string `json:"container"`
		} `json:"metric"`
		Values [][2]json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(raw, &series); err != nil {
		return Past{}, fmt.Errorf("%w: %w", errNoMatrix, err)
	}
	out := Past{Pod: series.Metric.Pod, Container: series.Metric.Container}
	for i := range series.Values {
		at, err := strconv.ParseFloat(string(series.Values[i][0]), 64)
		if err != nil || !(at >= 0 && at <= math.MaxUint32) {
			return Past{}, fmt.Errorf("%w: %.40q is no time", errNoMatrix, series.Values[i][0])
		}
		v, err := strconv.ParseFloat(strings.Trim(string(series.Values[i][1]), `"`), 64)
		if err != nil {
			return Past{}, fmt.Errorf("%w: %.40q is no value", errNoMatrix, series.Values[i][1])
		}
		if v >= 0 && !math.IsInf(v, 1) { // NaN and negative are not measured.
			out.Times, out.Values = append(out.Times, int64(at)), append(out.Values, v)
		}
	}
	return out, nil
}
