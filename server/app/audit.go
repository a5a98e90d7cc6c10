package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"connectrpc.com/connect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/remediate/audit"
	"github.com/rightsizer/rightsizer/server/rpc"
)

// podNamespace is where a pod finds its own namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// operatorNamespace is that of what the operator keeps for itself.
func operatorNamespace(configured string) string {
	if configured != "" {
		return configured
	}
	if own, err := os.ReadFile(podNamespace); err == nil && len(bytes.TrimSpace(own)) > 0 {
		return string(bytes.TrimSpace(own))
	}
	return "rightsizer"
}

// newAudit makes the audit chain of the real cluster; there is none beside a
// Cluster of a test's own.
func (a *App) newAudit() error {
	if a.opts.NewCluster != nil {
		return nil
	}
	kube, err := restConfig(a.cfg.Kubeconfig, a.opts.Version)
	if err != nil {
		return err
	}
	replica, err := os.Hostname()
	if err != nil {
		replica = "unknown"
	}
	a.audit, err = audit.New(audit.Options{
		Config: kube, Namespace: operatorNamespace(a.cfg.OperatorNamespace), Directory: a.cfg.AuditDir, Replica: replica,
		Logger: a.logger.With(slog.String("component", "audit")), Registerer: a.registry,
	})
	if err != nil {
		return a.wrong("operator-namespace", a.cfg.OperatorNamespace, err)
	}
	a.denials = audit.NewDenials(a.audit, a.logger.With(slog.String("component", "audit")))
	return nil
}

// auditSteps run the audit chain, ahead of whoever appends to it.
func (a *App) auditSteps() []step {
	if a.audit == nil {
		return nil
	}
	return []step{
		{name: "audit", run: a.audit.Run, grace: 2 * time.Second},
		{name: "audited refusals", run: a.denials.Run, grace: time.Second},
	}
}

// auditHealth is what the audit chain says of itself.
func (a *App) auditHealth() []*rightsizerv1.ComponentHealth {
	if a.audit == nil {
		return nil
	}
	return []*rightsizerv1.ComponentHealth{a.audit.Health()}
}

// partsHealth is what the server's own parts say of themselves.
func (a *App) partsHealth() []*rightsizerv1.ComponentHealth {
	return slices.Concat(a.settingsHealth(), a.accessHealth(), a.auditHealth(), a.policyHealth(), a.remediationHealth(), a.sinkHealth())
}

// auditHandler serves the audit chain, or says that there is none.
func (a *App) auditHandler(chain connect.HandlerOption) (string, http.Handler) {
	if a.audit == nil {
		return rightsizerv1connect.NewAuditServiceHandler(rightsizerv1connect.UnimplementedAuditServiceHandler{}, chain)
	}
	return rightsizerv1connect.NewAuditServiceHandler(rpc.NewAuditService(a.cluster, auditLog{a.audit}), chain)
}

// auditLog is the chain as package rpc wants it.
type auditLog struct{ *audit.Log }

// Verify implements rpc.Audit.
func (l auditLog) Verify(ctx context.Context, heads []*rightsizerv1.AuditHead) (*rightsizerv1.VerifyAuditResponse, error) {
	report, err := l.Log.Verify(ctx, heads...)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return report.Proto(), nil
}

// VerifyAuditDirectory checks the copy of the chain in a folder, without a cluster.
// fs.ErrNotExist is its error where there is none.
func VerifyAuditDirectory(ctx context.Context, dir string, heads []*rightsizerv1.AuditHead) (*rightsizerv1.VerifyAuditResponse, error) {
	report, err := audit.VerifyDirectory(ctx, dir, heads...)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	return report.Proto(), nil
}
