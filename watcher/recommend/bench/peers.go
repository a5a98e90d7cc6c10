package main

import (
	"math"
	"slices"
	"time"

	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/logic"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"

	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

// deadband leaves what is within a tenth of what is wanted.
func deadband(now, want float64) float64 {
	if now > 0 && math.Abs(want-now) <= 0.1*now {
		return now
	}
	return want
}

// vpa is the recommender of the VerticalPodAutoscaler at its flags' defaults.
type vpa struct {
	state       *model.AggregateContainerState
	container   *model.ContainerState
	recommender logic.PodResourceRecommender
	multiplier  float64
}

func newVPA(multiplier, floorMiB float64) func() backtest.Sizer {
	return func() backtest.Sizer {
		state := model.NewAggregateContainerState()
		return &vpa{
			state: state, container: model.NewContainerState(nil, state), multiplier: multiplier,
			recommender: logic.CreatePodResourceRecommender(logic.RecommendationConfig{
				SafetyMarginFraction: 0.15, PodMinCPUMillicores: 25, PodMinMemoryMb: floorMiB,
				TargetCPUPercentile: 0.9, LowerBoundCPUPercentile: 0.5, UpperBoundCPUPercentile: 0.95, ConfidenceIntervalCPU: 24 * time.Hour,
				TargetMemoryPercentile: 0.9, LowerBoundMemoryPercentile: 0.5, UpperBoundMemoryPercentile: 0.95, ConfidenceIntervalMemory: 24 * time.Hour,
			}),
		}
	}
}

func (v *vpa) Observe(t int64, cpuMillis, memoryBytes float64) {
	at := time.Unix(t, 0)
	if !math.IsNaN(cpuMillis) {
		v.container.AddSample(&model.ContainerUsageSample{MeasureStart: at, Usage: model.CPUAmountFromCores(cpuMillis / 1000), Resource: model.ResourceCPU})
	}
	if !math.IsNaN(memoryBytes) {
		v.container.AddSample(&model.ContainerUsageSample{MeasureStart: at, Usage: model.MemoryAmountFromBytes(memoryBytes), Resource: model.ResourceMemory})
	}
}

func (v *vpa) OOM(t int64, limitBytes float64) {
	_ = v.container.RecordOOM(time.Unix(t, 0), model.MemoryAmountFromBytes(limitBytes)) // it may think the kill too old
}

func (v *vpa) Size(_ int64, cpuMillis, memoryBytes float64) (cpu, memory float64) {
	target := v.recommender.GetRecommendedPodResources(model.ContainerNameToAggregateStateMap{"c": v.state})["c"].Target
	cpu = model.CoresFromCPUAmount(target[model.ResourceCPU]) * 1000
	memory = model.BytesFromMemoryAmount(target[model.ResourceMemory]) * v.multiplier
	return deadband(cpuMillis, cpu), deadband(memoryBytes, memory)
}

// krr is the strategy "simple" of KRR: the 95th percentile of CPU and the highest
// memory and 15 % of two weeks; with OOM data at least 25 % above the limit of a
// kill in these two weeks. At least 10 millicores and 100 MiB.
type krr struct {
	cpu, sorted    []float64
	memory, killed []float64 // by day
	day            int64
	withOOM        bool
	multiplier     float64
}

const krrDays = 14

func newKRR(multiplier float64, withOOM bool) func() backtest.Sizer {
	return func() backtest.Sizer { return &krr{multiplier: multiplier, withOOM: withOOM} }
}

func (k *krr) Observe(t int64, cpuMillis, memoryBytes float64) {
	for day := t / 86400; k.day != day; {
		if k.memory, k.killed = append(k.memory, 0), append(k.killed, 0); len(k.memory) > krrDays {
			k.memory, k.killed = k.memory[1:], k.killed[1:]
		}
		if k.day == 0 {
			k.day = day
			break
		}
		k.day++
	}
	if !math.IsNaN(memoryBytes) {
		last := len(k.memory) - 1
		k.memory[last] = max(k.memory[last], memoryBytes)
	}
	if !math.IsNaN(cpuMillis) {
		k.observeCPU(cpuMillis)
	}
}

func (k *krr) observeCPU(millis float64) {
	k.cpu = append(k.cpu, millis)
	i, _ := slices.BinarySearch(k.sorted, millis)
	k.sorted = slices.Insert(k.sorted, i, millis)
	if len(k.cpu) > krrDays*288 {
		i, _ := slices.BinarySearch(k.sorted, k.cpu[0])
		k.sorted, k.cpu = slices.Delete(k.sorted, i, i+1), k.cpu[1:]
	}
}

func (k *krr) OOM(_ int64, limitBytes float64) {
	last := len(k.killed) - 1
	k.killed[last] = max(k.killed[last], limitBytes)
}

func (k *krr) Size(_ int64, cpuMillis, memoryBytes float64) (cpu, memory float64) {
	if len(k.sorted) > 0 {
		cpu = deadband(cpuMillis, max(10, k.sorted[int(math.Ceil(0.95*float64(len(k.sorted))))-1]))
	}
	if len(k.memory) > 0 {
		memory = slices.Max(k.memory) * 1.15
		if k.withOOM {
			memory = max(memory, slices.Max(k.killed)*1.25)
		}
		memory = deadband(memoryBytes, max(100<<20, memory*k.multiplier))
	}
	return cpu, memory
}
