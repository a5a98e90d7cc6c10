package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Reasons of RemediationService's errors.
const (
	// ReasonRemediationsUnknown says: it is not known now which remediations there
	// are, or they cannot be written.
	ReasonRemediationsUnknown = "REMEDIATIONS_UNKNOWN"
	// ReasonEtag says: the remediation changed since it was looked at.
	ReasonEtag = "ETAG_MISMATCH"
	// ReasonState says: the remediation's state does not let it.
	ReasonState = "STATE"
	// ReasonRequestReused says: request_id stands for another request.
	ReasonRequestReused = "REQUEST_ID_REUSED"
	// ReasonOpen says: a remediation for the same is open already.
	ReasonOpen = "ALREADY_OPEN"
	// ReasonStopped says: a guard stops it, or it cannot be done.
	ReasonStopped = "STOPPED"
	// ReasonNotApprover says: the terms of the approval leave the caller out.
	ReasonNotApprover = "NOT_APPROVER"
)

// What Remediations may find, wrapped with why, in words for the caller, beside a
// FieldError. Any other
// error is told as unavailable, without its text.
var (
	ErrRemediationsUnknown = errors.New("the remediations are not known now")
	ErrNoRemediation       = errors.New("not found")
	ErrRemediationEtag     = errors.New("the remediation changed since it was looked at")
	ErrRemediationState    = errors.New("the state does not let it")
	ErrRequestReused       = errors.New("request_id stands for another request")
	ErrRemediationOpen     = errors.New("one for the same is open already")
	ErrRemediationStopped  = errors.New("it cannot be done")
	ErrNotApprover         = errors.New("you may not decide this one")
)

// Caller is who asks: as the audit names him.
type Caller struct {
	Name   string
	Groups []string
	// Via names who vouches for the name; empty where nobody was asked.
	Via string
}

// Choice is what is decided of one remediation.
type Choice struct{ Namespace, Name, Etag, Reason string }

// Remediations makes and decides remediations. What it returns belongs to the
// caller.
type Remediations interface {
	// List lists them in any order.
	List() ([]*rightsizerv1.Remediation, error)
	// Get returns one.
	Get(ctx context.Context, namespace, name string) (*rightsizerv1.Remediation, error)
	// Rights lists what the caller has to be allowed to do by himself for an action
	// on a workload of a kind.
	Rights(actionKind, workloadKind string) ([]auth.Action, error)
	// Create makes one, or only says what would come of it. hash is that of the
	// request's body: the same key with another hash is ErrRequestReused.
	Create(ctx context.Context, by Caller, req *rightsizerv1.CreateRemediationRequest, hash string) (*rightsizerv1.Remediation, error)
	// Approve, Reject, Cancel and Rollback decide; the same decision once more by
	// the same caller changes nothing.
	Approve(ctx context.Context, by Caller, c Choice) (*rightsizerv1.Remediation, error)
	Reject(ctx context.Context, by Caller, c Choice) (*rightsizerv1.Remediation, error)
	Cancel(ctx context.Context, by Caller, c Choice) (*rightsizerv1.Remediation, error)
	Rollback(ctx context.Context, by Caller, c Choice) (*rightsizerv1.Remediation, error)
}

// Rights says what the caller of a context may do in the cluster by himself.
type Rights interface {
	// Require returns nil where he may do each of these; else an error for him.
	Require(ctx context.Context, actions ...auth.Action) error
}

// RemediationService proposes, decides and follows repairs.
type RemediationService struct {
	source       Source
	remediations Remediations
	rights       Rights
	replies      *replies
}

var _ rightsizerv1connect.RemediationServiceHandler = (*RemediationService)(nil)

// NewRemediationService returns the service.
func NewRemediationService(source Source, remediations Remediations, rights Rights) *RemediationService {
	return &RemediationService{source: source, remediations: remediations, rights: rights, replies: newReplies(time.Now)}
}

// anonymous is who calls where the API is open: nobody was asked.
const anonymous = "anonymous"

func callerOf(ctx context.Context) Caller {
	id, ok := auth.FromContext(ctx)
	if !ok || id.User == "" {
		return Caller{Name: anonymous}
	}
	return Caller{Name: id.User, Groups: id.Groups, Via: id.Via}
}

// require checks the verbs that the effect itself takes.
func (s *RemediationService) require(ctx context.Context, namespace, actionKind, workloadKind string) error {
	needed, err := s.remediations.Rights(actionKind, workloadKind)
	if err != nil {
		return remediationError(ctx, err)
	}
	for i := range needed {
		needed[i].Namespace = namespace
	}
	return s.rights.Require(ctx, needed...) //nolint:wrapcheck // it is made for the caller
}

// CreateRemediation implements RemediationServiceHandler. Beside the right to make
// remediations it takes those that the effect itself takes.
func (s *RemediationService) CreateRemediation(ctx context.Context, req *rightsizerv1.CreateRemediationRequest) (*rightsizerv1.CreateRemediationResponse, error) {
	if err := named(s.source.ClusterID(), req.GetCluster()); err != nil {
		return nil, err
	}
	if err := s.require(ctx, req.GetNamespace(), req.GetAction().GetKind(), req.GetKind()); err != nil {
		return nil, err
	}
	r, err := s.remediations.Create(ctx, callerOf(ctx), req, hashOf(req))
	if err != nil {
		return nil, remediationError(ctx, err)
	}
	return &rightsizerv1.CreateRemediationResponse{Remediation: r}, nil
}

// ApproveRemediation implements RemediationServiceHandler. Who approves lends his
// own rights to the effect, and has to have them.
func (s *RemediationService) ApproveRemediation(ctx context.Context, req *rightsizerv1.ApproveRemediationRequest) (*rightsizerv1.ApproveRemediationResponse, error) {
	r, err := s.decide(ctx, "approve", req, s.remediations.Approve, true)
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ApproveRemediationResponse{Remediation: r}, nil
}

// RejectRemediation implements RemediationServiceHandler.
func (s *RemediationService) RejectRemediation(ctx context.Context, req *rightsizerv1.RejectRemediationRequest) (*rightsizerv1.RejectRemediationResponse, error) {
	r, err := s.decide(ctx, "reject", req, s.remediations.Reject, false)
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.RejectRemediationResponse{Remediation: r}, nil
}

// CancelRemediation implements RemediationServiceHandler.
func (s *RemediationService) CancelRemediation(ctx context.Context, req *rightsizerv1.CancelRemediationRequest) (*rightsizerv1.CancelRemediationResponse, error) {
	r, err := s.decide(ctx, "cancel", req, s.remediations.Cancel, false)
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.CancelRemediationResponse{Remediation: r}, nil
}

// RollbackRemediation implements RemediationServiceHandler. It asks for it; who
// leads takes the effect back, and the state then says so.
func (s *RemediationService) RollbackRemediation(ctx context.Context, req *rightsizerv1.RollbackRemediationRequest) (*rightsizerv1.RollbackRemediationResponse, error) {
	r, err := s.decide(ctx, "rollback", req, s.remediations.Rollback, true)
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.RollbackRemediationResponse{Remediation: r}, nil
}

// decision is what the requests of the four have in common.
type decision interface {
	keyed

	GetNamespace() string
	GetName() string
	GetEtag() string
	GetReason() string
	GetCluster() string
}

func (s *RemediationService) decide(
	ctx context.Context, verb string, req decision, do func(context.Context, Caller, Choice) (*rightsizerv1.Remediation, error), effect bool,
) (*rightsizerv1.Remediation, error) {
	if err := named(s.source.ClusterID(), req.GetCluster()); err != nil {
		return nil, err
	}
	by := callerOf(ctx)
	return s.replies.once(ctx, by.Via+" "+by.Name, verb, req, func() (*rightsizerv1.Remediation, error) {
		if effect {
			there, err := s.remediations.Get(ctx, req.GetNamespace(), req.GetName())
			if err != nil {
				return nil, remediationError(ctx, err)
			}
			if err := s.require(ctx, req.GetNamespace(), there.GetAction().GetKind(), there.GetWorkload().GetKind()); err != nil {
				return nil, err
			}
		}
		r, err := do(ctx, by, Choice{Namespace: req.GetNamespace(), Name: req.GetName(), Etag: req.GetEtag(), Reason: req.GetReason()})
		if err != nil {
			return nil, remediationError(ctx, err)
		}
		return r, nil
	})
}

// GetRemediation implements RemediationServiceHandler.
func (s *RemediationService) GetRemediation(ctx context.Context, req *rightsizerv1.GetRemediationRequest) (*rightsizerv1.GetRemediationResponse, error) {
	if err := named(s.source.ClusterID(), req.GetCluster()); err != nil {
		return nil, err
	}
	r, err := s.remediations.Get(ctx, req.GetNamespace(), req.GetName())
	if err != nil {
		return nil, remediationError(ctx, err)
	}
	return &rightsizerv1.GetRemediationResponse{Remediation: r}, nil
}

// ListRemediations implements RemediationServiceHandler.
func (s *RemediationService) ListRemediations(ctx context.Context, req *rightsizerv1.ListRemediationsRequest) (*rightsizerv1.ListRemediationsResponse, error) {
	if err := named(s.source.ClusterID(), req.GetCluster()); err != nil {
		return nil, err
	}
	all, err := s.remediations.List()
	if err != nil {
		return nil, remediationError(ctx, err)
	}
	grant := auth.GrantOf(ctx)
	fits := slices.DeleteFunc(all, func(r *rightsizerv1.Remediation) bool {
		in, states := req.GetNamespaces(), req.GetStates()
		return !grant.May(r.GetNamespace()) || len(in) > 0 && !slices.Contains(in, r.GetNamespace()) ||
			len(states) > 0 && !slices.Contains(states, r.GetState())
	})
	page, next, err := list(req, fits, func(r *rightsizerv1.Remediation) order {
		return order{rank: r.GetCreateTime().GetSeconds(), key: r.GetNamespace() + "\x00" + r.GetName()}
	})
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ListRemediationsResponse{Remediations: page, NextPageToken: next}, nil
}

// retryRemediations is when a client should ask again.
const retryRemediations = 2 * time.Second

// remediationError words what Remediations found. What the API server said stays
// inside: it may name addresses.
func remediationError(ctx context.Context, err error) error {
	if field, ok := errors.AsType[FieldError](err); ok {
		return rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, rpcerr.Violation{Field: field.Field(), Description: field.Reason()})
	}
	for _, known := range []struct {
		err    error
		code   connect.Code
		reason string
	}{
		{ErrNoRemediation, connect.CodeNotFound, rpcerr.ReasonNotFound},
		{ErrRemediationEtag, connect.CodeAborted, ReasonEtag},
		{ErrRequestReused, connect.CodeAborted, ReasonRequestReused},
		{ErrRemediationOpen, connect.CodeAlreadyExists, ReasonOpen},
		{ErrNotApprover, connect.CodePermissionDenied, ReasonNotApprover},
	} {
		if errors.Is(err, known.err) {
			return rpcerr.New(known.code, known.reason, strings.TrimPrefix(err.Error(), known.err.Error()+": "))
		}
	}
	switch {
	case errors.Is(err, ErrRemediationState):
		return rpcerr.FailedPrecondition(ReasonState, "remediation", strings.TrimPrefix(err.Error(), ErrRemediationState.Error()+": "))
	case errors.Is(err, ErrRemediationStopped):
		return rpcerr.FailedPrecondition(ReasonStopped, "workload", strings.TrimPrefix(err.Error(), ErrRemediationStopped.Error()+": "))
	case errors.Is(err, ErrRemediationsUnknown):
		return rpcerr.Unavailable(ReasonRemediationsUnknown, err.Error(), retryRemediations)
	case errors.Is(ctx.Err(), context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	}
	return rpcerr.Unavailable(ReasonRemediationsUnknown, "the API server or the audit chain does not let it be done now; the health of component remediation and the log say more", retryRemediations)
}
