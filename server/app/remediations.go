package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc"
)

// remediationHandler serves the remediations, or says that there are none.
func (a *App) remediationHandler(chain connect.HandlerOption) (string, http.Handler) {
	if a.remediation == nil {
		return rightsizerv1connect.NewRemediationServiceHandler(rightsizerv1connect.UnimplementedRemediationServiceHandler{}, chain)
	}
	service := rpc.NewRemediationService(a.cluster, remediations{a.remediation.engine, a.mayNotDecide}, a.access.rights)
	return rightsizerv1connect.NewRemediationServiceHandler(service, chain)
}

// remediations are the engine as package rpc wants it.
type remediations struct {
	engine *remediate.Engine
	// refused is told of who wanted to decide on what is not his to decide.
	refused func(ctx context.Context, by rpc.Caller, namespace string)
}

// List implements rpc.Remediations.
func (r remediations) List() ([]*rightsizerv1.Remediation, error) {
	all, err := r.engine.List()
	return all, border(err)
}

// Get implements rpc.Remediations.
func (r remediations) Get(ctx context.Context, namespace, name string) (*rightsizerv1.Remediation, error) {
	one, err := r.engine.Get(ctx, namespace, name)
	return one, border(err)
}

// Rights implements rpc.Remediations.
func (r remediations) Rights(actionKind, workloadKind string) ([]auth.Action, error) {
	rights, err := r.engine.Rights(v1alpha1.ActionKind(actionKind), workloadKind)
	out := make([]auth.Action, 0, len(rights))
	for _, right := range rights {
		out = append(out, auth.Action{Group: right.Group, Resource: right.Resource, Verb: right.Verb})
	}
	return out, border(err)
}

// Create implements rpc.Remediations.
func (r remediations) Create(ctx context.Context, by rpc.Caller, req *rightsizerv1.CreateRemediationRequest, hash string) (*rightsizerv1.Remediation, error) {
	made, err := r.engine.Create(ctx, remediate.Person(by), remediate.Wish{
		Namespace: req.GetNamespace(), Kind: req.GetKind(), Name: req.GetName(), Container: req.GetContainer(),
		Action: req.GetAction(), Reason: req.GetReason(), ID: req.GetRequestId(), Hash: hash, Only: req.GetValidateOnly(),
	})
	return made, border(err)
}

// Approve implements rpc.Remediations.
func (r remediations) Approve(ctx context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	one, err := r.engine.Approve(ctx, remediate.Person(by), remediate.Choice(c))
	return one, r.decided(ctx, by, c, err)
}

// Reject implements rpc.Remediations.
func (r remediations) Reject(ctx context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	one, err := r.engine.Reject(ctx, remediate.Person(by), remediate.Choice(c))
	return one, r.decided(ctx, by, c, err)
}

// decided is the error of a decision.
func (r remediations) decided(ctx context.Context, by rpc.Caller, c rpc.Choice, err error) error {
	err = border(err)
	if errors.Is(err, rpc.ErrNotApprover) {
		r.refused(ctx, by, c.Namespace)
	}
	return err
}

// Cancel implements rpc.Remediations.
func (r remediations) Cancel(ctx context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	one, err := r.engine.Cancel(ctx, remediate.Person(by), remediate.Choice(c))
	return one, border(err)
}

// Rollback implements rpc.Remediations.
func (r remediations) Rollback(ctx context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	one, err := r.engine.Rollback(ctx, remediate.Person(by), remediate.Choice(c))
	return one, border(err)
}

// mayNotDecide is told of who has the right to decide, and not on this one: it is audited as
// the want of the right is.
func (a *App) mayNotDecide(ctx context.Context, by rpc.Caller, namespace string) {
	id := &auth.Identity{User: by.Name, Groups: by.Groups}
	a.denied(ctx, id, auth.Action{Group: auth.Group, Resource: "remediations/approve", Verb: "update", Namespace: namespace})
}

// border gives an error of the engine the sentinel by which package rpc knows it.
func border(err error) error {
	if err == nil {
		return nil
	}
	for _, pair := range [][2]error{
		{remediate.ErrNotKnown, rpc.ErrRemediationsUnknown},
		{remediate.ErrNotFound, rpc.ErrNoRemediation},
		{remediate.ErrEtag, rpc.ErrRemediationEtag},
		{remediate.ErrState, rpc.ErrRemediationState},
		{remediate.ErrRequest, rpc.ErrRequestReused},
		{remediate.ErrOpen, rpc.ErrRemediationOpen},
		{remediate.ErrStopped, rpc.ErrRemediationStopped},
		{remediate.ErrFourEyes, rpc.ErrNotApprover},
		{remediate.ErrNoApprover, rpc.ErrNotApprover},
		{remediate.ErrTwoNames, rpc.ErrNotApprover},
	} {
		if errors.Is(err, pair[0]) {
			return fmt.Errorf("%w: %w", pair[1], err)
		}
	}
	return err
}
