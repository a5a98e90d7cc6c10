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
	// Metrics lists what can be asked for by name; none where nothing is measured.
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

func (s *MetricsService) answerable(ctx context.Context, cluster, procedure string) ([]*rightsizerv1.MetricDescriptor, error) {
	if err := answerable(ctx, s.source, s.health, cluster); err != nil {
		return nil, err
	}
	if s.measured == nil {
		return nil, rpcerr.Unimplemented(procedure)
	}
	metrics := s.measured.Metrics()
	if len(metrics) == 0 {
		return nil, rpcerr.Unavailable(ReasonNoUsage, "nothing is measured: set --usage-sources", retryMetrics)
	}
	return metrics, nil
}

// ListMetrics implements MetricsServiceHandler.
func (s *MetricsService) ListMetrics(ctx context.Context, req *rightsizerv1.ListMetricsRequest) (*rightsizerv1.ListMetricsResponse, error) {
	metrics, err := s.answerable(ctx, req.GetCluster(), rightsizerv1connect.MetricsServiceListMetricsProcedure)
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ListMetricsResponse{Metrics: metrics}, nil
}

// QueryMetrics implements MetricsServiceHandler.
func (s *MetricsService) QueryMetrics(ctx context.Context, req *rightsizerv1.QueryMetricsRequest) (*rightsizerv1.QueryMetricsResponse, error) {
	if _, err := s.answerable(ctx, req.GetCluster(), rightsizerv1connect.MetricsServiceQueryMetricsProcedure); err != nil {
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
