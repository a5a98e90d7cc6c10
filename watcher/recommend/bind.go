package recommend

import "github.com/rightsizer/rightsizer/watcher/object"

// bind turns a target into requests and limits that the cluster takes, and says
// what bound them. The order is: what the container's program and kind need, the
// floor and the cap, the namespace, the node; what others decide is left alone.
func (r *Result) bind(s *Settings, in *Input, target object.Resources) {
	c := &in.Context
	if r.Memory.OOMFloor > 0 {
		r.Bound |= RecentOOM
	}
	if r.Memory.startupBinds() {
		r.Bound |= StartupPeak
	}
	target.MemoryBytes = r.runtime(c, target.MemoryBytes)
	target.CPUMillis = r.clamp(target.CPUMillis, s.Floor.CPUMillis, s.Cap.CPUMillis, FloorCPU, CapCPU)
	target.MemoryBytes = r.clamp(target.MemoryBytes, s.Floor.MemoryBytes, s.Cap.MemoryBytes, FloorMemory, CapMemory)
	target.CPUMillis = r.clamp(target.CPUMillis, c.LimitRange.Min.CPUMillis, c.LimitRange.Max.CPUMillis, LimitRangeMinCPU, LimitRangeMaxCPU)
	target.MemoryBytes = r.clamp(target.MemoryBytes, c.LimitRange.Min.MemoryBytes, c.LimitRange.Max.MemoryBytes, LimitRangeMinMemory, LimitRangeMaxMemory)
	target.CPUMillis = r.clamp(target.CPUMillis, 0, c.Node.CPUMillis, 0, NodeCPU)
	target.MemoryBytes = r.clamp(target.MemoryBytes, 0, c.Node.MemoryBytes, 0, NodeMemory)
	r.quota(in, &target)
	if c.HPACPU && in.Current.Requests.CPUMillis > 0 {
		target.CPUMillis = in.Current.Requests.CPUMillis
		r.Bound |= HPACPU
	}
	if c.HPAMemory && in.Current.Requests.MemoryBytes > 0 {
		target.MemoryBytes = max(in.Current.Requests.MemoryBytes, ceil(r.Memory.OOMFloor))
		r.Bound |= HPAMemory
	}
	if r.State == Stale {
		target = r.unshrunk(in, target)
	}
	if c.VPA != "" {
		r.Bound |= VPAPresent
	}
	r.assign(in, target)
	r.RestartRequired = restart(in, r)
	r.Lower = object.Resources{CPUMillis: min(ceil(r.CPU.Level), r.Requests.CPUMillis), MemoryBytes: min(ceil(r.Memory.Level), r.Requests.MemoryBytes)}
	r.Upper = object.Resources{
		CPUMillis:   ceil(float64(r.Requests.CPUMillis) * (1 + 2*s.CPU.Margin)),
		MemoryBytes: max(r.Requests.MemoryBytes, ceil(r.Memory.Highest*(1+2*r.Memory.Margin))),
	}
}

// clamp holds an amount between two bounds, of which 0 bounds nothing.
func (r *Result) clamp(amount, least, most int64, low, high Bounds) int64 {
	if amount < least {
		amount = least
		r.Bound |= low
	}
	if most > 0 && amount > most {
		amount = most
		r.Bound |= high
	}
	return amount
}

// runtime keeps room for a heap whose size the program fixes: it takes it sooner
// or later, whatever it took so far. A JVM needs about a quarter more than its
// heap for metaspace, threads and code.
func (r *Result) runtime(c *Context, memory int64) int64 {
	if least := c.Runtime.JVMHeapBytes + c.Runtime.JVMHeapBytes/4; memory < least {
		memory = least
		r.Bound |= JVMHeap
	}
	// GOMEMLIMIT is soft; a twentieth above it keeps the collector from running
	// against the limit.
	if least := c.Runtime.GoMemLimitBytes + c.Runtime.GoMemLimitBytes/20; memory < least {
		memory = least
		r.Bound |= GoMemLimit
	}
	return memory
}

// quota keeps what all replicas together add within what the namespace has left.
func (r *Result) quota(in *Input, target *object.Resources) {
	q := &in.Context.Quota
	replicas := int64(max(in.Context.Replicas, 1))
	fit := func(limited bool, left, have int64, amount *int64, bound Bounds) {
		if limited && *amount > have+left/replicas {
			*amount = max(have+max(left, 0)/replicas, min(have, *amount))
			r.Bound |= bound
		}
	}
	have := in.Current
	fit(q.CPURequests, q.Requests.CPUMillis, have.Requests.CPUMillis, &target.CPUMillis, QuotaCPU)
	fit(q.MemoryRequests, q.Requests.MemoryBytes, have.Requests.MemoryBytes, &target.MemoryBytes, QuotaMemory)
	fit(q.MemoryLimits, q.Limits.MemoryBytes, have.Limits.MemoryBytes, &target.MemoryBytes, QuotaMemory)
	if in.Context.QoS == guaranteed { // its limit of CPU is its request
		fit(q.CPULimits, q.Limits.CPUMillis, have.Limits.CPUMillis, &target.CPUMillis, QuotaCPU)
	}
}

// unshrunk lets nothing be lower than it is.
func (r *Result) unshrunk(in *Input, target object.Resources) object.Resources {
	have := in.Current.Requests
	have.MemoryBytes = max(have.MemoryBytes, in.Current.Limits.MemoryBytes)
	if have.CPUMillis > target.CPUMillis || have.MemoryBytes > target.MemoryBytes {
		r.Bound |= StaleData
	}
	return target.Max(have)
}

// The QoS classes, which a resize cannot change.
const (
	guaranteed = "Guaranteed"
	burstable  = "Burstable"
	bestEffort = "BestEffort"
)

// assign sets requests and limits. Memory has request = limit: memory that was
// promised and is not there kills. CPU has a request; a limit only where there is
// one, in the same proportion, or equal under QoS class Guaranteed.
func (r *Result) assign(in *Input, target object.Resources) {
	r.Requests = target
	r.Limits.MemoryBytes = target.MemoryBytes
	if in.Context.QoS == guaranteed {
		r.Bound |= QoSGuaranteed
		r.Limits.CPUMillis = target.CPUMillis
		return
	}
	if in.Current.Limits.CPUMillis == 0 {
		return
	}
	r.Limits.CPUMillis = r.limitCPU(in, target.CPUMillis)
	if in.Context.QoS == burstable && in.Context.OthersGuaranteed && r.Limits.CPUMillis == r.Requests.CPUMillis {
		r.keepBurstable(in)
	}
}

// limitCPU keeps the proportion of limit to request, within what the namespace
// allows, but never below the request.
func (r *Result) limitCPU(in *Input, request int64) int64 {
	c, ratio := &in.Context, 1.0
	if have := in.Current.Requests.CPUMillis; have > 0 {
		ratio = max(float64(in.Current.Limits.CPUMillis)/float64(have), 1)
	}
	if most := c.LimitRange.MaxRatioCPU; most >= 1 && ratio > most {
		ratio = most
		r.Bound |= LimitRangeRatioCPU
	}
	limit := ceil(float64(request) * ratio)
	if most := c.LimitRange.Max.CPUMillis; most > 0 && limit > most {
		limit = max(most, request)
		r.Bound |= LimitRangeMaxCPU
	}
	if have := in.Current.Limits.CPUMillis; c.Quota.CPULimits && limit > have {
		if most := have + max(c.Quota.Limits.CPUMillis, 0)/int64(max(c.Replicas, 1)); limit > most {
			limit = max(most, request)
			r.Bound |= QuotaCPU
		}
	}
	return limit
}

// keepBurstable has limit and request of CPU differ by the least, where all else of
// the pod is equal: it would be Guaranteed else, which a resize is refused for.
func (r *Result) keepBurstable(in *Input) {
	c := &in.Context
	r.Bound |= QoSBurstable
	if most := c.LimitRange.Max.CPUMillis; most > 0 && r.Limits.CPUMillis >= most ||
		c.LimitRange.MaxRatioCPU == 1 || c.Quota.CPULimits && r.Limits.CPUMillis >= in.Current.Limits.CPUMillis {
		r.Requests.CPUMillis = max(r.Requests.CPUMillis-1, 1)
		return
	}
	r.Limits.CPUMillis++
}

// restart says whether a restart is needed to get from what is in force to the
// target: a pod of class BestEffort is given requests at its birth alone.
func restart(in *Input, r *Result) bool {
	c, have := &in.Context, &in.Current
	cpu := have.Requests.CPUMillis != r.Requests.CPUMillis || have.Limits.CPUMillis != r.Limits.CPUMillis
	memory := have.Requests.MemoryBytes != r.Requests.MemoryBytes || have.Limits.MemoryBytes != r.Limits.MemoryBytes
	if !c.InPlace || c.QoS == bestEffort {
		return cpu || memory
	}
	lower := have.Limits.MemoryBytes > r.Limits.MemoryBytes
	fixedHeap := c.Runtime.JVMHeapBytes > 0 || c.Runtime.JVMRAMPercent > 0
	return cpu && c.RestartCPU || memory && (c.RestartMemory || fixedHeap || lower && !c.ShrinkMemoryInPlace)
}
