package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// Kubernetes identifies bearers of the cluster's tokens (service accounts, and
// whatever else its API server takes) by TokenReview. A token must be made for
// our own audience: one that a pod carries for the API server gets nobody in
// here, and one made for us gets nobody in there.
type Kubernetes struct {
	reviews   Reviews
	audience  string
	known     *memo[review]
	strangers *strangers
}

type review struct {
	id  *Identity // nil where the token is refused
	why string
}

// NewKubernetes makes the method.
func NewKubernetes(reviews Reviews, audience string) *Kubernetes {
	return &Kubernetes{
		reviews: reviews, audience: audience, strangers: newStrangers(),
		known: newMemo(func(r review, then time.Time) time.Time {
			until := then.Add(rememberFor)
			if r.id != nil && !r.id.Expires.IsZero() && r.id.Expires.Before(until) {
				return r.id.Expires
			}
			return until
		}),
	}
}

// Name implements Method.
func (*Kubernetes) Name() string { return "kubernetes" }

// Identify implements Method: every token is of its kind.
func (k *Kubernetes) Identify(ctx context.Context, c Credential) (*Identity, error) {
	if c.Token == "" {
		return nil, nil //nolint:nilnil // none of its kind
	}
	key := memoKey(sha256.Sum256([]byte(c.Token)))
	found, err := k.known.get(ctx, key, func() (bool, error) { return k.strangers.admit(key, c.Peer) }, func(ctx context.Context) (review, error) {
		r, err := k.ask(ctx, c.Token)
		k.strangers.judged(key, c.Peer, r, err)
		return r, err
	})
	if err != nil {
		return nil, err
	}
	if found.id == nil {
		return nil, fmt.Errorf("%w: %s", errRefused, found.why)
	}
	return found.id, nil
}

func (k *Kubernetes) ask(ctx context.Context, token string) (review, error) {
	status, err := k.reviews.ReviewToken(ctx, authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{k.audience}})
	switch {
	case err != nil:
		return review{}, err //nolint:wrapcheck // it says what was asked
	case !status.Authenticated:
		return review{why: "the cluster does not know the token"}, nil
	case !slices.Contains(status.Audiences, k.audience):
		// An API server that knows no audiences leaves them out: its answer holds for
		// any audience, and so not for ours.
		return review{why: "the token is not for our audience"}, nil
	}
	user := status.User
	id := &Identity{User: user.Username, UID: user.UID, Groups: user.Groups, Expires: expiry(token)}
	if len(user.Extra) > 0 {
		id.Extra = make(map[string][]string, len(user.Extra))
		for key, values := range user.Extra {
			id.Extra[key] = values
		}
	}
	return review{id: id}, nil
}

// expiry reads when a JWT runs out, of a token that the cluster vouches for; zero
// where it says nothing. It only ever ends what was let in.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Expires float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Expires <= 0 || claims.Expires > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Expires), 0)
}
