package rpc

import (
	"context"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// ClusterService answers about the cluster and the operator itself.
type ClusterService struct {
	source Source
	health Health
}

var _ rightsizerv1connect.ClusterServiceHandler = (*ClusterService)(nil)

// NewClusterService returns the service.
func NewClusterService(source Source, health Health) *ClusterService {
	return &ClusterService{source: source, health: health}
}

// GetCluster implements ClusterServiceHandler.
func (s *ClusterService) GetCluster(ctx context.Context, req *rightsizerv1.GetClusterRequest) (*rightsizerv1.GetClusterResponse, error) {
	if err := answerable(ctx, s.source, s.health, req.GetCluster()); err != nil {
		return nil, err
	}
	return &rightsizerv1.GetClusterResponse{Cluster: s.source.Cluster()}, nil
}

// GetHealth implements ClusterServiceHandler. It answers before the first sync,
// when the cluster's id may not be known, so that only a known id is compared.
func (s *ClusterService) GetHealth(_ context.Context, req *rightsizerv1.GetHealthRequest) (*rightsizerv1.GetHealthResponse, error) {
	if id := s.source.ClusterID(); id != "" {
		if err := named(id, req.GetCluster()); err != nil {
			return nil, err
		}
	}
	components := s.health.Components()
	return &rightsizerv1.GetHealthResponse{State: worst(components), Components: components, Open: s.health.Open()}, nil
}

// worst is the worst state of all; states are numbered from good to bad.
func worst(components []*rightsizerv1.ComponentHealth) rightsizerv1.HealthState {
	state := rightsizerv1.HealthState_HEALTH_STATE_OK
	for _, c := range components {
		state = max(state, c.GetState())
	}
	return state
}

// ListNodes implements ClusterServiceHandler.
func (s *ClusterService) ListNodes(ctx context.Context, req *rightsizerv1.ListNodesRequest) (*rightsizerv1.ListNodesResponse, error) {
	if err := answerable(ctx, s.source, s.health, req.GetCluster()); err != nil {
		return nil, err
	}
	all := s.source.Nodes()
	nodes, next, err := list(req, all, func(n *rightsizerv1.Node) order { return order{key: n.GetName()} })
	if err != nil {
		return nil, err
	}
	return &rightsizerv1.ListNodesResponse{Nodes: nodes, NextPageToken: next, TotalSize: count(all)}, nil
}
