package outbound_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate/outbound"
)

// names resolves as a test says.
type names func(host string) []string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var found []netip.Addr
	for _, text := range n(host) {
		found = append(found, netip.MustParseAddr(text))
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, nil
}

func always(addresses ...string) names { return func(string) []string { return addresses } }

// hook is a TLS server whose certificate is for example.com.
func hook(t *testing.T, handler http.HandlerFunc) (address string, roots *x509.CertPool) {
	t.Helper()
	return hookAt(t, "127.0.0.1", handler)
}

func hookAt(t *testing.T, ip string, handler http.HandlerFunc) (address string, roots *x509.CertPool) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(ip, "0"))
	require.NoError(t, err)
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return "https://example.com:" + port + "/in?token=s3cret", roots
}

func endpoint(t *testing.T, o outbound.Options) *outbound.Endpoint {
	t.Helper()
	if o.Guard == nil {
		o.Guard = guard(t, "127.0.0.0/8")
	}
	if o.Resolver == nil {
		o.Resolver = always("127.0.0.1")
	}
	e, err := outbound.NewEndpoint(o)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func event() outbound.Event {
	return outbound.Event{
		ID: "rem-1", Source: "/clusters/c1", Type: "dev.rightsizer.remediation.asked", Subject: "ns/Pod/a b",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Data: json.RawMessage(`{"a":1}`),
	}
}

func failure(t *testing.T, err error) *outbound.DeliveryError {
	t.Helper()
	var d *outbound.DeliveryError
	require.ErrorAs(t, err, &d)
	assert.NotContains(t, err.Error(), "s3cret", "the URL's query is nobody's business")
	return d
}

// The vector of the Standard Webhooks libraries.
func TestTheSignatureIsTheStandards(t *testing.T) {
	t.Parallel()
	header, err := outbound.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.NoError(t, err)
	assert.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", header.Get("webhook-signature"))
	assert.Equal(t, "1614265330", header.Get("webhook-timestamp"))
	both, err := outbound.Sign(secret+"\n"+base64.StdEncoding.EncodeToString(make([]byte, 32)), "a", time.Now(), nil)
	require.NoError(t, err)
	assert.Len(t, strings.Fields(both.Get("webhook-signature")), 2, "one for each secret")
	for _, bad := range []string{"hunter2", "whsec_", "whsec_YWJj", strings.Repeat(secret+" ", 5)} {
		_, err := outbound.Sign(bad, "a", time.Now(), nil)
		require.Error(t, err)
		if key := strings.TrimPrefix(bad, "whsec_"); key != "" {
			assert.NotContains(t, err.Error(), key)
		}
	}
}

func TestAnEventIsSentSignedInBothModes(t *testing.T) {
	t.Parallel()
	for mode, check := range map[outbound.Mode]func(t *testing.T, r *http.Request, body []byte){
		outbound.Structured: func(t *testing.T, r *http.Request, body []byte) {
			t.Helper()
			assert.Equal(t, "application/cloudevents+json; charset=utf-8", r.Header.Get("Content-Type"))
			assert.JSONEq(t, `{"specversion":"1.0","id":"rem-1","source":"/clusters/c1","type":"dev.rightsizer.remediation.asked",
				"subject":"ns/Pod/a b","time":"2026-01-02T03:04:05.000000006Z","datacontenttype":"application/json","data":{"a":1}}`, string(body))
		},
		outbound.Binary: func(t *testing.T, r *http.Request, body []byte) {
			t.Helper()
			assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
			assert.Equal(t, "1.0", r.Header.Get("ce-specversion"))
			assert.Equal(t, "rem-1", r.Header.Get("ce-id"))
			assert.Equal(t, "ns/Pod/a%20b", r.Header.Get("ce-subject"))
			assert.JSONEq(t, `{"a":1}`, string(body))
		},
	} {
		got := make(chan struct{}, 1)
		address, roots := hook(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			check(t, r, body)
			key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			mac := hmac.New(sha256.New, key)
			_, _ = mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
			assert.Equal(t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), r.Header.Get("webhook-signature"))
			assert.Equal(t, "rem-1", r.Header.Get("webhook-id"))
			got <- struct{}{}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"decision":"veto","reason":"a freeze\nuntil Monday"}`)
		})
		e := endpoint(t, outbound.Options{URL: address, Secrets: secret, Mode: mode, RootCAs: roots})
		assert.True(t, e.Signed())
		answer, err := e.Send(t.Context(), event())
		require.NoError(t, err)
		<-got
		verdict, err := outbound.ParseVerdict(answer)
		require.NoError(t, err)
		assert.Equal(t, outbound.Verdict{Decision: outbound.Veto, Reason: "a freeze until Monday"}, verdict)
	}
}

// What a name resolves to is judged, every time, and nothing else is dialed.
func TestAddressesAreJudgedWhenTheyAreDialed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	victim, roots := hook(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, address := range []string{"127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0"} {
		e := endpoint(t, outbound.Options{URL: victim, RootCAs: roots, Guard: guard(t), Resolver: always(address)})
		_, err := e.Send(t.Context(), event())
		d := failure(t, err)
		assert.False(t, d.Again, "what the guard refuses is not tried again")
		var refused *outbound.RefusedError
		require.ErrorAs(t, err, &refused)
	}
	// A literal address is judged as well.
	at, err := url.Parse(victim)
	require.NoError(t, err)
	e := endpoint(t, outbound.Options{URL: "https://127.0.0.1:" + at.Port(), RootCAs: roots, Guard: guard(t)})
	_, err = e.Send(t.Context(), event())
	_ = failure(t, err)
	// The socket judges by itself.
	_, err = outbound.Connect(t.Context(), guard(t), "127.0.0.1:"+at.Port())
	var refused *outbound.RefusedError
	require.ErrorAs(t, err, &refused)
	assert.Zero(t, reached.Load())
}

// DNS rebinding: the second answer of a name is another address, which nobody may
// call.
func TestANameThatResolvesAnewIsJudgedAnew(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	good, roots := hookAt(t, "127.0.0.2", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	at, err := url.Parse(good)
	require.NoError(t, err)
	victim, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.3:"+at.Port())
	require.NoError(t, err)
	t.Cleanup(func() { _ = victim.Close() })
	go func() {
		for {
			if _, err := victim.Accept(); err != nil {
				return
			}
			reached.Add(1)
		}
	}()
	var lookups atomic.Int32
	e := endpoint(t, outbound.Options{
		URL: good, RootCAs: roots, Guard: guard(t, "127.0.0.2/32"),
		Resolver: names(func(string) []string {
			if lookups.Add(1) == 1 {
				return []string{"127.0.0.2"}
			}
			return []string{"127.0.0.3"}
		}),
	})
	_, err = e.Send(t.Context(), event())
	require.NoError(t, err)
	e.Close()
	_, err = e.Send(t.Context(), event())
	_ = failure(t, err)
	assert.EqualValues(t, 2, lookups.Load())
	assert.Zero(t, reached.Load())
}

// Of several addresses those that may be called are tried until one answers.
func TestTheAllowedAmongManyIsFound(t *testing.T) {
	t.Parallel()
	address, roots := hook(t, func(http.ResponseWriter, *http.Request) {})
	e := endpoint(t, outbound.Options{URL: address, RootCAs: roots, Resolver: always("169.254.169.254", "127.0.0.9", "127.0.0.1")})
	answer, err := e.Send(t.Context(), event())
	require.NoError(t, err)
	verdict, err := outbound.ParseVerdict(answer)
	require.NoError(t, err)
	assert.Equal(t, outbound.None, verdict.Decision)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	victim, _ := hook(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		address, roots := hook(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, victim, code) })
		_, err := endpoint(t, outbound.Options{URL: address, RootCAs: roots}).Send(t.Context(), event())
		d := failure(t, err)
		assert.Equal(t, code, d.Status)
		assert.False(t, d.Again)
	}
	assert.Zero(t, reached.Load())
}

func TestAnswersSayWhatMayComeOfAnotherTry(t *testing.T) {
	t.Parallel()
	for code, again := range map[int]bool{400: false, 401: false, 404: false, 410: false, 408: true, 425: true, 429: true, 500: true, 503: true} {
		address, roots := hook(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
		})
		_, err := endpoint(t, outbound.Options{URL: address, RootCAs: roots}).Send(t.Context(), event())
		d := failure(t, err)
		assert.Equal(t, again, d.Again, code)
		after, _ := d.Retry()
		assert.Equal(t, again, after == 7*time.Second, code)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-1": 0, "0": 0, "90": 90 * time.Second, "999999": time.Hour,
		"Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Thu, 01 Jan 2025 00:01:00 GMT": 0,
	} {
		assert.Equal(t, want, outbound.RetryAfter(value, now), value)
	}
}

func TestTimeAndSizeAreBounded(t *testing.T) {
	t.Parallel()
	came, gone := make(chan struct{}, 16), make(chan struct{}, 16)
	slow, roots := hook(t, func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	for timeout := 50 * time.Millisecond; len(came) == 0; timeout *= 2 { // until there is time enough to be asked at all
		_, err := endpoint(t, outbound.Options{URL: slow, RootCAs: roots, Timeout: timeout}).Send(t.Context(), event())
		assert.True(t, failure(t, err).Again)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	<-gone

	big, roots := hook(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<16)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	_, err := endpoint(t, outbound.Options{URL: big, RootCAs: roots}).Send(t.Context(), event())
	require.ErrorContains(t, err, "more than 65536 bytes")
	_ = failure(t, err)

	headers, roots := hook(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Big", strings.Repeat("x", 1<<20)) })
	_, err = endpoint(t, outbound.Options{URL: headers, RootCAs: roots}).Send(t.Context(), event())
	_ = failure(t, err)

	huge := event()
	huge.Data = json.RawMessage(`"` + strings.Repeat("x", outbound.MaxRequest) + `"`)
	_, err = endpoint(t, outbound.Options{URL: big, RootCAs: roots}).Send(t.Context(), huge)
	assert.False(t, failure(t, err).Again)
}

func TestEndpointsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "example.com", "http://example.com", "ftp://example.com", "https://", "https://:443", "https://u:p@example.com", "https://example.com/#x", "https://exa mple.com/%zz",
	} {
		_, err := outbound.NewEndpoint(outbound.Options{URL: bad, Guard: guard(t)})
		require.Error(t, err, bad)
	}
	_, err := outbound.NewEndpoint(outbound.Options{URL: "https://example.com"})
	require.ErrorContains(t, err, "Guard")
	_, err = outbound.NewEndpoint(outbound.Options{URL: "https://example.com", Guard: guard(t), Timeout: time.Hour})
	require.ErrorContains(t, err, "timeout")
	_, err = outbound.NewEndpoint(outbound.Options{URL: "http://example.com", Guard: guard(t), Plaintext: true})
	require.NoError(t, err)
	_, err = endpoint(t, outbound.Options{URL: "https://example.com", Resolver: names(func(string) []string { return nil })}).Send(t.Context(), event())
	assert.True(t, failure(t, err).Again)
	var dns *net.DNSError
	assert.ErrorAs(t, err, &dns)
	_, err = endpoint(t, outbound.Options{URL: "https://example.com"}).Send(t.Context(), outbound.Event{ID: "x"})
	_ = failure(t, err)
}

func FuzzParseVerdict(f *testing.F) {
	f.Add("application/json", []byte(`{"decision":"veto","reason":"no"}`))
	f.Add("text/plain", []byte(`ok`))
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		verdict, err := outbound.ParseVerdict(&outbound.Answer{Status: 200, ContentType: media, Body: body})
		if err != nil {
			require.Empty(t, verdict.Decision, "an error never approves")
			return
		}
		require.Contains(t, []outbound.Decision{outbound.None, outbound.Approve, outbound.Veto}, verdict.Decision)
		require.LessOrEqual(t, len(verdict.Reason), 1024)
		require.NotContains(t, verdict.Reason, "\n")
	})
}
