package recommend

import "github.com/rightsizer/rightsizer/watcher/usage"

// bind turns the targets into requests and limits that the cluster takes, and says
// what bound them, in the order of the Bounds: what the container's program and kind
// need, the floor and the cap, the namespace, the node; what others decide is left
// alone.
func (r *Result) bind(s *Settings, in *Input) {
	r.bindCPU(s, in)
	r.bindMemory(s, in)
	if in.Context.QoS == guaranteed {
		r.bound(QoSGuaranteed, 0)
	}
	if in.Context.VPA != "" {
		r.bound(VPAPresent, 0)
	}
	r.RestartRequired = restart(in, r)
	r.Lower, r.Upper = r.Requests, r.Requests
	if r.CPUState != NoData {
		r.Lower.CPUMillis = min(ceil(r.CPU.Level), r.Requests.CPUMillis)
		r.Upper.CPUMillis = ceil(float64(r.Requests.CPUMillis) * (1 + 2*s.CPU.Margin))
	}
	if r.MemoryState != NoData {
		r.Lower.MemoryBytes = min(ceil(r.Memory.Level), r.Requests.MemoryBytes)
		r.Upper.MemoryBytes = max(r.Requests.MemoryBytes, ceil(r.Memory.Highest*(1+2*r.Memory.Margin)))
	}
}

// bindCPU sets request and limit of CPU. A limit is set only where there is one, in
// the same proportion, or equal under QoS class Guaranteed.
func (r *Result) bindCPU(s *Settings, in *Input) {
	c, have, quota := &in.Context, in.Current.Requests.CPUMillis, &in.Context.Quota
	if r.CPUState == NoData {
		r.bound(UnmeasuredCPU, have)
		r.Requests.CPUMillis, r.Limits.CPUMillis = have, in.Current.Limits.CPUMillis
		return
	}
	want := ceil(r.CPU.Raw)
	if c.QoS == guaranteed { // its limit is its request
		want = r.least(want, r.startCPU(in), StartupCPU)
	}
	want = r.clamp(want, s.Floor.CPUMillis, s.Cap.CPUMillis, FloorCPU, CapCPU)
	want = r.clamp(want, c.LimitRange.Min.CPUMillis, c.LimitRange.Max.CPUMillis, LimitRangeMinCPU, LimitRangeMaxCPU)
	want = r.clamp(want, 0, c.Node.CPUMillis, 0, NodeCPU)
	want = r.share(in, quota.CPURequests, quota.Requests.CPUMillis, have, want, QuotaCPU)
	if c.QoS == guaranteed {
		want = r.share(in, quota.CPULimits, quota.Limits.CPUMillis, in.Current.Limits.CPUMillis, want, QuotaLimitsCPU)
	}
	if r.CPU.Level >= usage.CPUToldApart {
		want = r.least(want, have, UncountedCPU)
	}
	if r.CPUState == Stale || c.SilentCPU {
		want = r.least(want, have, StaleCPU)
	}
	if c.HPACPU && have > 0 {
		r.bound(HPACPU, have)
		want = have
	}
	r.Requests.CPUMillis = want
	switch {
	case c.QoS == guaranteed:
		r.Limits.CPUMillis = want
	case in.Current.Limits.CPUMillis > 0:
		r.Limits.CPUMillis = r.limitCPU(in, want)
		if c.QoS == burstable && c.OthersGuaranteed && r.Limits.CPUMillis == want {
			r.keepBurstable(in)
		}
	}
}

// bindMemory sets request and limit of memory, which are the same: memory that was
// promised and is not there kills. They differ where the request is not ours to
// raise: the limit is what is needed all the same.
func (r *Result) bindMemory(s *Settings, in *Input) {
	c, have, quota := &in.Context, &in.Current, &in.Context.Quota
	if r.MemoryState == NoData {
		r.bound(UnmeasuredMemory, have.Requests.MemoryBytes)
		r.Requests.MemoryBytes, r.Limits.MemoryBytes = have.Requests.MemoryBytes, have.Limits.MemoryBytes
		return
	}
	if r.Memory.OOMFloor > 0 {
		r.bound(RecentOOM, ceil(r.Memory.OOMFloor))
	}
	if r.Memory.startupBinds() {
		r.bound(StartupPeak, ceil(r.Memory.StartupPeak))
	}
	want := r.runtime(c, ceil(r.Memory.Raw))
	want = r.clamp(want, s.Floor.MemoryBytes, s.Cap.MemoryBytes, FloorMemory, CapMemory)
	want = r.clamp(want, c.LimitRange.Min.MemoryBytes, c.LimitRange.Max.MemoryBytes, LimitRangeMinMemory, LimitRangeMaxMemory)
	want = r.clamp(want, 0, c.Node.MemoryBytes, 0, NodeMemory)
	limit := r.share(in, quota.MemoryLimits, quota.Limits.MemoryBytes, have.Limits.MemoryBytes, want, QuotaLimitsMemory)
	if r.MemoryState == Stale || c.SilentMemory {
		limit = r.least(limit, max(have.Requests.MemoryBytes, have.Limits.MemoryBytes), StaleMemory)
	}
	request := limit
	// Where the limit is the request, a kill is worse than another number of replicas.
	killed := c.QoS == guaranteed && r.Memory.OOMFloor > 0 && limit > have.Requests.MemoryBytes
	if c.HPAMemory && have.Requests.MemoryBytes > 0 && !killed {
		r.bound(HPAMemory, have.Requests.MemoryBytes)
		request = have.Requests.MemoryBytes
	} else {
		request = r.share(in, quota.MemoryRequests, quota.Requests.MemoryBytes, have.Requests.MemoryBytes, request, QuotaMemory)
	}
	if c.QoS == guaranteed {
		limit = request
	}
	r.Requests.MemoryBytes, r.Limits.MemoryBytes = request, r.limitMemory(in, request, max(limit, request))
	equal := r.Limits == r.Requests && r.Limits.CPUMillis > 0 && r.Limits.MemoryBytes > 0
	if c.QoS == burstable && c.OthersGuaranteed && equal {
		r.keepBurstableByMemory(in)
	}
}

// limitMemory keeps a limit above the request within the proportion that the
// namespace allows.
func (r *Result) limitMemory(in *Input, request, limit int64) int64 {
	ratio := in.Context.LimitRange.MaxRatioMemory
	if most := int64(float64(request) * ratio); ratio >= 1 && limit > most {
		r.bound(LimitRangeRatioMemory, most)
		return max(most, request)
	}
	return limit
}

// bound notes what bound a target, and the amount that it allows.
func (r *Result) bound(b Bounds, amount int64) {
	r.Bound |= b
	r.Amounts[b.index()] = amount
}

// least lets an amount be no lower than that.
func (r *Result) least(amount, least int64, b Bounds) int64 {
	if amount >= least {
		return amount
	}
	r.bound(b, least)
	return least
}

// clamp holds an amount between two bounds, of which 0 bounds nothing.
func (r *Result) clamp(amount, least, most int64, low, high Bounds) int64 {
	if amount < least {
		amount = least
		r.bound(low, least)
	}
	if most > 0 && amount > most {
		amount = most
		r.bound(high, most)
	}
	return amount
}

// runtime keeps room for a heap whose size the program fixes: it takes it sooner
// or later, whatever it took so far.
func (r *Result) runtime(c *Context, memory int64) int64 {
	if least := c.Runtime.jvm(); memory < least {
		memory = least
		r.bound(JVMHeap, c.Runtime.JVMHeapBytes)
	}
	if least := c.Runtime.golang(); memory < least {
		memory = least
		r.bound(GoMemLimit, c.Runtime.GoMemLimitBytes)
	}
	return memory
}

// jvm is what a JVM of that heap needs: about a quarter more for metaspace, threads and
// code.
func (t *Runtime) jvm() int64 { return t.JVMHeapBytes + t.JVMHeapBytes/4 }

// golang is what GOMEMLIMIT needs, which is soft: a twentieth above it keeps the collector
// from running against the limit.
func (t *Runtime) golang() int64 { return t.GoMemLimitBytes + t.GoMemLimitBytes/20 }

// share keeps an amount within what a container has and its share of what the
// namespace has left for all containers of all replicas.
func (r *Result) share(in *Input, limited bool, left, have, amount int64, b Bounds) int64 {
	most := have + in.Context.each(left)
	if !limited || amount <= most {
		return amount
	}
	r.bound(b, most)
	return most
}

// each is the part of one container in what all of them may share.
func (c *Context) each(left int64) int64 {
	return max(left, 0) / (int64(max(c.Replicas, 1)) * int64(max(c.Containers, 1)))
}

// The QoS classes, which a resize cannot change.
const (
	guaranteed = "Guaranteed"
	burstable  = "Burstable"
	bestEffort = "BestEffort"
)

// startCPU is what a start may take now, of what starts took: throttled more than that it
// may outlast the probes that wait for it.
func (r *Result) startCPU(in *Input) int64 {
	return min(in.Current.Limits.CPUMillis, r.StartupPeak.CPUMillis)
}

// limitCPU keeps the proportion of limit to request, and what a start takes, within what
// the namespace allows, but never below the request.
func (r *Result) limitCPU(in *Input, request int64) int64 {
	c, ratio := &in.Context, 1.0
	if have := in.Current.Requests.CPUMillis; have > 0 {
		ratio = max(float64(in.Current.Limits.CPUMillis)/float64(have), 1)
	}
	r.CPU.LimitRatio = ratio
	limit := r.least(ceil(float64(request)*ratio), r.startCPU(in), StartupCPU)
	bounded := func(most int64, b Bounds) {
		if limit > most {
			limit = max(most, request)
			r.bound(b, most)
		}
	}
	if most := c.LimitRange.MaxRatioCPU; most >= 1 {
		bounded(ceil(float64(request)*most), LimitRangeRatioCPU)
	}
	if most := c.LimitRange.Max.CPUMillis; most > 0 {
		bounded(most, LimitRangeMaxCPU)
	}
	if have := in.Current.Limits.CPUMillis; c.Quota.CPULimits && limit > have {
		bounded(have+c.each(c.Quota.Limits.CPUMillis), QuotaLimitsCPU)
	}
	return limit
}

// keepBurstable has limit and request of CPU differ by the least, where all else of
// the pod is equal: it would be Guaranteed else, which a resize is refused for.
func (r *Result) keepBurstable(in *Input) {
	c := &in.Context
	r.bound(QoSBurstable, 0)
	if most := c.LimitRange.Max.CPUMillis; most > 0 && r.Limits.CPUMillis >= most ||
		c.LimitRange.MaxRatioCPU == 1 || c.Quota.CPULimits && r.Limits.CPUMillis >= in.Current.Limits.CPUMillis {
		r.Requests.CPUMillis = max(r.Requests.CPUMillis-1, 1)
		return
	}
	r.Limits.CPUMillis++
}

// keepBurstableByMemory does so by memory, where CPU stays as it is because it is not
// measured.
func (r *Result) keepBurstableByMemory(in *Input) {
	const step = 1 << 20
	r.bound(QoSBurstable, 0)
	if least := max(in.Context.LimitRange.Min.MemoryBytes, 1); r.Bound.Has(HPAMemory) || r.Requests.MemoryBytes-step < least {
		r.Limits.MemoryBytes += step
		return
	}
	r.Requests.MemoryBytes -= step
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
