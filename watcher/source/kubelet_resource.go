package source

import (
	"context"
	"io"
	"time"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

const (
	resourcePath = "/metrics/resource"
	// Some servers take no media type with a parameter.
	acceptText    = "text/plain;version=0.0.4, */*;q=0.1"
	resourceBytes = 8 << 20
)

// KubeletResource reads CPU time and working sets from the kubelet's
// /metrics/resource, which is what metrics-server reads. Right: nodes/metrics.
type KubeletResource struct{ Kubelets *Kubelets }

// Name implements Source.
func (KubeletResource) Name() string { return "kubelet" }

// Scope implements Source.
func (KubeletResource) Scope() Scope { return PerNode }

// Rank implements Source.
func (KubeletResource) Rank() uint8 { return 2 }

// Read implements Source.
func (k KubeletResource) Read(ctx context.Context, t *Target, take func(*meter.Sample)) error {
	path := t.ResourcePath
	if path == "" {
		path = resourcePath
	}
	return k.Kubelets.get(ctx, t, path, acceptText, resourceBytes, func(r io.Reader) error {
		return readResource(r, t.Node, k.Kubelets.now(), take)
	})
}

// readResource reads an exposition; now is the time of lines that bear none.
func readResource(r io.Reader, node string, now time.Time, take func(*meter.Sample)) error {
	found := newContainers(node)
	err := expose(r, func(name []byte) bool {
		switch string(name) {
		case "container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_start_time_seconds",
			"node_cpu_usage_seconds_total", "node_memory_working_set_bytes":
			return true
		}
		return false
	}, func(l *line) error {
		s, err := found.of(l)
		if l.name[0] == 'n' { // node_...
			s, err = found.whole()
		}
		if err != nil || s == nil {
			return err
		}
		at := l.at
		if at.IsZero() {
			at = now
		}
		switch string(l.name) {
		case "container_start_time_seconds":
			s.Started = startOf(l.value)
			return nil
		case "container_cpu_usage_seconds_total", "node_cpu_usage_seconds_total":
			s.CPUSeconds, s.Has = l.value, s.Has|meter.CPU|meter.CPUCounter
		default:
			s.MemoryBytes, s.Has = l.value, s.Has|meter.Memory
		}
		s.Time = later(s.Time, at)
		return nil
	})
	if err != nil {
		return err
	}
	found.pass(take)
	return nil
}

// later of two times. CPU and memory of one container are measured together; where
// a runtime says otherwise, the later one is what the sample as a whole is known at.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// startOf is zero for what can be no start of a container.
func startOf(seconds float64) time.Time {
	const y2000, y2200 = 946684800, 7258118400
	if !(seconds > y2000 && seconds < y2200) {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000))
}
