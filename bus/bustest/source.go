package bustest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Options say what a Source draws from. The zero value takes the defaults, which
// make events of about 400 bytes on the wire.
type Options struct {
	// Seed makes the events; the same seed makes the same.
	Seed uint64
	// Namespaces, Types, Workloads and Nodes are drawn from; an empty namespace
	// makes an event of a cluster-scoped object, an empty node one without.
	Namespaces, Types, Workloads, Nodes []string
	// Message is the text of each event; a sentence of 60 bytes by default.
	Message string
}

// Source makes valid events: each passes protovalidate and has an id of its own.
// It belongs to one goroutine.
type Source struct {
	opts Options
	rand *rand.Rand
	made int32
}

// NewSource makes a source.
func NewSource(o Options) *Source {
	choose := func(chosen *[]string, otherwise ...string) {
		if len(*chosen) == 0 {
			*chosen = otherwise
		}
	}
	choose(&o.Namespaces, "production", "staging", "kube-system")
	choose(&o.Types, "pod.oom_killed", "pod.crash_loop", "pod.evicted", "resource.exhaustion")
	choose(&o.Workloads, "checkout", "catalogue", "payments")
	choose(&o.Nodes, "node-a", "node-b", "node-c")
	if o.Message == "" {
		o.Message = "Container app was killed: it used more memory than its limit"
	}
	return &Source{opts: o, rand: rand.New(rand.NewPCG(o.Seed, 0))} //nolint:gosec // the same events for the same seed, on purpose
}

// Event makes the next event. Its details carry how many were made before it, in
// OomKilledDetails.attempt.
func (s *Source) Event() *rightsizerv1.Event {
	pick := func(from []string) string { return from[s.rand.IntN(len(from))] }
	workload := pick(s.opts.Workloads)
	now := time.Unix(1_795_000_000, 0).Add(time.Duration(s.made) * time.Second)
	ev := &rightsizerv1.Event{
		Id:            s.id(),
		ProblemId:     s.id(),
		Phase:         rightsizerv1.Phase_PHASE_POINT,
		Type:          pick(s.opts.Types),
		Severity:      rightsizerv1.Severity(1 + s.rand.Int32N(4)),
		OccurredTime:  timestamppb.New(now),
		ObservedTime:  timestamppb.New(now.Add(20 * time.Millisecond)),
		Cluster:       "6f1c2b1e-7f0a-4a5e-9a35-0d7a6f3f2c11",
		Namespace:     pick(s.opts.Namespaces),
		Object:        &rightsizerv1.ObjectRef{Kind: "Pod", Name: fmt.Sprintf("%s-%05x", workload, s.rand.IntN(1<<20)), Uid: s.id()},
		Workload:      &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: workload},
		Container:     "app",
		Node:          pick(s.opts.Nodes),
		Reason:        "OOMKilled",
		Message:       s.opts.Message,
		CorrelationId: s.id(),
		Tags:          map[string]string{"qos": "Burstable", "team": workload},
		Details: &rightsizerv1.Event_OomKilled{OomKilled: &rightsizerv1.OomKilledDetails{
			ContainerKind: rightsizerv1.ContainerKind_CONTAINER_KIND_APP,
			ExitCode:      137, Attempt: s.made, MemoryLimitBytes: 256 << 20,
			MemoryRequestBytes: 128 << 20,
			StartedTime:        timestamppb.New(now.Add(-time.Minute)),
			Lifetime:           durationpb.New(time.Minute),
		}},
	}
	s.made++
	return ev
}

// Incident makes an incident with a member in each of the namespaces.
func (s *Source) Incident(namespaces ...string) *rightsizerv1.Incident {
	in := &rightsizerv1.Incident{
		Id:         s.id(),
		State:      rightsizerv1.IncidentState_INCIDENT_STATE_OPEN,
		Severity:   rightsizerv1.Severity(1 + s.rand.Int32N(4)),
		Rule:       "node_down",
		Summary:    "A node went away with its pods",
		Confidence: 0.9,
		Cluster:    "6f1c2b1e-7f0a-4a5e-9a35-0d7a6f3f2c11",
	}
	for _, ns := range namespaces {
		ev := s.Event()
		in.Members = append(in.Members, &rightsizerv1.IncidentMember{
			ProblemId: ev.GetProblemId(), Type: ev.GetType(), Severity: ev.GetSeverity(), Namespace: ns,
			Object: ev.GetObject(), Workload: ev.GetWorkload(), Phase: ev.GetPhase(), OpenedTime: ev.GetOccurredTime(),
		})
	}
	in.MemberCount = int32(len(namespaces))
	return in
}

// id draws 32 hexadecimal digits.
func (s *Source) id() string { return fmt.Sprintf("%016x%016x", s.rand.Uint64(), s.rand.Uint64()) }
