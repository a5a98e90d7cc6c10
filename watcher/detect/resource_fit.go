package detect

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeUnderutilized = "resource.underutilized"
	typeOpportunity   = "resource.optimization_opportunity"
)

// Fit is how well the size of one container of a workload fits what it uses. It is
// remembered from one recommendation to the next; what detectors get is a copy.
type Fit struct {
	Container string
	Kind      rightsizerv1.ContainerKind
	// Waste is the share of what is requested that is not needed, the larger of CPU
	// and memory; Better is 1 while another size is materially better.
	Waste, Better Level
	// Request is in force, Target fits.
	Request, Target object.Resources
	Confidence      float64
	Span            time.Duration
	Replicas        int32
}

// Advance takes a recommendation: whether it is worth a change, in the words of
// the recommender. It reports whether there is something to tell.
func (f *Fit) Advance(change bool, at int64, t *Thresholds) bool {
	waste := max(wasted(f.Request.CPUMillis, f.Target.CPUMillis), wasted(f.Request.MemoryBytes, f.Target.MemoryBytes))
	told := f.Waste.Advance(waste, at, percentShare(t.UnderutilizedPercent), 0, t.OpportunityAfter)
	better := 0.0
	if change {
		better = 1
	}
	return f.Better.Advance(better, at, 0.5, 0, t.OpportunityAfter) || told
}

func wasted(request, target int64) float64 {
	if request <= 0 || target >= request {
		return 0
	}
	return float64(request-target) / float64(request)
}

// Quiet says that there is nothing to remember.
func (f *Fit) Quiet() bool { return f.Waste.Since == 0 && f.Better.Since == 0 }

// Fits tells workloads that ask for other amounts than they need.
type Fits struct{}

// Docs implements Detector.
func (Fits) Docs() []Doc {
	return []Doc{
		{
			Type: typeUnderutilized, Severity: "info",
			Source: "the recommendation for a container of a watched workload, made as usage arrives: at least half of its CPU or memory " +
				"request (UnderutilizedPercent) is not needed, for 1 h (OpportunityAfter)",
			Details:  "SizingDetails",
			Resolves: "less by more than 5 percent points is not needed, the deletion of the workload",
		},
		{
			Type: typeOpportunity, Severity: "info",
			Source: "the recommendation for a container of a watched workload, made as usage arrives: another size is materially better, " +
				"for 1 h without a break (OpportunityAfter)",
			Details:  "SizingDetails",
			Resolves: "the size in force fits, the deletion of the workload",
		},
	}
}

// Detect implements Detector.
func (Fits) Detect(in *ControllerInput, out []Finding) []Finding {
	if in.Gone {
		return out
	}
	for i := range in.Fits {
		f := &in.Fits[i]
		who := fmt.Sprintf("Container %s of %s %s", f.Container, in.Cur.Kind, in.Cur.Name)
		sizes := fmt.Sprintf("requests %d m and %s, %d m and %s fit", f.Request.CPUMillis, memory(f.Request.MemoryBytes),
			f.Target.CPUMillis, memory(f.Target.MemoryBytes))
		tell := func(eventType string, l *Level, reason, message, ending string) {
			if l.State == LevelCalm {
				return
			}
			out = append(out, Finding{
				Problem: Identify(eventType, in.Cluster, in.Cur.UID, f.Container, unix(l.Since)), Type: eventType, Ordinal: l.Changes,
				Severity: info, Occurred: l.Since, Container: f.Container, Kind: f.Kind, Reason: reason, Message: message, Ending: ending,
				Details: &rightsizerv1.SizingDetails{
					CpuRequestMillis: f.Request.CPUMillis, CpuTargetMillis: f.Target.CPUMillis,
					MemoryRequestBytes: f.Request.MemoryBytes, MemoryTargetBytes: f.Target.MemoryBytes,
					Confidence: f.Confidence, DataSpan: durationpb.New(f.Span), Replicas: f.Replicas,
				},
			})
		}
		tell(typeUnderutilized, &f.Waste, "RequestsUnused", who+" needs "+percentText(1-f.Waste.Share)+" of what it requests: "+sizes,
			who+" needs most of what it requests")
		tell(typeOpportunity, &f.Better, "BetterSize", who+" "+sizes, who+" has a size that fits")
	}
	return out
}
