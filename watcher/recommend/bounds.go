package recommend

import (
	"math/bits"
	"strings"

	"github.com/rightsizer/rightsizer/watcher/usage"
)

// Bounds is the set of what bound a target.
type Bounds uint32

// What may bind a target, by resource, in the order in which it does.
const (
	RecentOOM Bounds = 1 << iota
	StartupPeak
	StartupCPU
	JVMHeap
	GoMemLimit
	FloorCPU
	FloorMemory
	CapCPU
	CapMemory
	LimitRangeMinCPU
	LimitRangeMinMemory
	LimitRangeMaxCPU
	LimitRangeMaxMemory
	NodeCPU
	NodeMemory
	QuotaLimitsMemory
	StaleMemory
	HPAMemory
	QuotaCPU
	QuotaMemory
	QuotaLimitsCPU
	UncountedCPU
	StaleCPU
	HPACPU
	UnmeasuredCPU
	UnmeasuredMemory
	LimitRangeRatioCPU
	LimitRangeRatioMemory
	QoSGuaranteed
	QoSBurstable
	VPAPresent
)

// boundKinds is how many there are.
const boundKinds = 31

// boundTexts are in the order of the constants; % is the amount that each allows.
var boundTexts = [boundKinds]string{
	"memory: recent OOM kill, at least %", "memory: startup peak %",
	"cpu: startup peak, the limit does not fall below %",
	"memory: JVM heap (-Xmx) % × 1.25", "memory: GOMEMLIMIT % × 1.05",
	"cpu: floor %", "memory: floor %", "cpu: cap %", "memory: cap %",
	"cpu: LimitRange min %", "memory: LimitRange min %", "cpu: LimitRange max %", "memory: LimitRange max %",
	"cpu: node allocatable, less what else the pod requests, %", "memory: node allocatable, less what else the pod requests, %",
	"memory: ResourceQuota of limits leaves %", "memory: stale data, not below %",
	"memory: HorizontalPodAutoscaler on memory, the request stays %",
	"cpu: ResourceQuota of requests leaves %", "memory: ResourceQuota of requests leaves %",
	"cpu: ResourceQuota of limits leaves %",
	"cpu: use above " + cores(usage.CPUToldApart) + " is not told apart, not below %",
	"cpu: stale data, not below %", "cpu: HorizontalPodAutoscaler on cpu, the request stays %",
	"cpu: not measured, the request stays %", "memory: not measured, the request stays %",
	"cpu: LimitRange maxLimitRequestRatio, limit %", "memory: LimitRange maxLimitRequestRatio, limit %",
	"QoS class Guaranteed, limits are requests", "QoS class Burstable, a limit stays 1m or 1 MiB above its request", "VerticalPodAutoscaler present",
}

// Has is true where all of other bound the target.
func (b Bounds) Has(other Bounds) bool { return b&other == other }

// index of one bound.
func (b Bounds) index() int { return bits.TrailingZeros32(uint32(b)) % boundKinds }

// BoundTexts words what bound the target, with its numbers, in the order in which it
// did.
func (r *Result) BoundTexts() []string {
	var out []string
	for i, text := range boundTexts {
		if r.Bound&(1<<i) == 0 {
			continue
		}
		amount := cores(float64(r.Amounts[i]))
		if strings.HasPrefix(text, "memory") {
			amount = mebi(float64(r.Amounts[i]))
		}
		out = append(out, strings.Replace(text, "%", amount, 1))
	}
	return out
}
