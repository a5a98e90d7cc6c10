package recommend

import (
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// Input is what a recommendation is made from. Amounts of 0 are unset.
type Input struct {
	// Now is the time of the recommendation.
	Now time.Time
	// Sketch is what was measured; nil is nothing. It is read only.
	Sketch *usage.Sketch
	// Current is what one container has, requests and limits.
	Current object.Allotment
	// CPUChanged and MemoryChanged are when Current was last changed; zero where
	// nobody knows, which counts as long ago.
	CPUChanged, MemoryChanged time.Time
	// Context is what surrounds the container; the zero value bounds nothing.
	Context Context
}

// Context is what surrounds a container.
type Context struct {
	// ContainerKind says which list of the pod it is in; unset is an app
	// container.
	ContainerKind rightsizerv1.ContainerKind
	// WorkloadKind is the controller's: of a Job or CronJob the next run is
	// sized.
	WorkloadKind string
	// QoS is the pod's class, which a resize cannot change: Guaranteed,
	// Burstable, BestEffort, or empty.
	QoS string
	// OthersGuaranteed says that all other containers of the pod have limits that
	// equal their requests, so that this one alone decides on the class.
	OthersGuaranteed bool
	// Replicas of the workload that have not ended; for quota and cost.
	Replicas int32
	// Containers of its pods that are sized, this one among them: they share what a
	// quota leaves.
	Containers int32
	// Groups of nodes that a DaemonSet is measured in, the sketch holding of each
	// resource what is known of the group that needs most; 0 for one.
	Groups int
	// RunEnded is when the newest run of a Job or CronJob ended, zero while one is
	// under way and for what is neither: between runs, what was measured stays what
	// is known. RunBegan is when the newest attempt began that has come to its end.
	RunEnded, RunBegan time.Time
	// SilentCPU and SilentMemory say that of a replica that runs nothing was measured
	// for longer than StaleAfter: what is known is of the others alone.
	SilentCPU, SilentMemory bool
	// LimitRange of the namespace for containers, the strictest of all.
	LimitRange LimitRange
	// Quota that is left in the namespace.
	Quota Quota
	// Node is what the largest node that takes pods has allocatable, less what the
	// other containers of the pod request.
	Node object.Resources
	// HPACPU and HPAMemory say that a HorizontalPodAutoscaler scales the
	// workload by utilization of that resource, which is measured against the
	// request: changing the request would change the number of replicas.
	HPACPU, HPAMemory bool
	// VPA is the name of a VerticalPodAutoscaler that sizes the workload; empty
	// where there is none.
	VPA string
	// Runtime is what the container's command, arguments and environment tell.
	Runtime Runtime
	// RestartCPU and RestartMemory are resizePolicy RestartContainer.
	RestartCPU, RestartMemory bool
	// InPlace says that the cluster resizes pods in place.
	InPlace bool
	// ShrinkMemoryInPlace says that it lowers memory limits in place (from
	// Kubernetes 1.34).
	ShrinkMemoryInPlace bool
}

// runs says that the workload is run now and then.
func (c *Context) runs() bool { return c.WorkloadKind == "Job" || c.WorkloadKind == "CronJob" }

// asOf is the time that what was measured is held against: between two runs the end
// of the last.
func (in *Input) asOf() time.Time {
	if end := in.Context.RunEnded; in.Context.runs() && !end.IsZero() && end.Before(in.Now) {
		return end
	}
	return in.Now
}

// LimitRange bounds one container. 0 bounds nothing.
type LimitRange struct {
	Min, Max object.Resources
	// MaxRatioCPU and MaxRatioMemory bound limit / request.
	MaxRatioCPU, MaxRatioMemory float64
}

// Quota is what the namespace has left beside what this workload has now.
type Quota struct {
	// Requests and Limits that are left; each counts only where it is Limited.
	Requests, Limits object.Resources
	// Which of them the namespace limits.
	CPURequests, MemoryRequests, CPULimits, MemoryLimits bool
}

// Runtime is what is known of the program's own memory settings.
type Runtime struct {
	// JVMHeapBytes is the fixed maximum of the heap (-Xmx); 0 where none is set.
	JVMHeapBytes int64
	// JVMRAMPercent is -XX:MaxRAMPercentage; 0 where none is set.
	JVMRAMPercent float64
	// GoMemLimitBytes is GOMEMLIMIT; 0 where none is set.
	GoMemLimitBytes int64
}
