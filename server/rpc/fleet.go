package rpc

import (
	"context"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// FleetService lists the clusters that can be asked here: an operator's own.
type FleetService struct {
	source Source
	health Health
}

var _ rightsizerv1connect.FleetServiceHandler = (*FleetService)(nil)

// NewFleetService returns the service.
func NewFleetService(source Source, health Health) *FleetService {
	return &FleetService{source: source, health: health}
}

// ListClusters implements FleetServiceHandler.
func (s *FleetService) ListClusters(ctx context.Context, req *rightsizerv1.ListClustersRequest) (*rightsizerv1.ListClustersResponse, error) {
	if err := answerable(ctx, s.source, s.health, req.GetCluster()); err != nil {
		return nil, err
	}
	clusters, next, err := list(req, []*rightsizerv1.Cluster{s.source.Cluster()},
		func(c *rightsizerv1.Cluster) order { return order{key: c.GetId()} })
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ListClustersResponse{Clusters: clusters, NextPageToken: next}, nil
}
