package rpc

import (
	"context"
	"errors"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Measured is what was measured, kept for a while.
type Measured interface {
	// MetricsReady is nil where questions can be answered, else why not: nothing is
	// measured, or another replica does.
	MetricsReady() error
	// Metrics lists what can be asked for by name.
	Metrics() []*rightsizerv1.MetricDescriptor
	// QueryMetrics answers a request that the schema has accepted. may says which
	// namespaces the caller may see; nil is all. An error that is a FieldError is
	// the request's.
	QueryMetrics(req *rightsizerv1.QueryMetricsRequest, may func(namespace string) bool) (*rightsizerv1.QueryMetricsResponse, error)
}

// FieldError is an error about one field of a request.
type FieldError interface {
	error
	Field() string
	Reason() string
}

// MetricsService answers from what was measured.
type MetricsService struct {
	source   Source
	health   Health
	measured Measured
}

var _ rightsizerv1connect.MetricsServiceHandler = (*MetricsService)(nil)

// NewMetricsService returns the service. measured is nil where nothing is measured.
func NewMetricsService(source Source, health Health, measured Measured) *MetricsService {
	return &MetricsService{source: source, health: health, measured: measured}
}

// retryMetrics is when a client should ask again: the first minute is recorded by
// then.
const retryMetrics = time.Minute

func (s *MetricsService) answerable(ctx context.Context, cluster, procedure string) error {
	if err := answerable(ctx, s.source, s.health, cluster); err != nil {
		return err
	}
	if s.measured == nil {
		return rpcerr.Unimplemented(procedure)
	}
	if err := s.measured.MetricsReady(); err != nil {
		return rpcerr.Unavailable(ReasonNoUsage, "no metric can be given: "+err.Error(), retryMetrics)
	}
	return nil
}

// ListMetrics implements MetricsServiceHandler.
func (s *MetricsService) ListMetrics(ctx context.Context, req *rightsizerv1.ListMetricsRequest) (*rightsizerv1.ListMetricsResponse, error) {
	if err := s.answerable(ctx, req.GetCluster(), rightsizerv1connect.MetricsServiceListMetricsProcedure); err != nil {
		return nil, err
	}
	return &rightsizerv1.ListMetricsResponse{Metrics: s.measured.Metrics()}, nil
}

// QueryMetrics implements MetricsServiceHandler.
func (s *MetricsService) QueryMetrics(ctx context.Context, req *rightsizerv1.QueryMetricsRequest) (*rightsizerv1.QueryMetricsResponse, error) {
	if err := s.answerable(ctx, req.GetCluster(), rightsizerv1connect.MetricsServiceQueryMetricsProcedure); err != nil {
		return nil, err
	}
	grant := auth.GrantOf(ctx)
	may := grant.May
	if grant.All() {
		may = nil
	}
	got, err := s.measured.QueryMetrics(req, may)
	if field, ok := errors.AsType[FieldError](err); ok {
		return nil, rpcerr.BadRequest(rpcerr.ReasonInvalidArgument, rpcerr.Violation{Field: field.Field(), Description: field.Reason()})
	}
	return got, err
}
