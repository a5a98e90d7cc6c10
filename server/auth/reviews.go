package auth

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

// Reviews ask the cluster about callers.
type Reviews interface {
	// ReviewToken asks who a token's bearer is.
	ReviewToken(ctx context.Context, spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error)
	// ReviewAccess asks whether somebody may do something.
	ReviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error)
}

// kubeReviews are a real cluster's.
type kubeReviews struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
}

// NewReviews asks the cluster of config. Of Kubernetes it needs `create` on
// tokenreviews.authentication.k8s.io and subjectaccessreviews.authorization.k8s.io,
// cluster-wide; nothing else.
func NewReviews(config *rest.Config) (Reviews, error) {
	own := rest.CopyConfig(config)
	// Questions are bounded in number and time where they are asked: a queue in
	// front of them would only make all callers wait for one.
	own.QPS, own.Timeout = -1, askWithin
	tokens, err := authenticationclient.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("auth: token reviews: %w", err)
	}
	access, err := authorizationclient.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("auth: access reviews: %w", err)
	}
	return &kubeReviews{tokens: tokens.TokenReviews(), access: access.SubjectAccessReviews()}, nil
}

func (r *kubeReviews) ReviewToken(ctx context.Context, spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
	review, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.TokenReviewStatus{}, fmt.Errorf("review a token: %w", err)
	}
	return review.Status, nil
}

func (r *kubeReviews) ReviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	review, err := r.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return authorizationv1.SubjectAccessReviewStatus{}, fmt.Errorf("review a right: %w", err)
	}
	return review.Status, nil
}
