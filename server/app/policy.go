package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/remediate/policy/live"
	"github.com/rightsizer/rightsizer/server/rpc"
)

// newPolicies follows the policies of the real cluster; there are none beside a
// Cluster of a test's own.
func (a *App) newPolicies() error {
	if a.opts.NewCluster != nil {
		return nil
	}
	kube, err := restConfig(a.cfg.Kubeconfig, a.opts.Version)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(kube)
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	a.policies, err = live.New(live.Options{
		Client: client, OperatorNamespace: operatorNamespace(a.cfg.OperatorNamespace), Silent: a.cfg.LeaderElect == leaderNever,
		Logger: a.logger.With(slog.String("component", "policies")), Registerer: a.registry,
	})
	return err
}

// policySteps follow the policies, ahead of whoever acts on them.
func (a *App) policySteps() []step {
	if a.policies == nil {
		return nil
	}
	return []step{{name: "policies", run: a.policies.Run, grace: 2 * time.Second}}
}

// policyHealth is how following the policies goes.
func (a *App) policyHealth() []*rightsizerv1.ComponentHealth {
	if a.policies == nil {
		return nil
	}
	return []*rightsizerv1.ComponentHealth{a.policies.Health()}
}

// policyHandler serves the policies, or says that there are none to serve.
func (a *App) policyHandler(chain connect.HandlerOption) (string, http.Handler) {
	if a.policies == nil {
		return rightsizerv1connect.NewPolicyServiceHandler(rightsizerv1connect.UnimplementedPolicyServiceHandler{}, chain)
	}
	return rightsizerv1connect.NewPolicyServiceHandler(rpc.NewPolicyService(a.cluster, livePolicies{a.policies, a.logger.With(slog.String("component", "policies"))}), chain)
}

// livePolicies are the policies as package rpc wants them.
type livePolicies struct {
	*live.Store

	logger *slog.Logger
}

// Explain implements rpc.Policies.
func (l livePolicies) Explain(ctx context.Context, namespace, kind, name string) (*rightsizerv1.ExplainPolicyResponse, error) {
	resp, err := l.Store.Explain(ctx, namespace, kind, name)
	var unknown live.UnknownKindError
	switch {
	case errors.As(err, &unknown):
		return nil, rpc.WorkloadKindError{Reason: unknown.Error()}
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: %w", rpc.ErrNoWorkload, err)
	case err != nil && ctx.Err() == nil: // the caller is not told what the API server said
		l.logger.WarnContext(ctx, "which policy governs a workload is not known", slog.String("namespace", namespace),
			slog.String("kind", kind), slog.String("name", name), slog.Any("error", err))
	}
	return resp, err
}
