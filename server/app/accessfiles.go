package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/follow"
	"github.com/rightsizer/rightsizer/server/text"
)

// followedFile decides on who gets in, and changes while the operator runs.
type followedFile struct {
	what    string
	refused func() *follow.Refusal
}

// follow has a file followed, and told of where it is refused: somebody whose line
// was taken out of it in the same change still gets in.
func (x *access) follow(what string, file interface {
	Run(ctx context.Context) error
	Refused() *follow.Refusal
},
) {
	x.steps = append(x.steps, step{name: what, run: file.Run, grace: time.Second})
	x.files = append(x.files, followedFile{what, file.Refused})
}

// tellOfFiles registers a figure for each file.
func (x *access) tellOfFiles(registry registry) error {
	for _, file := range x.files {
		gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "rightsizer_access_file_refused",
			Help:        "1 while a changed file of who gets in is refused and the former one stays in force.",
			ConstLabels: prometheus.Labels{"file": file.what},
		}, func() float64 {
			if file.refused() != nil {
				return 1
			}
			return 0
		})
		if err := registry.Register(gauge); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// accessHealth says whether the files of who gets in are those in force; nothing
// where there are none.
func (a *App) accessHealth() []*rightsizerv1.ComponentHealth {
	if a.access == nil || len(a.access.files) == 0 {
		return nil
	}
	out := &rightsizerv1.ComponentHealth{
		Component: "access", State: rightsizerv1.HealthState_HEALTH_STATE_OK, Since: timestamppb.New(a.health.started),
	}
	var reasons []string
	for _, file := range a.access.files {
		refusal := file.refused()
		if refusal == nil {
			continue
		}
		out.State = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED
		if len(reasons) == 0 || refusal.Since.Before(out.GetSince().AsTime()) {
			out.Since = timestamppb.New(refusal.Since)
		}
		reasons = append(reasons, fmt.Sprintf("the changed %s are refused and the former ones stay in force, for those as well who were taken out: %v", file.what, refusal.Why))
	}
	out.Reason = text.Cut(strings.Join(reasons, "; "), maxReason)
	return []*rightsizerv1.ComponentHealth{out}
}

// maxReason bounds ComponentHealth.reason, in bytes.
const maxReason = 1024
