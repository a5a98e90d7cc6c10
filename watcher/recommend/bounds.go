package recommend

import "strings"

// Bounds is the set of what bound a target.
type Bounds uint32

// What may bind a target, by resource.
const (
	FloorCPU Bounds = 1 << iota
	FloorMemory
	CapCPU
	CapMemory
	LimitRangeMinCPU
	LimitRangeMinMemory
	LimitRangeMaxCPU
	LimitRangeMaxMemory
	LimitRangeRatioCPU
	QuotaCPU
	QuotaMemory
	NodeCPU
	NodeMemory
	HPACPU
	HPAMemory
	VPAPresent
	JVMHeap
	GoMemLimit
	QoSGuaranteed
	QoSBurstable
	StaleData
	RecentOOM
	StartupPeak
)

// boundTexts are in the order of the constants.
var boundTexts = [...]string{
	"cpu: floor", "memory: floor", "cpu: cap", "memory: cap",
	"cpu: LimitRange min", "memory: LimitRange min", "cpu: LimitRange max", "memory: LimitRange max",
	"cpu: LimitRange maxLimitRequestRatio",
	"cpu: ResourceQuota", "memory: ResourceQuota", "cpu: node allocatable", "memory: node allocatable",
	"cpu: HorizontalPodAutoscaler on cpu", "memory: HorizontalPodAutoscaler on memory",
	"VerticalPodAutoscaler present", "memory: JVM heap (-Xmx)", "memory: GOMEMLIMIT",
	"QoS class Guaranteed", "QoS class Burstable", "stale data", "memory: recent OOM kill", "memory: startup peak",
}

// Has is true where all of other bound the target.
func (b Bounds) Has(other Bounds) bool { return b&other == other }

// Texts words what bound the target, in a fixed order.
func (b Bounds) Texts() []string {
	var out []string
	for i, text := range boundTexts {
		if b&(1<<i) != 0 {
			out = append(out, text)
		}
	}
	return out
}

// String joins the texts.
func (b Bounds) String() string { return strings.Join(b.Texts(), "; ") }
