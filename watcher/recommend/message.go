package recommend

import (
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

var states = map[State]rightsizerv1.RecommendationState{
	NoData:    rightsizerv1.RecommendationState_RECOMMENDATION_STATE_NO_DATA,
	WarmingUp: rightsizerv1.RecommendationState_RECOMMENDATION_STATE_WARMING_UP,
	Stale:     rightsizerv1.RecommendationState_RECOMMENDATION_STATE_STALE,
	Ready:     rightsizerv1.RecommendationState_RECOMMENDATION_STATE_READY,
}

// Message is the Result of in as the API sends it, with what it costs at the
// price.
func (r *Result) Message(key usage.Key, in *Input, price Price) *rightsizerv1.Recommendation {
	c := &in.Context
	replicas := max(c.Replicas, 0) // What has ended costs nothing.
	now, then := price.Monthly(in.Current.Requests, replicas), price.Monthly(r.Sure(in.Current.Requests), replicas)
	out := &rightsizerv1.Recommendation{
		Namespace: key.Namespace, Workload: &rightsizerv1.WorkloadRef{Kind: key.Kind, Name: key.Name},
		Container: key.Container, ContainerKind: c.ContainerKind,
		CurrentRequests: resources(in.Current.Requests), CurrentLimits: resources(in.Current.Limits),
		TargetRequests: resources(r.Requests), TargetLimits: resources(r.Limits),
		LowerBound: resources(r.Lower), UpperBound: resources(r.Upper),
		Confidence: r.Confidence, DataAge: durationpb.New(r.DataAge), DataSpan: durationpb.New(r.DataSpan),
		OomKills: int32(min(r.OOMKills, 1<<30)), StartupPeak: resources(r.StartupPeak),
		BoundBy: firsts(r.BoundTexts()), Explanation: r.Explain(), RestartRequired: r.RestartRequired,
		MonthlyCostDelta: then - now, CurrentMonthlyCost: now, RecommendedMonthlyCost: then, PriceSource: price.Text(),
		Replicas: replicas, UpdateTime: timestamppb.New(in.Now), OomRisk: r.OOMRisk, State: states[r.State],
		CpuChangeDue: r.ChangeCPU, MemoryChangeDue: r.ChangeMemory, Terms: r.terms(),
		CpuSlack: unused(in.Sketch, r), MemorySlack: slack(r.Memory.Typical, r.Requests.MemoryBytes),
	}
	if r.State == NoData { // 0 would be read as a target
		out.TargetRequests, out.TargetLimits, out.LowerBound, out.UpperBound, out.StartupPeak = nil, nil, nil, nil, nil
		out.DataAge, out.DataSpan = nil, nil
	}
	return out
}

// Sure is the target request of what is measured for long enough, and what is in force
// of the rest: nothing is saved on what is not known yet.
func (r *Result) Sure(current object.Resources) object.Resources {
	if r.CPUState == Ready {
		current.CPUMillis = r.Requests.CPUMillis
	}
	if r.MemoryState == Ready {
		current.MemoryBytes = r.Requests.MemoryBytes
	}
	return current
}

// maxBoundBy is what the schema takes.
const maxBoundBy = 16

func firsts(texts []string) []string { return texts[:min(len(texts), maxBoundBy)] }

func resources(r object.Resources) *rightsizerv1.Resources {
	return &rightsizerv1.Resources{CpuMillis: max(r.CPUMillis, 0), MemoryBytes: max(r.MemoryBytes, 0)}
}

// unused is the share of the CPU request that the median sample leaves.
func unused(k *usage.Sketch, r *Result) float64 {
	if k == nil {
		return 0
	}
	return slack(k.CPUQuantile(0.5), r.Requests.CPUMillis)
}

func slack(used float64, requested int64) float64 {
	if requested <= 0 {
		return 0
	}
	return min(max(1-used/float64(requested), 0), 1)
}
