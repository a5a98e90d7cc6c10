package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

const (
	summaryPath  = "/stats/summary"
	summaryBytes = 32 << 20
)

// KubeletPressure reads from the kubelet's /stats/summary how long containers
// waited for CPU, memory and disk (PSI: Kubernetes 1.34 and later, cgroup v2), and
// their working sets, with the UIDs of their pods. Right: nodes/stats.
type KubeletPressure struct{ Kubelets *Kubelets }

// Name implements Source.
func (KubeletPressure) Name() string { return "kubelet-pressure" }

// Scope implements Source.
func (KubeletPressure) Scope() Scope { return PerNode }

// Rank implements Source.
func (KubeletPressure) Rank() uint8 { return 1 }

// Read implements Source.
func (k KubeletPressure) Read(ctx context.Context, t *Target, take func(*meter.Sample)) error {
	return k.Kubelets.get(ctx, t, summaryPath, "application/json, */*;q=0.1", summaryBytes, func(r io.Reader) error {
		return readSummary(r, t.Node, take)
	})
}

// Source of the shape: k8s.io/kubelet/pkg/apis/stats/v1alpha1.

type summaryUsage struct {
	Name      string    `json:"name"`
	StartTime time.Time `json:"startTime"`
	CPU       *struct {
		Time                 time.Time `json:"time"`
		UsageCoreNanoSeconds *uint64   `json:"usageCoreNanoSeconds"`
		PSI                  *psi      `json:"psi"`
	} `json:"cpu"`
	Memory *struct {
		Time            time.Time `json:"time"`
		WorkingSetBytes *uint64   `json:"workingSetBytes"`
		PSI             *psi      `json:"psi"`
	} `json:"memory"`
	IO *struct {
		PSI *psi `json:"psi"`
	} `json:"io"`
}

type psi struct {
	Some struct {
		// Total is in nanoseconds.
		Total uint64 `json:"total"`
	} `json:"some"`
}

type summaryPod struct {
	PodRef struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		UID       string `json:"uid"`
	} `json:"podRef"`
	Containers []summaryUsage `json:"containers"`
}

var errNoSummary = errors.New("not a summary of a kubelet")

// readSummary reads pod by pod, so that a node's whole summary is never held.
func readSummary(r io.Reader, node string, take func(*meter.Sample)) error {
	in := json.NewDecoder(r)
	if err := open(in, '{'); err != nil {
		return err
	}
	var s meter.Sample
	count := 0
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", errNoSummary, err)
		}
		switch key {
		case "node":
			var n summaryUsage
			if err := in.Decode(&n); err != nil {
				return fmt.Errorf("%w: node: %w", errNoSummary, err)
			}
			s = meter.Sample{Node: node}
			if n.fill(&s) {
				s.Started = time.Time{} // A node's counters outlive its kubelet.
				take(&s)
			}
		case "pods":
			if err := readPods(in, node, &s, &count, take); err != nil {
				return err
			}
		default:
			var skip json.RawMessage
			if err := in.Decode(&skip); err != nil {
				return fmt.Errorf("%w: %w", errNoSummary, err)
			}
		}
	}
	return nil
}

func readPods(in *json.Decoder, node string, s *meter.Sample, count *int, take func(*meter.Sample)) error {
	if err := open(in, '['); err != nil {
		return err
	}
	for in.More() {
		var p summaryPod
		if err := in.Decode(&p); err != nil {
			return fmt.Errorf("%w: pods: %w", errNoSummary, err)
		}
		for i := range p.Containers {
			if *count++; *count > maxContainers {
				return fmt.Errorf("%w: more than %d containers", ErrTooLarge, maxContainers)
			}
			c := &p.Containers[i]
			*s = meter.Sample{
				Namespace: p.PodRef.Namespace, Pod: p.PodRef.Name, PodUID: p.PodRef.UID, Container: c.Name, Node: node,
			}
			if s.Namespace != "" && s.Pod != "" && s.Container != "" && c.fill(s) {
				take(s)
			}
		}
	}
	_, err := in.Token() // the closing bracket
	return err
}

func open(in *json.Decoder, want json.Delim) error {
	token, err := in.Token()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSummary, err)
	}
	if token != want {
		return fmt.Errorf("%w: found %v, want %v", errNoSummary, token, want)
	}
	return nil
}

// fill reads what a container or node says; false where it says nothing.
func (u *summaryUsage) fill(s *meter.Sample) bool {
	s.Started = startOf(float64(u.StartTime.Unix()))
	if u.CPU != nil && u.CPU.UsageCoreNanoSeconds != nil {
		s.CPUSeconds, s.Has = float64(*u.CPU.UsageCoreNanoSeconds)/1e9, s.Has|meter.CPU|meter.CPUCounter
		s.Time = later(s.Time, u.CPU.Time)
	}
	if u.Memory != nil && u.Memory.WorkingSetBytes != nil {
		s.MemoryBytes, s.Has = float64(*u.Memory.WorkingSetBytes), s.Has|meter.Memory
		s.Time = later(s.Time, u.Memory.Time)
	}
	if u.CPU != nil && u.CPU.PSI != nil && u.Memory != nil && u.Memory.PSI != nil {
		s.CPUWaiting, s.MemoryWaiting = u.CPU.PSI.seconds(), u.Memory.PSI.seconds()
		if u.IO != nil && u.IO.PSI != nil {
			s.IOWaiting = u.IO.PSI.seconds()
		}
		s.Has |= meter.Pressure
		s.Time = later(s.Time, u.CPU.Time)
	}
	return s.Has != 0 && !s.Time.IsZero()
}

func (p *psi) seconds() float64 { return float64(p.Some.Total) / 1e9 }
