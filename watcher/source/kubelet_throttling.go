package source

import (
	"context"
	"io"
	"time"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

const (
	cadvisorPath  = "/metrics/cadvisor"
	cadvisorBytes = 64 << 20
)

// KubeletThrottling reads from the kubelet's /metrics/cadvisor how often
// containers ran into their CPU limit, and how many of their processes the kernel
// killed for want of memory. The answer is some KiB a container, of which three
// lines are wanted. Right: nodes/metrics.
type KubeletThrottling struct{ Kubelets *Kubelets }

// Name implements Source.
func (KubeletThrottling) Name() string { return "kubelet-throttling" }

// Scope implements Source.
func (KubeletThrottling) Scope() Scope { return PerNode }

// Rank implements Source.
func (KubeletThrottling) Rank() uint8 { return 0 }

// Read implements Source.
func (k KubeletThrottling) Read(ctx context.Context, t *Target, take func(*meter.Sample)) error {
	return k.Kubelets.get(ctx, t, cadvisorPath, acceptText, cadvisorBytes, func(r io.Reader) error {
		return readThrottling(r, t.Node, k.Kubelets.now(), take)
	})
}

func readThrottling(r io.Reader, node string, now time.Time, take func(*meter.Sample)) error {
	const (
		periods   = "container_cpu_cfs_periods_total"
		throttled = "container_cpu_cfs_throttled_periods_total"
		kills     = "container_oom_events_total"
	)
	found := newContainers(node)
	half := make(map[*meter.Sample]string)
	err := expose(r, func(name []byte) bool {
		return string(name) == periods || string(name) == throttled || string(name) == kills
	}, func(l *line) error {
		s, err := found.of(l)
		if err != nil || s == nil {
			return err
		}
		at := l.at
		if at.IsZero() {
			at = now
		}
		s.Time = later(s.Time, at)
		switch string(l.name) {
		case kills:
			s.Kills, s.Has = l.value, s.Has|meter.Kills
			return nil
		case periods:
			s.Periods = l.value
		default:
			s.ThrottledPeriods = l.value
		}
		if other, ok := half[s]; ok && other != string(l.name) {
			s.Has |= meter.Throttling // Both halves are there.
		}
		half[s] = string(l.name)
		return nil
	})
	if err != nil {
		return err
	}
	found.pass(take)
	return nil
}
