package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// ReasonReviewDown says that who or what decides on callers does not answer.
const ReasonReviewDown = "REVIEW_UNAVAILABLE"

// ReasonTooManyRequests says that the caller is beyond his pace.
const ReasonTooManyRequests = "TOO_MANY_REQUESTS"

// retryReview is when to try again after no decision could be had.
const retryReview = 2 * time.Second

// Method is one way to prove who one is.
type Method interface {
	// Name is the Via of its identities.
	Name() string
	// Identify returns nil without an error where the credential is none of its
	// kind; errRefused where it is and proves nothing; a *PaceError; any other
	// error where it cannot tell now.
	Identify(ctx context.Context, c Credential) (*Identity, error)
}

// errRefused says that a credential proves nothing. What it wraps is for the
// metric and the log, never for the caller.
var errRefused = errors.New("refused")

// PaceError refuses who asks too fast.
type PaceError struct {
	// Wait is how long until he may again.
	Wait time.Duration
}

// Error implements error.
func (e *PaceError) Error() string { return fmt.Sprintf("too fast: wait %v", e.Wait) }

// TooFast is the error for a client who must wait.
func TooFast(wait time.Duration) error {
	whole := max(time.Second, time.Duration(math.Ceil(wait.Seconds()))*time.Second)
	return rpcerr.Retry(connect.CodeResourceExhausted, ReasonTooManyRequests, "too many requests; slow down", whole)
}

// Chain tries methods in their order and takes the first that knows the
// credential's kind: what that one refuses is refused. Safe for concurrent use.
type Chain struct {
	methods  []Method
	results  *prometheus.CounterVec
	logger   *slog.Logger
	complain rarely
}

// NewChain makes a Chain and registers its metric. Without methods nobody gets in.
func NewChain(logger *slog.Logger, registerer prometheus.Registerer, methods ...Method) (*Chain, error) {
	c := &Chain{methods: methods, logger: logger, complain: rarely{every: 30 * time.Second}, results: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rightsizer_auth_attempts_total",
		Help: "Requests by the method that decided on their caller (none where no method knows the credential) and result: accepted, refused, too_fast, unavailable.",
	}, []string{"method", "result"})}
	if err := registerer.Register(c.results); err != nil {
		return nil, fmt.Errorf("auth: register metrics: %w", err)
	}
	return c, nil
}

// Authenticate implements Authenticator.
func (c *Chain) Authenticate(ctx context.Context, credential Credential) (*Identity, error) {
	for _, m := range c.methods {
		id, err := m.Identify(ctx, credential)
		if err == nil && id == nil {
			continue
		}
		if err == nil {
			err = fit(id)
		}
		var pace *PaceError
		switch {
		case err == nil:
			c.results.WithLabelValues(m.Name(), "accepted").Inc()
			known := *id
			known.Via, known.Proof = m.Name(), credential.proof()
			return &known, nil
		case errors.Is(err, errRefused):
			c.results.WithLabelValues(m.Name(), "refused").Inc()
			c.logger.DebugContext(ctx, "a caller is refused", slog.String("method", m.Name()), slog.String("peer", credential.Peer), slog.Any("error", err))
			return nil, unauthenticated()
		case errors.As(err, &pace):
			c.results.WithLabelValues(m.Name(), "too_fast").Inc()
			return nil, TooFast(pace.Wait)
		default:
			c.results.WithLabelValues(m.Name(), "unavailable").Inc()
			if c.complain.now() {
				c.logger.WarnContext(ctx, "who a caller is cannot be found out; he is refused until it can",
					slog.String("method", m.Name()), slog.Any("error", err))
			}
			return nil, rpcerr.Unavailable(ReasonReviewDown, "who calls cannot be found out now", retryReview)
		}
	}
	c.results.WithLabelValues("none", "refused").Inc()
	return nil, unauthenticated()
}

// Bounds of an identity.
const (
	maxName   = 1024 // bytes of a user, a group, a UID
	maxGroups = 1024
)

// hookPrefix begins who a policy's webhook is among those who approve: nobody else may
// have such a name, or what he approves would not be asked of it any more.
const hookPrefix = "webhook:"

// fit refuses an identity that names nobody, and one that would do harm where it
// is shown.
func fit(id *Identity) error {
	switch {
	case id.User == "":
		return fmt.Errorf("%w: no user", errRefused)
	case len(id.Groups) == 0:
		return fmt.Errorf("%w: no group", errRefused)
	case len(id.Groups) > maxGroups:
		return fmt.Errorf("%w: %d groups", errRefused, len(id.Groups))
	case strings.HasPrefix(id.User, hookPrefix):
		return fmt.Errorf("%w: a name that only a policy's webhooks have", errRefused)
	case !id.Expires.IsZero() && !time.Now().Before(id.Expires):
		return fmt.Errorf("%w: expired", errRefused)
	}
	for _, name := range append([]string{id.User}, id.Groups...) {
		if !plain(name) {
			return fmt.Errorf("%w: a name that is empty, too long or not plain text", errRefused)
		}
	}
	return nil
}

// plain says whether a name can be shown anywhere without doing anything: no
// control characters, none that turn the direction of text.
func plain(name string) bool {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return false
		}
	}
	return true
}

// rarely says yes at most once in a while, so that a log is not flooded.
type rarely struct {
	every time.Duration

	mu   sync.Mutex
	last time.Time
}

func (r *rarely) now() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.last.IsZero() || now.Sub(r.last) >= r.every {
		r.last = now
		return true
	}
	return false
}
