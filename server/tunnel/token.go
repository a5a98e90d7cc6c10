package tunnel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
)

const (
	// tokenSeconds is how long a token is asked for; the API server may say less.
	tokenSeconds = 3600
	// renewBefore is how long before its end a token is no longer shown.
	renewBefore = 5 * time.Minute
)

// ErrNoServiceAccount says that the kubeconfig's user is none, and none was named:
// the cluster makes tokens of other audiences for service accounts alone.
var ErrNoServiceAccount = errors.New("the user of the kubeconfig is no service account")

// TokenOptions say for whom a token is.
type TokenOptions struct {
	// Config is how the cluster is reached. Required.
	Config *rest.Config
	// Namespace and Name are the service account's. Both empty: the user of Config,
	// which has to be one.
	Namespace, Name string
	// Audience is what the operator takes tokens for. Required.
	Audience string
}

// Tokens makes tokens for the operator, by TokenRequest: they are good for it alone,
// never for the API server. It may be used by several goroutines.
type Tokens struct {
	opts TokenOptions
	core rest.Interface

	mu    sync.Mutex
	token string
	until time.Time
}

// NewTokens finds out whose tokens are to be made. ErrNoServiceAccount is its error
// where that cannot be.
func NewTokens(ctx context.Context, opts TokenOptions) (*Tokens, error) {
	if opts.Name == "" {
		namespace, name, err := whoAmI(ctx, opts.Config)
		if err != nil {
			return nil, err
		}
		opts.Namespace, opts.Name = namespace, name
	}
	core, err := client(opts.Config, "/api", corev1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	return &Tokens{opts: opts, core: core}, nil
}

func whoAmI(ctx context.Context, config *rest.Config) (namespace, name string, err error) {
	own := rest.CopyConfig(config)
	own.Timeout = askWithin
	reviews, err := authenticationclient.NewForConfig(own)
	if err != nil {
		return "", "", fmt.Errorf("kubeconfig: %w", err)
	}
	self, err := reviews.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", "", fmt.Errorf("ask the cluster who I am: %w", err)
	}
	account, ok := strings.CutPrefix(self.Status.UserInfo.Username, "system:serviceaccount:")
	namespace, name, found := strings.Cut(account, ":")
	if !ok || !found {
		return "", "", ErrNoServiceAccount
	}
	return namespace, name, nil
}

// Token is one that is good for some minutes at least.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Until(t.until) > renewBefore {
		return t.token, nil
	}
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{t.opts.Audience}, ExpirationSeconds: &seconds}}
	made := &authenticationv1.TokenRequest{}
	err := t.core.Post().Namespace(t.opts.Namespace).Resource("serviceaccounts").Name(t.opts.Name).SubResource("token").
		VersionedParams(&metav1.CreateOptions{}, scheme.ParameterCodec).Body(request).Do(ctx).Into(made)
	if err != nil {
		return "", fmt.Errorf("ask for a token of service account %s/%s: %w", t.opts.Namespace, t.opts.Name, err)
	}
	t.token, t.until = made.Status.Token, made.Status.ExpirationTimestamp.Time
	return t.token, nil
}
