package watcher

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxRetryAfter bounds how long a server's Retry-After is heeded: API servers ask
// for a second or a few, and a clock that is wrong must not blind the watcher.
const maxRetryAfter = 30 * time.Second

// throttledError is a refusal by a server that said when to come again.
type throttledError struct {
	error

	after time.Duration
}

func (e *throttledError) Unwrap() error { return e.error }

// retryAfter is how long the server asked to be left alone, at most
// maxRetryAfter; 0 where it did not.
func retryAfter(err error) time.Duration {
	if t, ok := errors.AsType[*throttledError](err); ok {
		return t.after
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		return bounded(seconds)
	}
	return 0
}

func bounded(seconds int) time.Duration {
	return time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
}

// heeding is a transport that takes Retry-After to the request's asked. client-go
// drops the header where the answer holds a Status, and knows no dates.
type heeding struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (h heeding) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := h.next.RoundTrip(r)
	if a, ok := r.Context().Value(askedKey{}).(*asked); ok && err == nil {
		switch answer.StatusCode {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			a.after = readRetryAfter(answer.Header)
		}
	}
	return answer, err
}

// WrappedRoundTripper has client-go find the transport that holds connections.
func (h heeding) WrappedRoundTripper() http.RoundTripper { return h.next }

// readRetryAfter reads both forms that RFC 9110 knows, seconds and a date, the
// latter by the server's own clock where the answer tells it.
func readRetryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return bounded(seconds)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

type askedKey struct{}

// asked is what the answer to one request asked for. It is written before the
// request returns.
type asked struct{ after time.Duration }

func withRetryAfter(ctx context.Context) (context.Context, *asked) {
	a := &asked{}
	return context.WithValue(ctx, askedKey{}, a), a
}

// because adds to an error what was asked for.
func (a *asked) because(err error) error {
	if err == nil || a.after == 0 {
		return err
	}
	return &throttledError{error: err, after: a.after}
}
