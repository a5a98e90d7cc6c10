package rpc

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/page"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// ReasonAuditUnreadable says: the audit chain cannot be read now.
const ReasonAuditUnreadable = "AUDIT_UNREADABLE"

// Bounds of one call; a whole chain of 512 segments takes seconds.
const (
	auditListWithin   = 20 * time.Second
	auditVerifyWithin = time.Minute
	retryAudit        = 5 * time.Second
)

// Audit is the record of what was done.
type Audit interface {
	// Records visits records from the latest to the oldest, those before a number
	// alone where it is not 0, until visit returns false.
	Records(ctx context.Context, before int64, visit func(*rightsizerv1.AuditRecord) bool) error
	// Verify checks the chain, against these heads as well.
	Verify(ctx context.Context, heads []*rightsizerv1.AuditHead) (*rightsizerv1.VerifyAuditResponse, error)
}

// AuditService shows the audit chain.
type AuditService struct {
	source Source
	audit  Audit
}

var _ rightsizerv1connect.AuditServiceHandler = (*AuditService)(nil)

// NewAuditService returns the service.
func NewAuditService(source Source, audit Audit) *AuditService {
	return &AuditService{source: source, audit: audit}
}

// ListAuditRecords implements AuditServiceHandler. The cursor of its pages is the
// number of the last record shown, so that records which come meanwhile change
// nothing. The schema lets in who may see all; anybody else would be shown nothing of
// other namespaces.
func (s *AuditService) ListAuditRecords(ctx context.Context, req *rightsizerv1.ListAuditRecordsRequest) (*rightsizerv1.ListAuditRecordsResponse, error) {
	if err := s.answerable(req.GetCluster()); err != nil {
		return nil, err
	}
	var before int64
	cursor, err := page.Cursor(req)
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		if before, err = strconv.ParseInt(cursor, 10, 64); err != nil || before < 1 {
			return nil, page.Stale()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, auditListWithin)
	defer cancel()
	grant, room, fits := auth.GrantOf(ctx), page.RoomFor(req.GetPageSize()), matching(req)
	resp := &rightsizerv1.ListAuditRecordsResponse{}
	err = s.audit.Records(ctx, before, func(r *rightsizerv1.AuditRecord) bool {
		if start := req.GetStartTime(); start != nil && r.GetTime().AsTime().Before(start.AsTime()) {
			return false // the chain's times never go backwards
		}
		if !grant.May(r.GetNamespace()) || !fits(r) {
			return true
		}
		if n := len(resp.GetRecords()); !room.Take(r) {
			resp.NextPageToken = page.Token(req, strconv.FormatInt(resp.GetRecords()[n-1].GetSequence(), 10))
			return false
		}
		resp.Records = append(resp.Records, r)
		return true
	})
	if err != nil {
		return nil, unreadable(ctx, err)
	}
	return resp, nil
}

// matching says which records a request asks for.
func matching(req *rightsizerv1.ListAuditRecordsRequest) func(*rightsizerv1.AuditRecord) bool {
	one := func(values []string, value string) bool { return len(values) == 0 || slices.Contains(values, value) }
	return func(r *rightsizerv1.AuditRecord) bool {
		end := req.GetEndTime()
		return one(req.GetNamespaces(), r.GetNamespace()) && one(req.GetActors(), r.GetActor()) &&
			(len(req.GetActions()) == 0 || slices.ContainsFunc(req.GetActions(), func(a string) bool { return ofAction(a, r.GetAction()) })) &&
			(req.GetRemediation() == "" || req.GetRemediation() == r.GetRemediation()) &&
			(req.GetTarget() == "" || req.GetTarget() == r.GetTarget()) &&
			(end == nil || r.GetTime().AsTime().Before(end.AsTime()))
	}
}

// ofAction says whether an action is the asked one, or has its prefix.
func ofAction(asked, action string) bool {
	if prefix, ok := strings.CutSuffix(asked, "*"); ok {
		return strings.HasPrefix(action, prefix)
	}
	return asked == action
}

// VerifyAudit implements AuditServiceHandler.
func (s *AuditService) VerifyAudit(ctx context.Context, req *rightsizerv1.VerifyAuditRequest) (*rightsizerv1.VerifyAuditResponse, error) {
	if err := s.answerable(req.GetCluster()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, auditVerifyWithin)
	defer cancel()
	resp, err := s.audit.Verify(ctx, req.GetHeads())
	if err != nil {
		return nil, unreadable(ctx, err)
	}
	return resp, nil
}

// answerable refuses a request for another cluster. The chain can be read before
// the first picture of the cluster is complete, under any name of the cluster but
// a wrong one.
func (s *AuditService) answerable(asked string) error {
	if asked != "" && !s.source.Synced() {
		return rpcerr.Unavailable(rpcerr.ReasonNotSynced, "the cluster's id is not known yet; ask without `cluster`", retrySync)
	}
	return named(s.source.ClusterID(), asked)
}

// unreadable words why the chain could not be read. What the API server said stays
// inside: it may name addresses.
func unreadable(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return rpcerr.Unavailable(ReasonAuditUnreadable, "the audit chain cannot be read now; the health of component audit and the log say more", retryAudit)
	}
	return connect.NewError(connect.CodeCanceled, err)
}
