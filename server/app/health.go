package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// errStopping is why a stopping operator is not ready.
var errStopping = errors.New("the operator is stopping")

// health joins what the parts say about themselves.
type health struct {
	cluster  Cluster
	parts    func() []*rightsizerv1.ComponentHealth // of the server's own, beside itself; at most 20
	stopping *atomic.Bool
	started  time.Time
}

// Ready is nil when requests may be sent here.
func (h *health) Ready() error {
	if h.stopping.Load() {
		return errStopping
	}
	return h.cluster.Ready()
}

// Components lists all parts: the watcher's, then the server's own.
func (h *health) Components() []*rightsizerv1.ComponentHealth {
	server := &rightsizerv1.ComponentHealth{
		Component: "server", State: rightsizerv1.HealthState_HEALTH_STATE_OK, Since: timestamppb.New(h.started),
	}
	if h.stopping.Load() {
		server.State, server.Reason = rightsizerv1.HealthState_HEALTH_STATE_DOWN, errStopping.Error()
	}
	all := slices.Clip(h.cluster.Health())
	if h.parts != nil {
		all = append(all, h.parts()...)
	}
	return append(all, server)
}

// rpcHealth is health as one listener's callers see it.
type rpcHealth struct {
	*health
	open bool
}

// Open implements rpc.Health.
func (h rpcHealth) Open() bool { return h.open }

// probe answers grpc.health.v1: SERVING while ready. It tells no more, so that
// it may be asked by everybody, as probes do.
type probe struct {
	ready    func() error
	services []string

	mu       sync.Mutex
	watchers map[*func()]struct{}
}

var _ grpchealth.Watcher = (*probe)(nil)

// probeEvery is how soon a watched health is told to have changed.
const probeEvery = time.Second

// Check implements grpchealth.Checker. The empty name is the whole process.
func (p *probe) Check(_ context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if req.Service != "" && !slices.Contains(p.services, req.Service) {
		return nil, rpcerr.New(connect.CodeNotFound, rpcerr.ReasonNotFound, fmt.Sprintf("unknown service %q", req.Service))
	}
	status := grpchealth.StatusServing
	if p.ready() != nil {
		status = grpchealth.StatusNotServing
	}
	return &grpchealth.CheckResponse{Status: status}, nil
}

// Watch implements grpchealth.Watcher.
func (p *probe) Watch(_ context.Context, _ *grpchealth.CheckRequest, onChange func()) (func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers == nil {
		p.watchers = map[*func()]struct{}{}
	}
	p.watchers[&onChange] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, &onChange)
	}, nil
}

// run tells watchers of changes until ctx ends.
func (p *probe) run(ctx context.Context) error {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	was := p.ready() == nil
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if is := p.ready() == nil; is != was {
			was = is
			p.mu.Lock()
			for onChange := range p.watchers {
				(*onChange)()
			}
			p.mu.Unlock()
		}
	}
}
