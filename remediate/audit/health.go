package audit

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/plain"
)

// Health says whether records can be kept: OK, or DOWN with the reason. While it
// is DOWN nothing may be done to workloads; reading and streaming go on.
func (l *Log) Health() *rightsizerv1.ComponentHealth {
	l.mu.Lock()
	defer l.mu.Unlock()
	return proto.CloneOf(l.health)
}

// failed notes that a copy cannot be written.
func (l *Log) failed(ctx context.Context, part string, err error) error {
	err = l.unavailable(part, err)
	if l.change(rightsizerv1.HealthState_HEALTH_STATE_DOWN, plain.Line(err.Error()+"; remediation stops until it can", 1024)) {
		l.logger.ErrorContext(ctx, "audit cannot be written; remediation stops until it can", slog.String("part", part), slog.Any("error", err))
	}
	return err
}

// recovered notes that all copies can be written.
func (l *Log) recovered(ctx context.Context) {
	if l.change(rightsizerv1.HealthState_HEALTH_STATE_OK, "") {
		l.logger.InfoContext(ctx, "audit can be written again")
	}
}

// change sets the health; true where the state is another than before.
func (l *Log) change(state rightsizerv1.HealthState, reason string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health.Reason = reason
	if l.health.GetState() == state {
		return false
	}
	l.health.State, l.health.Since = state, timestamppb.New(l.now())
	l.metrics.up.Set(map[bool]float64{true: 1}[state == rightsizerv1.HealthState_HEALTH_STATE_OK])
	return true
}
