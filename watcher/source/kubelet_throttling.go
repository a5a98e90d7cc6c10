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
// containers ran into their CPU limit. The answer is some KiB a container, of which
// two lines are wanted. Right: nodes/metrics.
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
	const periods, throttled = "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"
	found := newContainers(node)
	half := make(map[*meter.Sample]string)
	err := expose(r, func(name []byte) bool { return string(name) == periods || string(name) == throttled }, func(l *line) error {
		s, err := found.of(l)
		if err != nil || s == nil {
			return err
		}
		at := l.at
		if at.IsZero() {
			at = now
		}
		s.Time = later(s.Time, at)
		if string(l.name) == periods {
			s.Periods = l.value
		} else {
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
